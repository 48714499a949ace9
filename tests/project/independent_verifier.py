"""Check an Assay dossier without Assay: `python independent_verifier.py DOSSIER_FOLDER [PUBLIC_KEY.pem]`.

Written from docs/evidence_format.md alone; needs numpy and scipy and imports nothing of the project, so
that a mistake there is not repeated here. Prints one line a check. Exit: 0 everything agrees, 3 something
differs (each difference is named), 4 everything agrees and some verdict is INCONCLUSIVE, 2 bad usage.

The last record has none after it to vouch for it: name the signer's public key (Ed25519, PEM), or compare
the head that is printed with the tag `assay.dossier_head` of the model version.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, gammaln, logsumexp, xlog1py, xlogy
from scipy.stats import beta, binom, fisher_exact

Floats = NDArray[np.float64]
RATES = ["selection_rate", "tpr", "tnr", "fpr", "fnr", "ppv", "npv", "fdr", "for", "accuracy", "base_rate"]
FAMILIES = {
    "demographic_parity": ["selection_rate"],
    "disparate_impact": ["selection_rate"],
    "equal_opportunity": ["tpr"],
    "predictive_equality": ["fpr"],
    "equalized_odds": ["tpr", "fpr"],
    "predictive_parity": ["ppv"],
    "conditional_use_accuracy": ["ppv", "npv"],
    **{rate: [rate] for rate in RATES},
}
KINDS = ["difference", "ratio", "minimum", "maximum"]
VOUCHED = {
    "plan": {"plan.json"},
    "environment": {"environment.json"},
    "representativeness": {"training_cube.json"},
    "freeze": {"model/weights.safetensors", "model/model.json"},
    "opening": {"predictions.csv", "cube.json"},
}
EVERY = {"policy": "inconclusive"}  # of an audit set every group is judged
ORDER = ["plan", "environment", "data", "validation", "representativeness", "tuning", "privacy"]
ORDER += ["freeze", "spending", "opening", "verdicts", "loosened", "registration", "ending"]
EXPLAINED = "explanations"  # anywhere between the freeze and the registration
REVIEW = ["review-packet", "review-answer", "review-refused", "review"]
MEANS = {
    "mean_prediction": "prediction",
    "residual": "residual",
    "mae": "absolute",
    "mse": "square",
    "rmse": "square",
}
SUMS = ["prediction", "residual", "absolute", "square"]
SPACES = 128  # between the nodes of a predicted number
EQUAL = 1e-9  # two computations of one float
NEAR = 1e-6  # of a number's range: sums of many rows, bounds found by halving
MARGIN = 1e-6  # shares of raked weights
CHANCE = 1e-9  # of two shares of independent draws to lie as far apart
TIE = 1e-7  # outcomes this near the observed statistic count as ties
SPKI = bytes.fromhex("302a300506032b6570032100")  # of an Ed25519 key (RFC 8410)
PRIME, ORDER_OF_BASE = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # RFC 8032, section 5.1
CURVE = -121665 * pow(121666, -1, PRIME) % PRIME


class UnreadableError(Exception):
    """The dossier can't be read as the page describes it."""


@dataclass
class Checks:
    """The differences found so far; prints each check as it is made."""

    differences: list[str] = field(default_factory=list)

    def same(self, what: str, found: object, expected: object) -> None:
        """Compare, floats within rounding; a difference names both sides."""
        self.none(what, "" if agree(found, expected) else f"found {found!r}, expected {expected!r}")

    def near(self, what: str, found: list[Any], expected: list[Any], by: float) -> None:
        """Compare numbers that may lie ``by`` apart, each perhaps missing."""
        is_known = [[one is not None for one in side] for side in (found, expected)]
        known = [(f, e) for f, e in zip(found, expected, strict=True) if f is not None and e is not None]
        wrong = is_known[0] != is_known[1] or any(abs(f - e) > by for f, e in known)
        self.none(what, f"found {found!r}, expected {expected!r}" if wrong else "")

    def none(self, what: str, broken: object) -> None:
        """Note a check that holds when nothing is ``broken`` (an empty string or collection)."""
        say(f"DIFFERENT  {what}: {broken}" if broken else f"ok         {what}")
        if broken:
            self.differences.append(what)


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def agree(found: object, expected: object) -> bool:
    """Whether two values are one, floats up to rounding."""
    if isinstance(found, float) and isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=EQUAL, abs_tol=EQUAL)
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(agree, found, expected))
    return found == expected


# Files and records


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_json(data: bytes, what: str) -> Any:
    def refuse(literal: str) -> NoReturn:
        raise ValueError(f"{literal} is no number")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse)
    except ValueError as error:
        raise UnreadableError(f"{what} is no JSON: {error}") from None


def compact_digest(block: object) -> str:
    return sha256(json.dumps(block, separators=(",", ":"), ensure_ascii=False).encode())


def check_chain(folder: Path, checks: Checks) -> list[dict[str, Any]]:
    """The records in order; checks places, digests and names."""
    paths = sorted((folder / "records").glob("*.json"))
    if not paths:
        raise UnreadableError(f"no records in {folder}/records")
    records, previous = [], "0" * 64
    for place, path in enumerate(paths):
        data = path.read_bytes()
        record = read_json(data, path.name)
        records.append(record)
        what = f"record {path.name}"
        checks.same(f"{what} names its place and step", path.name, f"{place:02d}-{record['step']}.json")
        checks.same(f"{what} has its index", record["index"], place)
        checks.same(f"{what} has the schema", record["schema_version"], "assay.record/1")
        checks.same(f"{what} follows the record before (previous)", record["previous"], previous)
        previous = sha256(data)
    say(f"head       {previous} (compare with the tag assay.dossier_head)")
    return records


def check_files(folder: Path, records: list[dict[str, Any]], checks: Checks) -> None:
    """Every vouched file has its digest, and what must be vouched for is."""
    for record in records:
        step = record["step"]
        for file in record["files"]:
            path = (folder / file["path"]).resolve()
            what = f"file {file['path']} vouched for by {step}"
            if path.is_relative_to(folder.resolve()) and path.is_file():
                data = path.read_bytes()
                checks.same(what, [sha256(data), len(data)], [file["sha256"], file["bytes"]])
            else:
                checks.none(what, "not in the dossier")
        if step in VOUCHED:
            missing = VOUCHED[step] - {file["path"] for file in record["files"]}
            checks.none(f"{step} vouches for its files", missing and f"not for {sorted(missing)}")


def check_order(records: list[dict[str, Any]], checks: Checks) -> None:
    """`plan` first, `freeze` before `opening` before `verdicts`, `ending` last."""
    steps = [record["step"] for record in records]
    reviewed = [step for step in steps if step in REVIEW]  # these come after the run's ending
    checks.same("a review's records come last", steps[len(steps) - len(reviewed) :], reviewed)
    steps = [step for step in steps if step not in REVIEW]
    checks.none("every step is known", sorted(set(steps) - {*ORDER, EXPLAINED}))
    known = [step for step in steps if step in ORDER]
    checks.same("steps are in order", known, sorted(known, key=ORDER.index))
    checks.same("the first step", steps[0], "plan")
    checks.same("the last step", steps[-1], "ending")
    repeated = [step for step in set(steps) - {"ending"} if steps.count(step) > 1]
    checks.none("every step but the ending is there once", repeated)
    for first, second in (
        ("freeze", "spending"),
        ("spending", "opening"),
        ("opening", "verdicts"),
        ("verdicts", "registration"),
        ("freeze", EXPLAINED),
        *([(EXPLAINED, "registration")] if EXPLAINED in steps else []),
    ):
        if second in steps:
            before = first in steps[: steps.index(second)]
            checks.none(f"{first} precedes {second}", "" if before else f"found {steps}")


def check_plan(plan: dict[str, Any], body: dict[str, Any], checks: Checks) -> None:
    """The digests of the plan's blocks, and that only the recipe was overridden."""
    for block in ("judgement", "recipe", "operations"):
        checks.same(f"digest of the plan's {block}", compact_digest(plan[block]), body["digests"][block])
    locked = [change for change in body["changes"] if not change.startswith("recipe.")]
    checks.none("only the recipe was overridden", locked)


def check_made(plan: dict[str, Any], body: dict[str, Any], checks: Checks) -> None:
    """Rows that steps against bias made, by kind of step; records of before hold the sum alone."""
    if made := body.get("made_by"):
        checks.same("freeze: rows made, by kind and in all", sum(made.values()), body["made_rows"])
        kinds = {step["kind"] for step in plan["recipe"].get("mitigation", [])}
        checks.same("freeze: rows made by steps that the plan lacks", sorted(set(made) - kinds), [])


def check_named(records: list[dict[str, Any]], plan: dict[str, Any], checks: Checks) -> None:
    """What bodies say of files of the dossier, against what the records vouch for; what pins a file."""
    vouched = {file["path"]: file for record in records for file in record["files"]}
    bodies = {record["step"]: record["body"] for record in records}
    for step in ("validation", "representativeness", "freeze", "opening"):
        folder = "model/" if step == "freeze" else ""
        named = [{**ref, "path": folder + ref["path"]} for ref in references(bodies.get(step, {}))]
        other = [ref["path"] for ref in named if vouched.get(ref["path"]) != ref]
        checks.none(f"{step}: files in its body are those vouched for", other)
    pins = {"environment.json": bodies.get("environment", {}).get("packages")}
    if population := plan["judgement"].get("population"):
        pins[population["file"]] = population["sha256"]
    for path, digest in pins.items():
        if path in vouched and digest is not None:
            checks.same(f"{path} is the one that is pinned", vouched[path]["sha256"], digest)


def references(value: Any) -> Iterator[dict[str, Any]]:
    """Every `{path, sha256, bytes}` in a body."""
    if isinstance(value, dict) and set(value) == {"path", "sha256", "bytes"}:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from references(inner)


def check_digests(bodies: dict[str, Any], checks: Checks) -> None:
    """Digests of the data and of the freeze, and that the frozen model is the registered one."""
    if data := bodies.get("data"):
        parts = [data["train"], data["test"], *data["audits"].values()]
        named = [["raw", ref] for ref in data["sources"]] + [["prepared", part["file"]] for part in parts]
        pairs = sorted([f"{where}/{Path(ref['path']).name}", ref["sha256"]] for where, ref in named)
        checks.same("data: digest of its files", data["digest"], compact_digest(pairs))
    freeze = bodies.get("freeze", {})
    if "digest" not in freeze:
        return
    pairs = sorted([ref["path"], ref["sha256"]] for ref in freeze["files"])
    checks.same("freeze: digest of its files", freeze["digest"], compact_digest(pairs))
    if files := bodies.get("registration", {}).get("files"):
        found = sorted([name, files.get(f"artifacts/model/{name}")] for name, _ in pairs)
        checks.same("registration: the frozen model's files", found, pairs)


def check_refused(bodies: dict[str, Any], checks: Checks) -> None:
    """Nothing is trained on data that was refused."""
    if "freeze" in bodies:
        steps = [bodies.get(step, {}) for step in ("validation", "representativeness")]
        unmet = [found["rule"] for found in steps[0].get("expectations", []) if not found["met"]]
        problems = [problem for step in steps for problem in step.get("problems", [])]
        checks.none("the data that was learned from was not refused", unmet + problems)


def check_promises(plan: dict[str, Any], freeze: dict[str, Any], checks: Checks) -> None:
    """A private model is one by the plan, has its delta, and spent no more than its epsilon."""
    asked, spent = plan["recipe"].get("privacy"), freeze.get("privacy")
    checks.same("freeze: privacy is on record where the plan asks for it", bool(spent), bool(asked))
    if asked and spent:
        checks.same("freeze: delta of the plan", spent["delta"], asked["delta"])
        beyond = f"{spent['epsilon']} of {asked['epsilon']}" if spent["epsilon"] > asked["epsilon"] else ""
        checks.none("freeze: epsilon is within the plan's", beyond)
        say("unchecked  freeze: that epsilon follows from noise, rate and steps")


def check_clients(plan: dict[str, Any], bodies: dict[str, Any], cube: Cube, checks: Checks) -> None:
    """Who counted, of federated training alone; all levels with rows where they are in the cube."""
    federated, clients = plan["recipe"].get("federated"), bodies["opening"].get("clients")
    if federated and clients is None and "made_by" not in bodies["freeze"]:
        say("unchecked  opening: which clients counted: not on record before 2026-11-23")
        return
    checks.same("opening: clients where training is federated", clients is not None, bool(federated))
    if not federated or clients is None:
        return
    checks.same("opening: clients are different, and sorted", clients, sorted(set(clients)))
    few = f"found {len(clients)}" if len(clients) < federated["minimum_clients"] else ""
    checks.none("opening: clients are at least the plan's minimum", few)
    if federated["clients"] in cube.names:
        levels = sorted(name for name, table in cube.groups(federated["clients"]) if table.any())
        checks.same("opening: clients are those with rows in the cube", clients, levels)
    else:
        say("unchecked  opening: which clients have test rows: the cube does not tell them apart")


# Predictions and cube


@dataclass(frozen=True)
class Cube:
    """The counts: one axis per protected attribute, then true class, then predicted class."""

    names: list[str]
    levels: list[list[str]]
    labels: list[str]
    positive: int | None
    counts: NDArray[np.int64]
    simple: bool

    def groups(self, attribute: str) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Name and (true, predicted) table of each group of an attribute or crossing."""
        names = re.split(r"\s+x\s+", attribute.strip())
        if "label" in names:
            yield from self.by_class(names)
            return
        axes = [self.names.index(name) for name in names]
        rest = tuple(axis for axis in range(len(self.names)) if axis not in axes)
        kept = self.counts.sum(axis=rest) if rest else self.counts
        kept = np.moveaxis(kept, list(np.argsort(np.argsort(axes))), range(len(axes)))
        for place in product(*(range(len(self.levels[axis])) for axis in axes)):
            yield " x ".join(self.levels[a][i] for a, i in zip(axes, place, strict=True)), kept[place]

    def by_class(self, names: list[str]) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """The groups where one of the attributes is the true class itself."""
        others, place = [name for name in names if name != "label"], names.index("label")
        crossed = dict(self.groups(" x ".join(others))) if others else {"": self.total()}
        for name, table in crossed.items():
            for i, label in enumerate(self.labels):
                levels = name.split(" x ") if others else []
                rows = np.zeros_like(table)
                rows[i] = table[i]
                yield " x ".join([*levels[:place], label, *levels[place:]]), rows

    def total(self) -> NDArray[np.int64]:
        return np.asarray(self.counts.reshape(-1, *self.counts.shape[-2:]).sum(axis=0))

    def classes(self, rate: str) -> list[tuple[str, int]]:
        """What a rate is called in the records, and the class that it holds against the rest."""
        if rate == "accuracy":
            return [(rate, 0)]
        if self.positive is not None:
            return [(rate, self.positive)]
        return [(f"{rate} ({label})", i) for i, label in enumerate(self.labels)]

    def rate(self, name: str, p: int, table: NDArray[np.int64]) -> tuple[int, int]:
        """Events and denominator of a rate of one group's table, class ``p`` against the rest."""
        hit, true, predicted = table[p, p], table[p].sum(), table[:, p].sum()
        n = table.sum()
        rest = n - true - predicted + hit
        events, size = {
            "selection_rate": (predicted, n),
            "base_rate": (true, n),
            "tpr": (hit, true),
            "fnr": (true - hit, true),
            "fpr": (predicted - hit, n - true),
            "tnr": (rest, n - true),
            "ppv": (hit, predicted),
            "fdr": (predicted - hit, predicted),
            "npv": (rest, n - predicted),
            "for": (true - hit, n - predicted),
            "accuracy": (np.trace(table), n),
        }[name]
        return int(events), int(size)


def read_cube(raw: dict[str, Any], checks: Checks) -> Cube:
    names, levels = [axis["name"] for axis in raw["axes"]], [axis["levels"] for axis in raw["axes"]]
    shape = (*map(len, levels), len(raw["labels"]), len(raw["labels"]))
    counts = np.array(raw["counts"])
    checks.same("cube: schema and shape", [raw["schema"], counts.shape], [2, shape])
    whole = counts.dtype.kind == "i" and bool((counts >= 0).all())
    checks.none("cube: counts are whole and not negative", "" if whole else "others found")
    if counts.shape != shape or not whole:
        raise UnreadableError("cube.json has no usable counts")
    positive = raw["labels"].index(raw["positive"]) if raw["positive"] else None  # each against the rest
    simple = raw["weights"] is None and raw["units"] is None
    return Cube(names, levels, raw["labels"], positive, counts, simple)


def check_margins(raw: dict[str, Any], cube: Cube, checks: Checks) -> None:
    """Raked weights have the margins that they are said to be raked to."""
    for margin in raw.get("margins", []):
        axes = [cube.names.index(name) for name in re.split(r"\s+x\s+", margin["attribute"].strip())]
        weights = np.array(raw["weights"], float).sum(axis=(-2, -1))
        sums: dict[str, float] = dict.fromkeys(margin["shares"], 0.0)
        for place in np.ndindex(weights.shape):
            level = " x ".join(cube.levels[axis][place[axis]] for axis in axes)
            sums[level] = sums.get(level, 0.0) + float(weights[place]) / float(weights.sum())
        far = [level for level in sums if abs(sums[level] - margin["shares"].get(level, 0.0)) > MARGIN]
        checks.none(f"cube: weights have the margin {margin['attribute']}", far)


def check_rows(lines: list[list[str]], checks: Checks) -> None:
    """The first two fields of every line."""
    misplaced = [line[0] for i, line in enumerate(lines) if line[0] != str(i)]
    checks.none("predictions: row_id counts from 0", misplaced[:5])
    odd = [line[1] for line in lines if not re.fullmatch("[0-9a-f]{16}", line[1])]
    checks.none("predictions: row_digest is 16 hex digits", odd[:5])


def check_predictions(text: str, cube: Cube, raw: dict[str, Any], checks: Checks) -> None:
    """predictions.csv by itself, and against the cube's margins and score bins."""
    header, *lines = list(csv.reader(io.StringIO(text)))
    checks.same("predictions: header", header, ["row_id", "row_digest", "score", "prediction"])
    check_rows(lines, checks)
    scores = np.array([line[2] for line in lines], dtype=np.float32)
    long = [line[2] for line, score in zip(lines, scores, strict=True) if line[2] != str(score)]
    checks.none("predictions: score is the shortest decimal of a 32-bit float", long[:5])
    checks.none(
        "predictions: every score is a probability", scores[~((scores >= 0) & (scores <= 1))].tolist()
    )
    checks.same("cube: total = lines of predictions.csv", int(cube.counts.sum()), len(lines))
    by_class = cube.counts.reshape(-1, len(cube.labels)).sum(axis=0).tolist()
    counted = dict(Counter(line[3] for line in lines))
    margin = {label: n for label, n in zip(cube.labels, by_class, strict=True) if n}
    checks.same("cube: predictions by class", margin, counted)
    if raw["score_bins"] is not None:
        check_bins(raw["score_bins"], scores.astype(np.float64), cube, checks)


def check_bins(raw: dict[str, Any], scores: Floats, cube: Cube, checks: Checks) -> None:
    """The score bins against the cube's counts and against the scores."""
    edges = raw["edges"]
    binned = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1).tolist()
    for name in cube.names:
        bins = raw["counts"][name]
        margin = {level: table.sum(axis=1).tolist() for level, table in cube.groups(name)}
        in_bins = {level: [sum(bins[level][label]) for label in cube.labels] for level in bins}
        checks.same(f"cube: score bins of {name} against its counts", in_bins, margin)
        total = np.sum([bins[level][label] for level in bins for label in cube.labels], axis=0).tolist()
        checks.same(f"cube: score bins of {name} against the scores", total, binned)


def check_opening(body: dict[str, Any], cube: Cube, checks: Checks) -> None:
    checks.same("opening: rows", body["rows"], int(cube.counts.sum()))
    for entry in body["performance"]:
        if entry["name"] == "accuracy":
            right = int(np.trace(cube.total()))
            checks.same("opening: accuracy", entry["value"], right / int(cube.counts.sum()))


# Answers with noise


def kept_share(plan: dict[str, Any]) -> tuple[float, float]:
    """Probability that an answer is the decision, and by what gaps are smaller then; 1 without noise."""
    answers = plan["recipe"].get("answers")
    if not answers:
        return 1.0, 1.0
    grown, k = math.exp(answers["epsilon"]), len(plan["judgement"]["data"]["label"]["values"])
    return grown / (grown + k - 1), (grown - 1) / (grown + k - 1)


def drawn(digests: list[str], model: str, share: float, k: int) -> Iterator[int]:
    """By how many classes each answer lies after its decision: 0 where the decision is told."""
    key, before = hashlib.sha256(f"judged {model}".encode()).digest(), Counter[str]()
    for digest in digests:
        draw = hmac.digest(key, f"{digest} {before[digest]}".encode(), "sha256")
        before[digest] += 1
        told = int.from_bytes(draw[:8], "big") < 2**64 * share
        yield 0 if told else 1 + int.from_bytes(draw[8:16], "big") % (k - 1)


def check_noise(folder: Path, plan: dict[str, Any], name: str, checks: Checks) -> None:
    """The model's noise is the plan's, and what was told has it: on the test part and the audit sets."""
    content, answers = (folder / "model/model.json").read_bytes(), plan["recipe"].get("answers")
    model = read_json(content, "model.json")
    if not answers:
        checks.same("the model answers without noise", model.get("noise"), None)
        return
    k = len(plan["judgement"]["data"]["label"]["values"])
    own = {"epsilon": answers["epsilon"], "budget": answers["budget"], "classes": k, "model": name}
    checks.same("the model's noise", model.get("noise"), {"kind": "randomised_response", **own})
    classes, audits = model["rule"]["classes"], plan["judgement"].get("audits", {})
    for on, judged in {"test": plan["judgement"], **audits}.items():
        mark = "" if on == "test" else f"-{on}"
        text = (folder / f"predictions{mark}.csv").read_text(encoding="utf-8")
        _, *lines = list(csv.reader(io.StringIO(text)))
        positive = judged["data"]["label"].get("positive")
        odd = [line[0] for line in lines if float(line[2]) != float(positive in (None, line[3]))]
        checks.none(f"predictions{mark}: score says what was told", odd[:5])
        meant = [judged.get("answers", {}).get(one, one) for one in classes]
        if len(set(meant)) < k:
            say(f"unchecked  predictions{mark}: noise, where two classes mean one")
            continue
        shifts = drawn([line[1] for line in lines], sha256(content), kept_share(plan)[0], k)
        check_draws(mark, list(shifts), [meant.index(line[3]) for line in lines], k, checks)


def check_draws(mark: str, shifts: list[int], told: list[int], k: int, checks: Checks) -> None:
    """Decisions, got back from what was told, are of the same classes where they were told and where not."""
    decided = [((own - shift) % k, shift > 0) for own, shift in zip(told, shifts, strict=True)]
    moved = sum(is_moved for _, is_moved in decided)
    far = []
    for place in range(k):
        there, gone = (decided.count((place, is_moved)) for is_moved in (False, True))
        table = [[there, len(decided) - moved - there], [gone, moved - gone]]
        far += [place] if fisher_exact(table).pvalue < CHANCE else []
    checks.none(f"predictions{mark}: decisions are alike where they were told and where not", far)


# Predicted numbers


@dataclass(frozen=True)
class Table:
    """Sums of one attribute's rows by level: what a limit on a predicted number follows from."""

    levels: list[str]
    low: float
    high: float
    edges: list[float]
    counts: NDArray[np.int64]
    sums: Floats
    nodes: dict[str, Floats]

    @property
    def rows(self) -> NDArray[np.int64]:
        return np.asarray(self.counts.sum(axis=1))

    def widened(self, names: list[str]) -> Table:
        """The same with levels that have no rows here."""
        new = [name for name in names if name not in self.levels]

        def wide(own: NDArray[Any]) -> NDArray[Any]:
            return np.vstack([own, np.zeros((len(new), own.shape[1]), own.dtype)])

        nodes = {name: wide(own) for name, own in self.nodes.items()}
        levels = self.levels + new
        return Table(levels, self.low, self.high, self.edges, wide(self.counts), wide(self.sums), nodes)

    def places(self, of: str) -> Floats:
        """The nodes' numbers."""
        steps = (self.high - self.low) * np.arange(SPACES + 1) / SPACES
        both = np.concatenate([-steps[:0:-1], steps])
        return {"prediction": self.low + steps, "residual": both, "square": steps**2}[of]

    def spread(self, metric: str, g: int) -> tuple[Floats, Floats]:
        """Weights and nodes of the numbers whose mean a metric takes in a group."""
        if metric != "mae":
            return self.nodes[MEANS[metric]][g], self.places(MEANS[metric])
        weights = self.nodes["residual"][g]
        return weights[SPACES:] + np.append(0, weights[:SPACES][::-1]), self.places("residual")[SPACES:]

    def value(self, metric: str, g: int) -> float:
        """A group's value."""
        if metric == "parity":
            return self.distances(g)[0]
        mean = float(self.sums[g, SUMS.index(MEANS[metric])] / self.rows[g])
        return math.sqrt(mean) if metric == "rmse" else mean

    def distances(self, g: int) -> tuple[float, float]:
        """Largest distance of the tails at the edges, and the largest that there may be between them."""
        own, every = self.counts[g] / self.rows[g], self.counts.sum(axis=0) / self.rows.sum()
        tails, all_tails = (np.append(x[::-1].cumsum()[::-1], 0.0) for x in (own, every))
        apart = np.maximum(tails[:-1] - all_tails[1:], all_tails[:-1] - tails[1:])
        return float(np.abs(tails - all_tails).max()), float(min(1.0, apart.max()))

    def limits(self, metric: str, g: int, level: float) -> tuple[float, float]:
        """One-sided limits of a group's value."""
        if metric == "parity":
            n, rest = self.rows[g], self.rows.sum() - self.rows[g]
            at, between = self.distances(g)
            if rest == 0:
                return 0.0, 1.0
            known = (1 / math.sqrt(n) + 1 / math.sqrt(rest)) * math.sqrt(math.log(4 / level) / 2)
            margin = rest / (n + rest) * known
            return max(0.0, at - margin), min(1.0, between + margin)
        weights, nodes = self.spread(metric, g)
        unit, width = (nodes - nodes[0]) / (nodes[-1] - nodes[0]), nodes[-1] - nodes[0]
        low = nodes[0] + width * (1 - upper_mean(weights, 1 - unit, level))
        high = nodes[0] + width * upper_mean(weights, unit, level)
        return (math.sqrt(max(0, low)), math.sqrt(high)) if metric == "rmse" else (float(low), float(high))


def upper_mean(weights: Floats, unit: Floats, level: float) -> float:
    """Upper limit of a mean in [0, 1] by betting; limits on one metric ask for the same again and again."""
    there = weights > 0
    return refuted_mean(weights[there].tobytes(), unit[there].tobytes(), level)


@cache
def refuted_mean(in_weights: bytes, in_unit: bytes, level: float) -> float:
    """The smallest mean that is refuted; arrays as the bytes of their 64-bit floats."""
    weights, unit = np.frombuffer(in_weights), np.frombuffer(in_unit)
    n = weights.sum()
    bets = np.minimum(0.9, 2.0 ** np.arange(8) * math.sqrt(2 * math.log(1 / level) / n))[:, np.newaxis]

    def excess(m: float) -> float:
        capital = logsumexp((weights * np.log1p(bets * (m - unit) / (1 - m))).sum(axis=1)) - math.log(8)
        return float(capital - math.log(1 / level))

    mean, last = float(weights @ unit / n), math.nextafter(1.0, 0.0)
    if mean >= last or excess(last) < 0:
        return 1.0
    return float(brentq(excess, mean, last, xtol=1e-13))


@dataclass(frozen=True)
class Numbers:
    """The cube of a predicted number: a table for each attribute and crossing."""

    tables: dict[str, Table]

    @property
    def rows(self) -> int:
        return max(int(table.rows.sum()) for table in self.tables.values())


def read_numbers(raw: dict[str, Any], label: dict[str, Any], checks: Checks) -> Numbers:
    checks.same("cube: kind and schema", [raw["kind"], raw["schema"]], ["regression", 1])
    found = {}
    for own in raw["tables"]:
        what, (low, high) = f"cube: table {own['attribute']}", own["label_range"]
        checks.same(f"{what} has the label's range", [low, high], [label["minimum"], label["maximum"]])
        counts, sums = np.array(own["counts"]), np.array(own["sums"], float)
        nodes = {name: np.array(own["nodes"][name], float) for name in ("prediction", "residual", "square")}
        levels, spaces = len(own["levels"]), {"prediction": SPACES, "residual": 2 * SPACES, "square": SPACES}
        expected = [
            2,
            (levels, len(own["edges"]) + 1),
            (levels, 4),
            *((levels, n + 1) for n in spaces.values()),
        ]
        shapes = [own["schema"], counts.shape, sums.shape, *(nodes[name].shape for name in spaces)]
        checks.same(f"{what}: schema and shapes", shapes, expected)
        usable = shapes == expected and counts.dtype.kind == "i" and bool((counts >= 0).all())
        if not usable or any((weights < 0).any() for weights in nodes.values()):
            raise UnreadableError(f"{what} has no usable counts, sums and nodes")
        found[own["attribute"]] = Table(own["levels"], low, high, own["edges"], counts, sums, nodes)
        check_sums(what, found[own["attribute"]], checks)
    return Numbers(found)


def check_sums(what: str, table: Table, checks: Checks) -> None:
    """That nodes, counts and sums are of the same rows."""
    width = table.high - table.low
    for of, scale in (("prediction", width), ("residual", width), ("square", width**2)):
        rows, mean = table.nodes[of].sum(axis=1), np.maximum(table.rows, 1)
        off = (np.abs(rows - table.rows) > NEAR * mean) | (
            np.abs(table.nodes[of] @ table.places(of) - table.sums[:, SUMS.index(of)]) > NEAR * scale * mean
        )
        far = [name for name, is_off in zip(table.levels, off, strict=True) if is_off]
        checks.none(f"{what}: nodes of the {of} add up to its rows and sum", far)
    sizes = table.nodes["residual"] @ np.abs(table.places("residual"))
    wrong = (
        (np.abs(sizes - table.sums[:, 2]) > NEAR * width * np.maximum(table.rows, 1)).nonzero()[0].tolist()
    )
    checks.none(f"{what}: nodes of the residual add up to the sum of its sizes", wrong)


def check_number_predictions(text: str, cube: Numbers, checks: Checks) -> None:
    """predictions.csv by itself, and against each table's histogram, sum and nodes."""
    header, *lines = list(csv.reader(io.StringIO(text)))
    checks.same("predictions: header", header, ["row_id", "row_digest", "prediction"])
    check_rows(lines, checks)
    told = np.array([line[2] for line in lines], dtype=np.float32)
    long = [line[2] for line, number in zip(lines, told, strict=True) if line[2] != str(number)]
    checks.none("predictions: each is the shortest decimal of a 32-bit float", long[:5])
    numbers = told.astype(np.float64)
    for name, table in cube.tables.items():
        check_told(f"cube: table {name} against the predictions", table, numbers, checks)


def check_told(what: str, table: Table, numbers: Floats, checks: Checks) -> None:
    """A table against the predicted numbers, of all groups together."""
    outside = numbers[(numbers < table.low) | (numbers > table.high)].tolist()
    checks.none(f"{what}: all within the label's range", outside[:5])
    bins = np.searchsorted(table.edges, numbers, side="right")
    counted = np.bincount(bins, minlength=len(table.edges) + 1).tolist()
    checks.same(f"{what}: histogram", table.counts.sum(axis=0).tolist(), counted)
    found, near = float(table.sums[:, 0].sum()), NEAR * (table.high - table.low) * len(numbers)
    checks.near(f"{what}: sum", [found], [float(numbers.sum())], near)
    steps = (numbers - table.low) / (table.high - table.low) * SPACES
    left = np.clip(np.floor(steps), 0, SPACES - 1).astype(int)
    shared = np.bincount(left, left + 1 - steps, SPACES + 1) + np.bincount(left + 1, steps - left, SPACES + 1)
    far = np.abs(table.nodes["prediction"].sum(axis=0) - shared) > NEAR * len(numbers)
    checks.none(f"{what}: nodes", far.nonzero()[0].tolist())


def check_number_opening(body: dict[str, Any], cube: Numbers, checks: Checks) -> None:
    for name, table in cube.tables.items():
        checks.same(f"opening: rows, by {name}", body["rows"], int(table.rows.sum()))
        for entry in body["performance"]:
            if entry["name"] == "mae":
                mean = float(table.sums[:, 2].sum() / table.rows.sum())
                near = NEAR * (table.high - table.low)
                checks.near(f"opening: mae, by {name}", [entry["value"]], [mean], near)


# Intervals and tests of two binomials


def clopper_pearson(x: int, n: int, tail: float) -> tuple[float, float]:
    """Limits of a rate, `tail` left out on each side."""
    low = 0.0 if x == 0 else float(beta.ppf(tail, x, n - x + 1))
    high = 1.0 if x == n else float(beta.ppf(1 - tail, x + 1, n - x))
    return low, high


@dataclass(frozen=True)
class Group:
    """One group in one rate: x of n, and whether it is judged."""

    name: str
    events: int
    n: int
    judged: bool

    @property
    def rate(self) -> float | None:
        return self.events / self.n if self.n else None


def difference_upper(g: Group, h: Group, level: float) -> float:
    """MOVER's upper bound of r_g - r_h."""
    r, s = g.events / g.n, h.events / h.n
    u, low = clopper_pearson(g.events, g.n, level)[1], clopper_pearson(h.events, h.n, level)[0]
    return r - s + math.hypot(u - r, s - low)


def ratio_upper(g: Group, h: Group, level: float) -> float:
    """MOVER's upper bound of r_g / r_h (Donner and Zou 2012); infinite when r_h may be 0."""
    r, s = g.events / g.n, h.events / h.n
    u, low = clopper_pearson(g.events, g.n, level)[1], clopper_pearson(h.events, h.n, level)[0]
    if low == 0:
        return math.inf
    root = math.sqrt(max(0.0, (r * s) ** 2 - u * low * (2 * r - u) * (2 * s - low)))
    return (r * s + root) / (low * (2 * s - low))


def statistic(x1: Floats, n1: int, x2: Floats, n2: int, a: float, b: float) -> Floats:
    """Score statistic of H0: p1 >= a + b p2; the fit is the root of the likelihood's slope, by bisection."""
    low = np.full(np.broadcast(x1, x2).shape, max(0.0, -a / b))
    high = np.full_like(low, min(1.0, (1 - a) / b))
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(64):
            p2 = (low + high) / 2
            p1 = a + b * p2
            slope = b * (x1 / p1 - (n1 - x1) / (1 - p1)) + x2 / p2 - (n2 - x2) / (1 - p2)
            low, high = np.where(slope > 0, p2, low), np.where(slope > 0, high, p2)
        p2 = (low + high) / 2
        p1 = a + b * p2
        spread = np.sqrt(np.maximum(0, p1 * (1 - p1)) / n1 + b * b * np.maximum(0, p2 * (1 - p2)) / n2)
        gap = x1 / n1 - a - b * x2 / n2
        return np.asarray(np.where(np.abs(gap) < 1e-15, 0.0, gap / spread))


def exact_p(g: Group, h: Group, a: float, b: float, level: float) -> float:
    """Chan's p-value of H0: p1 >= a + b p2, by a grid over Berger and Boos's region and then finer ones.

    For each x1 the outcomes at least as far from H0 are x2 >= some k (the statistic falls with x2).
    """
    gamma = level / 1000
    (l1, u1), (l2, u2) = (clopper_pearson(x.events, x.n, gamma / 4) for x in (g, h))
    low, high = max(l2, (l1 - a) / b, 0.0), min(u2, (u1 - a) / b, 1.0)
    if low > high:  # no point on the border: the region lies wholly on one side of it
        return 1.0 if g.events / g.n >= a + b * h.events / h.n else gamma
    start = float(binom.ppf(1e-14, g.n, max(0.0, a + b * low)))
    stop = float(binom.isf(1e-14, g.n, min(1.0, a + b * high)))
    x1 = np.arange(max(0.0, start), min(g.n, stop) + 1)
    observed = statistic(np.array([g.events]), g.n, np.array([h.events]), h.n, a, b)[0] + TIE
    first, last = np.zeros_like(x1), np.full_like(x1, h.n + 1)
    while (first < last).any():
        middle = np.floor((first + last) / 2)
        reached = statistic(x1, g.n, np.minimum(middle, h.n), h.n, a, b) <= observed
        first, last = np.where(reached | (first >= last), first, middle + 1), np.where(reached, middle, last)

    ways = gammaln(g.n + 1) - gammaln(x1 + 1) - gammaln(g.n - x1 + 1)

    def tail(p2: Floats) -> Floats:
        p1 = np.clip(a + b * p2, 0, 1)[:, np.newaxis]
        chance = np.exp(ways + xlogy(x1, p1) + xlog1py(g.n - x1, -p1))
        inner = np.clip(first, 1, h.n)
        beyond = np.asarray(betainc(inner, h.n - inner + 1, p2[:, np.newaxis]))
        beyond = np.where(first <= 0, 1.0, np.where(first > h.n, 0.0, beyond))
        return np.asarray((chance * beyond).sum(axis=1))

    for _ in range(4):
        grid = np.linspace(low, high, 301)
        values = tail(grid)
        if not level / 2 < values.max() <= level:
            break  # far enough from the level to decide
        best, step = grid[values.argmax()], grid[1] - grid[0]
        low, high = max(low, best - step), min(high, best + step)
    return min(1.0, float(values.max()) + gamma)


# Verdicts


def within(g: Group, kind: str, limit: float, level: float) -> bool:
    """Whether a group's own Clopper-Pearson limit keeps the limit."""
    low, high = clopper_pearson(g.events, g.n, level)
    return low > limit if kind == "minimum" else high < limit


def beyond(g: Group, kind: str, limit: float, level: float) -> bool:
    """Whether a group's own Clopper-Pearson limit breaks the limit."""
    low, high = clopper_pearson(g.events, g.n, level)
    return high < limit if kind == "minimum" else low > limit


def bounded(g: Group, h: Group, kind: str, limit: float, level: float) -> bool:
    """Whether the closed form keeps r_g within the limit of r_h."""
    if kind == "ratio":
        return ratio_upper(g, h, level) < 1 / limit
    return difference_upper(g, h, level) < limit


def kept(g: Group, h: Group, kind: str, limit: float, level: float) -> bool:
    """Whether the exact test confirms it."""
    a, b = (0.0, 1 / limit) if kind == "ratio" else (limit, 1.0)
    return exact_p(g, h, a, b, level) <= level


def broken(g: Group, h: Group, kind: str, limit: float, level: float) -> bool:
    """The pair's part of FAIL: r_g above r_h by more than the limit, by both."""
    if kind == "ratio":
        return ratio_upper(h, g, level) < limit and exact_p(h, g, 0, limit, level) <= level
    return difference_upper(h, g, level) < -limit and exact_p(h, g, -limit, 1, level) <= level


def measure(rates: list[list[Group]], kind: str) -> float | None:
    """The metric over the judged groups, the worst of its rates; None when one is undefined."""
    found = []
    for groups in rates:
        known = [group.events / group.n for group in groups if group.n]
        least = 1 if kind in ("minimum", "maximum") else 2
        if len(known) < max(least, len(groups)) or (kind == "ratio" and max(known) == 0):
            return None
        of = {"ratio": min(known) / (max(known) or 1), "difference": max(known) - min(known)}
        found.append({**of, "minimum": min(known), "maximum": max(known)}[kind])
    return min(found) if kind in ("ratio", "minimum") else max(found)


@dataclass(frozen=True)
class Limit:
    """A limit of the plan, and every group of each of its rates."""

    metric: str
    attribute: str
    value: float
    alpha: float
    comparisons: int
    names: list[str]
    rates: list[list[Group]]
    rows: dict[str, int]

    @property
    def what(self) -> str:
        return f"{self.metric} by {self.attribute}"

    @property
    def kind(self) -> str:
        return self.metric.rsplit("_", 1)[1]

    @property
    def judged(self) -> list[list[Group]]:
        return [[group for group in groups if group.judged] for groups in self.rates]

    @property
    def alone(self) -> bool:
        """Whether each group is held against the limit by itself."""
        return self.kind in ("minimum", "maximum")

    @property
    def pairs(self) -> list[tuple[Group, Group]]:
        return [pair for groups in self.judged for pair in permutations(groups, 2)]

    @property
    def near(self) -> float:
        """How far apart two computations may lie."""
        return EQUAL

    def measured(self) -> float | None:
        """The metric over the judged groups."""
        return measure(self.judged, self.kind)

    def interval(self, g: Group) -> list[float | None]:
        """A group's value with its two-sided 95% limits."""
        return [g.rate, *clopper_pearson(g.events, g.n, 0.025)] if g.n else [None, None, None]

    def check_bounds(self, record: dict[str, Any], checks: Checks) -> None:
        """That a recorded PASS has the closed form's bound."""
        if record["verdict"] == "PASS" and self.alone:
            least = self.kind == "minimum"
            ends = [clopper_pearson(g.events, g.n, self.alpha) for groups in self.judged for g in groups]
            found = min(low for low, _ in ends) if least else max(high for _, high in ends)
            checks.same(f"{self.what}: bound", record["low" if least else "high"], found)
        elif record["verdict"] == "PASS":
            worse = record["low" if self.kind == "ratio" else "high"]
            upper = ratio_upper if self.kind == "ratio" else difference_upper
            closed = max(upper(g, h, self.alpha) for g, h in self.pairs)
            expected = 1 / closed if self.kind == "ratio" else min(closed, 1.0)
            checks.same(f"{self.what}: bound", worse, expected)

    def may_pass(self) -> bool:
        """Whether all that is judged is defined, and enough is judged, in every rate."""
        for groups in self.rates:
            unjudged = [group for group in groups if not group.judged]
            share = sum(self.rows[group.name] for group in unjudged) / max(1, sum(self.rows.values()))
            if share > 0.05 or any(group.n >= 200 for group in unjudged) or len(groups) - len(unjudged) < 2:
                return False
        return all(group.n for groups in self.judged for group in groups)

    def verdict(self) -> str:
        """PASS, FAIL or INCONCLUSIVE."""
        level = self.alpha / self.comparisons
        if self.alone:
            return self.verdict_alone(level)
        defined = [(g, h) for g, h in self.pairs if g.n and h.n]
        if any(broken(g, h, self.kind, self.value, level) for g, h in defined):
            return "FAIL"
        if not self.may_pass():
            return "INCONCLUSIVE"
        shown = all(
            test(g, h, self.kind, self.value, self.alpha) for test in (bounded, kept) for g, h in self.pairs
        )
        return "PASS" if shown else "INCONCLUSIVE"

    def verdict_alone(self, level: float) -> str:
        """The same where every group's own rate is limited."""
        every = [group for groups in self.judged for group in groups]
        if any(group.n and beyond(group, self.kind, self.value, level) for group in every):
            return "FAIL"
        shown = self.may_pass() and all(within(group, self.kind, self.value, self.alpha) for group in every)
        return "PASS" if shown else "INCONCLUSIVE"


@dataclass(frozen=True)
class NumberLimit(Limit):
    """A limit on a predicted number: each pair gets the box of its groups' own limits."""

    table: Table

    @property
    def near(self) -> float:
        """How far apart two computations may lie."""
        width = self.table.high - self.table.low
        return NEAR * {"mse": width**2, "parity": 1.0}.get(self.names[0], width)

    @property
    def bound_near(self) -> float:
        """The same of the metric: a ratio has no unit."""
        return NEAR if self.kind == "ratio" else self.near

    def value_of(self, g: Group) -> float:
        return self.table.value(self.names[0], self.table.levels.index(g.name))

    def limits_of(self, g: Group, level: float) -> tuple[float, float]:
        return self.table.limits(self.names[0], self.table.levels.index(g.name), level)

    def measured(self) -> float | None:
        """The metric over the judged groups; None when one has no rows."""
        (groups,) = self.judged
        if len(groups) < (1 if self.alone else 2) or not all(g.n for g in groups):
            return None
        values = [self.value_of(g) for g in groups]
        if self.kind == "ratio":
            return min(values) / max(values) if max(values) else None
        return max(values) - (0.0 if self.alone else min(values))

    def interval(self, g: Group) -> list[float | None]:
        """A group's value with its limits."""
        return [self.value_of(g), *self.limits_of(g, 0.025)] if g.n else [None, None, None]

    def bounds(self) -> tuple[float | None, float]:
        """The bound that PASS needs (None where a value is undefined), and that FAIL needs."""
        (groups,) = self.judged
        share = 1 if self.alone else 2
        fail, keep = (
            {g.name: self.limits_of(g, level / share) for g in groups if g.n}
            for level in (self.alpha / self.comparisons, self.alpha)
        )
        if self.alone:
            broken_, kept_ = [low for low, _ in fail.values()], [high for _, high in keep.values()]
        elif self.kind == "difference":
            broken_ = [fail[g][0] - fail[h][1] for g, h in permutations(fail, 2)]
            kept_ = [keep[g][1] - keep[h][0] for g, h in permutations(keep, 2)]
        else:  # of h to g
            broken_ = [fail[h][1] / fail[g][0] for g, h in permutations(fail, 2) if fail[g][0] > 0]
            kept_ = [max(0.0, keep[h][0]) / keep[g][1] for g, h in permutations(keep, 2)]
        whole = len(keep) == len(groups) and bool(kept_)
        if self.kind == "ratio":
            return (min(kept_) if whole else None), min([1.0, *broken_])
        return (max(kept_) if whole else None), max([0.0, *broken_])

    def verdict(self) -> str:
        """PASS, FAIL or INCONCLUSIVE."""
        kept_, broken_ = self.bounds()
        sign = -1 if self.kind == "ratio" else 1
        if sign * (broken_ - self.value) > 0:
            return "FAIL"
        shown = kept_ is not None and sign * (kept_ - self.value) < 0
        return "PASS" if shown and self.may_pass() else "INCONCLUSIVE"

    def check_bounds(self, record: dict[str, Any], checks: Checks) -> None:
        """Both recorded bounds, whatever the verdict."""
        kept_, broken_ = self.bounds()
        expected = [kept_, broken_] if self.kind == "ratio" else [broken_, kept_]
        checks.near(f"{self.what}: bounds", [record["low"], record["high"]], expected, self.bound_near)


def count_numbers(
    cube: Numbers, training: Cube | None, limit: dict[str, Any], policy: dict[str, Any]
) -> tuple[list[str], list[list[Group]], dict[str, int], Table]:
    """As `regroup`, of the rows of a predicted number; without a training part every group is judged."""
    learned = {name: int(t.sum()) for name, t in training.groups(limit["attribute"])} if training else {}
    table = cube.tables[limit["attribute"]].widened(list(learned))
    share = cube.rows / training.counts.sum() if training else 0
    rows = dict(zip(table.levels, table.rows.tolist(), strict=True))
    every, least = policy["policy"] == "inconclusive", policy.get("smallest_denominator", 0)
    groups = [Group(name, n, n, every or learned.get(name, 0) * share >= least) for name, n in rows.items()]
    return [limit["metric"].rpartition("_")[0]], [groups], rows, table


def comparisons_of(kind: str, groups: int) -> int:
    """Ordered pairs of judged groups, or the groups themselves."""
    return groups if kind in ("minimum", "maximum") else groups * (groups - 1)


def recomputed(limit: dict[str, Any], cube: Cube) -> bool:
    """Whether a limit's verdict is recomputed here: rates of unweighted, independent rows."""
    name, _, kind = limit["metric"].rpartition("_")
    return cube.simple and name in FAMILIES and kind in KINDS


def regroup(
    cube: Cube, training: Cube, limit: dict[str, Any], policy: dict[str, Any]
) -> tuple[list[str], list[list[Group]], dict[str, int]]:
    """Names of the rates, their groups (judged or not by the training part's counts), all groups' rows."""
    tables, learned = dict(cube.groups(limit["attribute"])), dict(training.groups(limit["attribute"]))
    nothing = np.zeros((len(cube.labels), len(cube.labels)), np.int64)
    tables |= {name: nothing for name, table in learned.items() if name not in tables and table.any()}
    share = cube.counts.sum() / training.counts.sum()

    def judged(rate: str, p: int, name: str) -> bool:
        if policy["policy"] == "inconclusive":
            return True
        # Training rows count as predicted right: labelled positives stand for predicted ones.
        size = training.rate(rate, p, learned.get(name, nothing))[1]
        return bool(size * share >= policy["smallest_denominator"])

    compared = [
        (rate, called, p)
        for rate in FAMILIES[limit["metric"].rpartition("_")[0]]
        for called, p in cube.classes(rate)
    ]
    rates = [
        [Group(name, *cube.rate(rate, p, table), judged(rate, p, name)) for name, table in tables.items()]
        for rate, _, p in compared
    ]
    rows = {name: int(table.sum()) for name, table in tables.items()}
    return [called for _, called, _ in compared], rates, rows


def check_groups(record: dict[str, Any], limit: Limit, checks: Checks) -> None:
    """The recorded counts, rates and intervals; and which groups went unjudged."""
    counted = zip(limit.names, limit.rates, strict=True)
    expected = [[rate, g.name, g.events, g.n, g.judged] for rate, groups in counted for g in groups]
    found = [[e["rate_name"], e["group"], e["events"], e["n"], e["judged"]] for e in record["groups"]]
    checks.same(f"{limit.what}: groups, their counts and who is judged", sorted(found), sorted(expected))
    for entry in record["groups"]:
        interval = limit.interval(Group(entry["group"], entry["events"], entry["n"], entry["judged"]))
        what = f"{limit.what}: {entry['rate_name']} of {entry['group']}"
        checks.near(what, [entry["rate"], entry["low"], entry["high"]], interval, limit.near)
    unjudged = sorted({entry["group"] for entry in record["groups"] if not entry["judged"]})
    checks.same(f"{limit.what}: groups not judged", sorted(record["not_judged"]), unjudged)


def check_sides(record: dict[str, Any], bound: float, what: str, *, falling: bool, checks: Checks) -> None:
    """That the verdict follows from the recorded bounds."""
    worse, better = (record["low"], record["high"]) if falling else (record["high"], record["low"])
    sign = -1 if falling else 1
    kept = worse is not None and sign * (worse - bound) < 0
    broken_ = better is not None and sign * (better - bound) > 0
    shown = ["PASS", "INCONCLUSIVE"] if kept else ["INCONCLUSIVE"]  # a rule may keep a limit from passing
    allowed = ["FAIL"] if broken_ else shown
    wrong = "" if record["verdict"] in allowed else f"found {record['verdict']}, expected {allowed}"
    checks.none(f"{what}: verdict follows from its bounds", wrong)


def check_verdict(record: dict[str, Any], limit: Limit, checks: Checks) -> str:
    """One verdict record against the plan's limit and the cube; returns the verdict reached here."""
    planned = [limit.value, limit.alpha, limit.comparisons]
    found = [record["limit"], record["alpha"], record["comparisons"]]
    checks.same(f"{limit.what}: limit, alpha and comparisons", found, planned)
    check_groups(record, limit, checks)
    checks.near(f"{limit.what}: measurement", [record["measurement"]], [limit.measured()], limit.near)
    if record["worst"] is not None:
        rate, *pair = record["worst"]
        sizes = {g.name: g.n for g in limit.judged[limit.names.index(rate)]}
        total = sum(sizes[name] for name in set(pair))
        checks.same(f"{limit.what}: n of the pair that decides", record["n"], total)
    limit.check_bounds(record, checks)
    check_sides(record, limit.value, limit.what, falling=limit.kind in ("ratio", "minimum"), checks=checks)
    reached = limit.verdict()
    checks.same(f"{limit.what}: verdict {reached}", record["verdict"], reached)
    return reached


def comparisons_in(limit: dict[str, Any], record: dict[str, Any], counted: Any) -> int:
    """What one limit adds to the comparisons; by its own record where it isn't recomputed."""
    kind = limit["metric"].rpartition("_")[2]
    if counted is not None:
        return sum(comparisons_of(kind, sum(g.judged for g in groups)) for groups in counted[1])
    judged = Counter(entry["rate_name"] for entry in record["groups"] if entry["judged"])
    return sum(comparisons_of(kind, groups) for groups in judged.values())


def check_unrecomputed(
    record: dict[str, Any], head: tuple[str, str, float, float, int], checks: Checks
) -> str:
    """A verdict whose bounds are not recomputed here: that it follows from them, no more."""
    metric, attribute, bound, alpha, comparisons = head
    what = f"{metric} by {attribute}"
    found = [record["limit"], record["alpha"], record["comparisons"]]
    checks.same(f"{what}: limit, alpha and comparisons", found, [bound, alpha, comparisons])
    falling = metric.endswith(("_ratio", "_minimum"))
    check_sides(record, bound, what, falling=falling, checks=checks)
    say(f"unchecked  {what}: bounds of this metric (or of weighted rows, or units) are not recomputed here")
    return str(record["verdict"])


Counted = (
    tuple[list[str], list[list[Group]], dict[str, int]]
    | tuple[list[str], list[list[Group]], dict[str, int], Table]
)


def count(
    cube: Cube | Numbers, training: Cube | None, limit: dict[str, Any], policy: dict[str, Any]
) -> Counted | None:
    """A limit's groups in each of its rates; None where it isn't recomputed.

    Args:
        cube: of the test part or an audit set.
        training: counts of the training part; None for an audit set, of which every group is judged.
        limit: as the plan has it.
        policy: the plan's `too_small`.
    """
    if isinstance(cube, Numbers):
        return count_numbers(cube, training, limit, policy)
    return regroup(cube, training or cube, limit, policy) if recomputed(limit, cube) else None


def check_verdicts(
    bodies: dict[str, Any],
    plan: dict[str, Any],
    cubes: dict[str, Cube | Numbers],
    training: Cube,
    checks: Checks,
) -> list[str]:
    """Every limit of the plan and of its audit sets; returns the verdicts reached here."""
    judgement, records = plan["judgement"], bodies["verdicts"]["judged"]
    audits, allowed = judgement.get("audits", {}), bodies["spending"]
    placed = [("test", limit) for limit in judgement["limits"]]
    placed += [(on, limit) for on, audit in audits.items() for limit in audit["limits"]]
    placed = [(on, {**limit, "limit": limit["limit"] * kept_share(plan)[1]}) for on, limit in placed]
    sets, limits = [on for on, _ in placed], [limit for _, limit in placed]
    share = judgement["alpha"] / judgement["test_set"]["max_judgements"]
    most = judgement["test_set"]["max_judgements"]
    checks.same("max_judgements are the plan's", allowed["max_judgements"], most)
    checks.same("the level in force is the plan's alpha over its max_judgements", allowed["alpha"], share)
    planned = [[on, limit["metric"], limit["attribute"]] for on, limit in placed]
    found = [[record["on"], record["metric"], record["attribute"]] for record in records]
    checks.same("one verdict a limit, in the plan's order", found, planned)
    if found != planned:
        return ["INCONCLUSIVE"]
    if allowed["problem"]:
        given = sorted({record["verdict"] for record in records})
        checks.same("no verdict where the ledger allowed none", given, ["INCONCLUSIVE"])
        return ["INCONCLUSIVE"]
    counted = []
    for on, limit in placed:
        learned, policy = (training, judgement["too_small"]) if on == "test" else (None, EVERY)
        counted.append(count(cubes[on], learned, limit, policy))
    comparisons = max(1, sum(map(comparisons_in, limits, records, counted)))
    verdicts = []
    for on, found_here, record, limit in zip(sets, counted, records, limits, strict=True):
        if on != "test":
            say(f"           on audit set {on}:")
        head = (limit["metric"], limit["attribute"], limit["limit"], allowed["alpha"], comparisons)
        if found_here is None:
            verdicts.append(check_unrecomputed(record, head, checks))
        else:
            of = NumberLimit if isinstance(cubes[on], Numbers) else Limit
            verdicts.append(check_verdict(record, of(*head, *found_here), checks))
    return verdicts


def check_ending(found: str, verdicts: list[str], checks: Checks) -> None:
    """FAIL ends Refused, else INCONCLUSIVE Undecided, else Registered; a crash may end any run."""
    if not verdicts:
        wrong = "" if found in ("Refused", "Crashed") else f"{found} without a verdict"
        checks.none("a run without verdicts ends Refused or Crashed", wrong)
    elif found != "Crashed":
        undecided = "Undecided" if "INCONCLUSIVE" in verdicts else "Registered"
        follows = "Refused" if "FAIL" in verdicts else undecided
        checks.same(f"the ending {follows} follows from the verdicts", found, follows)


def check_set(
    folder: Path, mark: str, opened: dict[str, Any], label: dict[str, Any], checks: Checks
) -> Cube | Numbers:
    """The files of one set of rows: the test part's without a mark, an audit set's with its name."""
    cube_file, told = f"cube{mark}.json", f"predictions{mark}.csv"
    if mark:
        say(f"           {cube_file} and {told}:")
    raw = read_json((folder / cube_file).read_bytes(), cube_file)
    text = (folder / told).read_text(encoding="utf-8")
    if label.get("type") == "number":
        numbers = read_numbers(raw, label, checks)
        check_number_predictions(text, numbers, checks)
        check_number_opening(opened, numbers, checks)
        return numbers
    cube = read_cube(raw, checks)
    check_margins(raw, cube, checks)
    check_predictions(text, cube, raw, checks)
    check_opening(opened, cube, checks)
    return cube


def check_sets(
    folder: Path, judgement: dict[str, Any], opening: dict[str, Any], vouched: set[str], checks: Checks
) -> dict[str, Cube | Numbers]:
    """The test part and every audit set."""
    audits = judgement.get("audits", {})
    checks.same("the audit sets opened are the plan's", sorted(opening["audits"]), sorted(audits))
    own = {f"{kind}-{on}.{end}" for on in audits for kind, end in (("cube", "json"), ("predictions", "csv"))}
    checks.none("opening vouches for the files of the audit sets", sorted(own - vouched))
    cubes = {"test": check_set(folder, "", opening, judgement["data"]["label"], checks)}
    for on, audit in audits.items():
        cubes[on] = check_set(folder, f"-{on}", opening["audits"][on], audit["data"]["label"], checks)
    return cubes


# Signatures

Point = tuple[int, int, int, int]  # X, Y, Z, T: x = X / Z, y = Y / Z, x y = T / Z


def added(one: Point, other: Point) -> Point:
    """Sum of two points of the curve (RFC 8032, section 5.1.4)."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % PRIME
    b = (one[1] + one[0]) * (other[1] + other[0]) % PRIME
    c, d = 2 * one[3] * other[3] * CURVE % PRIME, 2 * one[2] * other[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def times(scalar: int, point: Point) -> Point:
    product: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            product = added(product, point)
        point, scalar = added(point, point), scalar >> 1
    return product


def point_of(data: bytes) -> Point:
    """A point from its 32 bytes (RFC 8032, section 5.1.3)."""
    y, odd = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(CURVE * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if (x * x - square) % PRIME or y >= PRIME:
        raise UnreadableError("32 bytes are no point of the curve")
    x = PRIME - x if x & 1 != odd else x
    return x, y, 1, x * y % PRIME


def is_signature(signature: bytes, message: bytes, public: bytes) -> bool:
    """Whether an Ed25519 signature holds (RFC 8032, section 5.1.7)."""
    r, s = point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little")
    base = point_of((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"))
    left, right = times(s, base), added(r, times(hashed % ORDER_OF_BASE, point_of(public)))
    apart = [(left[i] * right[2] - right[i] * left[2]) % PRIME for i in (0, 1)]
    return len(signature) == 64 and s < ORDER_OF_BASE and apart == [0, 0]


def check_signatures(folder: Path, records: list[dict[str, Any]], key: Path | None, checks: Checks) -> None:
    """Hold the newest envelope against the folder, and its signature against the signer's public key."""
    paths = sorted((folder / "signatures").glob("*.json"))
    if not paths:
        checks.none("the dossier is signed", "no envelope" if key else "")
        return
    envelope = read_json(paths[-1].read_bytes(), paths[-1].name)
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"], validate=True)
    stated = read_json(payload, "what is signed")
    checks.same("the envelope's kind", stated["predicateType"], "urn:assay:dossier:1")
    lying = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): sha256(path.read_bytes()) for path in lying}
    found = {
        name: one for name, one in found.items() if name.split("/")[0] not in {"signatures", "timings.json"}
    }
    signed = {one["name"]: one["digest"]["sha256"] for one in stated["subject"]}
    differing = sorted(name for name in {*found, *signed} if found.get(name) != signed.get(name))
    checks.none("the files are those that were signed", differing)
    last = f"records/{len(records) - 1:02d}-{records[-1]['step']}.json"
    checks.same("the signed head is that of the last record", stated["predicate"]["head"], found[last])
    if key is None:
        say("unchecked  the signature: name the signer's public key")
        return
    public = base64.b64decode("".join(key.read_text(encoding="ascii").split("-----")[2].split()))
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    signatures = {one["keyid"]: base64.b64decode(one["sig"]) for one in envelope["signatures"]}
    by = signatures.get(sha256(public), b"")
    holds = public.startswith(SPKI) and len(by) == 64 and is_signature(by, message, public[len(SPKI) :])
    checks.none("the signature is that of the given key", "" if holds else sorted(signatures))


def verify(folder: Path, checks: Checks, key: Path | None = None) -> list[str]:
    """Make every check; returns the verdicts reached here."""
    records = check_chain(folder, checks)
    check_signatures(folder, records, key, checks)
    check_files(folder, records, checks)
    check_order(records, checks)
    bodies = {record["step"]: record["body"] for record in records}  # the last `ending` counts
    plan = read_json((folder / "plan.json").read_bytes(), "plan.json")
    check_plan(plan, bodies["plan"], checks)
    check_named(records, plan, checks)
    check_digests(bodies, checks)
    check_refused(bodies, checks)
    check_made(plan, bodies.get("freeze", {}), checks)
    if "freeze" in bodies:
        check_promises(plan, bodies["freeze"], checks)
    verdicts: list[str] = []
    if "opening" in bodies:
        (files,) = [record["files"] for record in records if record["step"] == "opening"]
        vouched = {file["path"] for file in files}
        cubes = check_sets(folder, plan["judgement"], bodies["opening"], vouched, checks)
        check_noise(folder, plan, bodies["plan"]["name"], checks)
        if isinstance(cubes["test"], Cube):
            check_clients(plan, bodies, cubes["test"], checks)
        if "verdicts" in bodies:
            filed = read_json((folder / "training_cube.json").read_bytes(), "training_cube.json")
            training = read_cube(filed, checks)
            verdicts = check_verdicts(bodies, plan, cubes, training, checks)
    check_ending(bodies["ending"]["ending"], verdicts, checks)
    if any(record["step"] in REVIEW for record in records):
        check_review(folder, records, plan, checks)
    return verdicts


def check_review(folder: Path, records: list[dict[str, Any]], plan: dict[str, Any], checks: Checks) -> None:
    """Each answer is signed by a reviewer of the plan for this packet; an alias takes two approvals."""
    bodies = {record["step"]: record["body"] for record in records}
    packet, awaits = bodies["review-packet"], bodies["registration"]["awaits"]
    (at,) = [record["index"] for record in records if record["step"] == "review-packet"]
    head = sha256((folder / "records" / f"{at:02d}-review-packet.json").read_bytes())
    reviewers = {name: raw_key(text) for name, text in plan["operations"]["review"]["reviewers"].items()}
    approved = []
    for record in records:
        if record["step"] != "review-answer":
            continue
        name, signed = record["body"]["reviewer"], record["body"]["signed"]
        answers = signed["answers"]
        message = json.dumps(answers, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        holds = is_signature(bytes.fromhex(signed["signature"]), message, reviewers[name])
        checks.none(f"the answers of {name} are signed with their key", "" if holds else "they are not")
        meant = [answers["model"], answers["version"], answers["packet"], answers["head"], answers["key"]]
        own = [packet["model"], packet["version"], packet["digest"], head, sha256(SPKI + reviewers[name])]
        checks.same(f"the answers of {name} are on this packet", meant, own)
        checks.same(f"{name} decided every case", len(answers["decisions"]), packet["cases"])
        started = name.casefold() == awaits["author"].casefold()
        checks.none(f"{name} did not start the run", "they did" if started else "")
        approved += [name] if answers["verdict"] == "approve" else []
    if (ended := bodies.get("review")) is not None and ended["alias"] is not None:
        checks.same("two reviewers approved", len(set(approved)), 2)
        checks.same("the alias is the one awaited", ended["alias"], awaits["alias"])
        checks.none("nobody rubber-stamped", ended["rubber_stamps"])


def raw_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM, hex or base64."""
    if "BEGIN" in text:
        return base64.b64decode("".join(text.split("-----")[2].split()))[len(SPKI) :]
    plain = "".join(text.split())
    return bytes.fromhex(plain) if len(plain) == 64 else base64.b64decode(plain)


def main(arguments: list[str]) -> int:
    """Verify the dossier named on the command line; returns the exit code."""
    if len(arguments) not in {1, 2} or not Path(arguments[0]).is_dir():
        say(str(__doc__))
        return 2
    checks, verdicts = Checks(), []
    try:
        verdicts = verify(Path(arguments[0]), checks, *map(Path, arguments[1:]))
    except (UnreadableError, OSError, LookupError, TypeError, ValueError) as error:
        checks.none("the dossier reads as the page describes it", f"{type(error).__name__}: {error}")
    if checks.differences:
        say(f"\n{len(checks.differences)} differences: " + "; ".join(checks.differences))
        return 3
    say("\neverything agrees")
    return 4 if "INCONCLUSIVE" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

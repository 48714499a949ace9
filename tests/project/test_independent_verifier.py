"""A verifier that shares no code with us reaches our verdicts, and names what was tampered with."""

import ast
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ConfigDict

from tasks.evaluate.evaluate import count_labels, evaluate, quantile_edges
from tasks.evaluate.records import Evaluated, Opened
from tasks.evidence.digest import digest_file
from tasks.evidence.dossier import Dossier
from tasks.evidence.keys import signing_key
from tasks.evidence.records import Record
from tasks.evidence.signature import sign_dossier
from tasks.fairness import Cube
from tasks.fairness.allowance import Allowance
from tasks.fairness.counts import judge_sets, read_counts
from tasks.fairness.verdict import Verdict, Verdicts
from tasks.model.noise import RandomisedResponse
from tasks.plan import lock
from tasks.plan.judgement import Judgement
from tasks.plan.load import parse_plan, read_document

PROJECT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("independent_verifier.py")
DIFFERS, UNDECIDED = 3, 4
CATEGORY = {"type": "category"}
CLASSES = {"column": "y", "values": ["no", "yes"], "positive": "yes"}
SEEDS = range(8)
TEN = [
    f"{family}_{kind}"
    for family in (
        "demographic_parity",
        "equal_opportunity",
        "equalized_odds",
        "predictive_parity",
        "accuracy",
    )
    for kind in ("difference", "ratio")
]
MORE = [
    "conditional_use_accuracy_ratio",
    "predictive_equality_difference",
    "fnr_ratio",
    "tnr_difference",
    "npv_minimum",
]
MORE += ["fdr_maximum", "for_difference", "selection_rate_minimum", "tpr_minimum", "base_rate_maximum"]
ABOUT = {"difference": (0.03, 0.4), "ratio": (0.5, 0.95), "minimum": (0.05, 0.9), "maximum": (0.1, 0.9)}
"""Limits drawn for each kind."""
ENDINGS = {Verdict.PASS: "Registered", Verdict.FAIL: "Refused", Verdict.INCONCLUSIVE: "Undecided"}


class Found(Record):
    """What a step found, of any form."""

    model_config = ConfigDict(extra="allow", frozen=True)


def _load_main() -> Callable[[list[str]], int]:
    spec = importlib.util.spec_from_file_location("independent_verifier", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    main: Callable[[list[str]], int] = module.main
    return main


verify = _load_main()


def rows(labels: dict[tuple[str, str], tuple[int, float, float, float]], seed: int) -> pl.DataFrame:
    """Rows of groups (a, b) -> (rows, share of positives, TPR, FPR), with scores to match."""
    rng = np.random.default_rng(seed)
    frames = []
    for (a, b), (n, base, tpr, fpr) in labels.items():
        label = rng.random(n) < base
        chosen = rng.random(n) < np.where(label, tpr, fpr)
        score = (rng.random(n) + chosen).astype(np.float32) / 2
        columns = {"label": np.where(label, "yes", "no"), "prediction": np.where(chosen, "yes", "no")}
        frames.append(pl.DataFrame({"a": [a] * n, "b": [b] * n, "score": score, **columns}))
    return pl.concat(frames)


def opened(
    rows: pl.DataFrame, judgement: Judgement, folder: Path, on: str, edges: list[float] | None
) -> Evaluated:
    """A set of rows with its files."""
    ids = pl.int_range(len(rows), eager=True)
    digests = pl.Series([f"{i:016x}" for i in range(len(rows))])
    predictions = rows.drop("a", "b", "label").with_columns(row_id=ids, row_digest=digests)
    edges = edges or list(quantile_edges(rows["score"].to_list(), 10))
    return evaluate(predictions, rows.select("a", "b", "label"), judgement, edges, folder, on)


def write(
    folder: Path,
    test: pl.DataFrame,
    train: pl.DataFrame,
    limits: list[Any],
    audits: dict[str, pl.DataFrame] | None = None,
    *,
    label: dict[str, Any] = CLASSES,
    edges: list[float] | None = None,
    model: dict[str, Any] | None = None,
    **more: Any,
) -> Verdicts:
    """A whole dossier without a training run; audit sets have the limits of the test part.

    Of a ``model`` with noise the plan asks for it, and what was told has it already.
    """
    noise = (model or {}).get("noise")
    document = read_document(PROJECT / "data/adult/plan.yaml")
    document["judgement"] = {
        "data": {
            "kind": "tabular",
            "sources": [{"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}],
            "format": {"type": "csv"},
            "columns": {"a": CATEGORY, "b": CATEGORY},
            "label": label,
        },
        "test_set": {"fraction": 0.5, "max_judgements": 1},
        "protected": {"a": {"column": "a"}, "b": {"column": "b"}},
        "expectations": {"minimum_rows": {"train": 1}},
        "performance": [{"metric": "accuracy", "minimum": 0.5}],
        "limits": limits,
        **more,
    }
    own = {name: document["judgement"][name] for name in ("data", "protected", "limits")}
    document["judgement"]["audits"] = dict.fromkeys(audits or {}, own)
    document["recipe"]["mitigation"] = []
    document["recipe"]["answers"] = noise and {name: noise[name] for name in ("epsilon", "budget")}
    plan = parse_plan("adult", document, where="a test")
    dossier, judgement = Dossier(folder), plan.judgement
    dossier.add("plan", lock(plan, [], PROJECT / "data", folder))
    (folder / "environment.json").write_text("{}")
    dossier.add("environment", Found())
    trained = count_labels(train, judgement)
    (folder / "training_cube.json").write_bytes(trained.to_json())
    dossier.add("representativeness", Found())
    (folder / "model").mkdir()
    (folder / "model" / "weights.safetensors").write_text("weights")
    (folder / "model" / "model.json").write_text(json.dumps(model or {}))
    dossier.add("freeze", Found())
    dossier.add("spending", Allowance(alpha=judgement.alpha, number=1, max_judgements=1, rows=len(test)))
    sets = {"test": test, **(audits or {})}
    filed = {on: opened(frame, judgement.sets[on], folder, on, edges) for on, frame in sets.items()}
    found = dossier.add("opening", Opened(**dict(filed.pop("test")), audits=filed))
    cubes = {on: read_counts(path.read_bytes()) for on, path in found.cubes(folder).items()}
    judged = judge_sets(cubes, trained, plan.gate, judgement.alpha)
    verdicts = dossier.add("verdicts", Verdicts(judged=tuple(judged)))
    dossier.add("ending", Found(ending=ENDINGS[verdicts.verdict], message=verdicts.summary))
    return verdicts


HOURS = {"column": "y", "type": "number", "minimum": 0, "maximum": 60}
NUMBERS = [
    *(("residual_difference", "a", limit) for limit in (0.4, 4.0)),
    *(("mae_difference", on, limit) for on in ("a", "b", "a x b") for limit in (0.1, 6.0)),
    *((metric, "a", limit) for metric in ("mae_ratio", "mse_ratio") for limit in (0.3, 0.97)),
    *((metric, "b", limit) for metric in ("mae_maximum", "rmse_maximum") for limit in (1.0, 30.0)),
    ("rmse_difference", "a", 9.0),
    ("mean_prediction_difference", "a", 5.0),
    *(("parity_maximum", "a", limit) for limit in (0.02, 0.5)),
]
EDGES = [7.5, 12.0, 19.0, 20.0, 26.5, 31.0, 44.0]


def hours(cells: dict[tuple[str, str], tuple[int, float, float]], seed: int) -> pl.DataFrame:
    """Rows of groups (a, b) -> (rows, how far predictions lie too high, spread of their errors)."""
    rng = np.random.default_rng(seed)
    frames = []
    for (a, b), (n, offset, spread) in cells.items():
        truth = np.clip(rng.normal(25, 9, n), 0, 60)
        told = np.clip(truth + offset + rng.normal(0, spread, n), 0, 60).astype(np.float32)
        frames.append(pl.DataFrame({"a": [a] * n, "b": [b] * n, "label": truth, "prediction": told}))
    return pl.concat(frames)


def write_hours(
    folder: Path,
    test: pl.DataFrame,
    train: pl.DataFrame,
    audit: pl.DataFrame,
    limited: Sequence[tuple[str, str, float]] = NUMBERS,
    **more: Any,
) -> Verdicts:
    """A dossier of a predicted number with an audit set."""
    limits = [{"metric": metric, "attribute": on, "limit": limit} for metric, on, limit in limited]
    performance = [{"metric": "r2", "minimum": 0.1}]
    own: dict[str, Any] = {"label": HOURS, "edges": EDGES, "performance": performance, **more}
    return write(folder, test, train, limits, {"other": audit}, **own)


def agreed(folder: Path, verdicts: Verdicts, capsys: pytest.CaptureFixture[str]) -> None:
    """The verifier reaches every verdict by itself."""
    code = verify([str(folder)])
    printed = capsys.readouterr().out
    assert "DIFFERENT" not in printed, [line for line in printed.splitlines() if line.startswith("DIFF")]
    assert code == (UNDECIDED if any(one.verdict is Verdict.INCONCLUSIVE for one in verdicts.judged) else 0)
    for one in verdicts.judged:
        assert f"{one.metric} by {one.attribute}: verdict {one.verdict}\n" in printed
    assert "unchecked" not in printed


def scenario(seed: int) -> tuple[pl.DataFrame, pl.DataFrame, list[dict[str, Any]], dict[str, Any]]:
    """Random groups, some tiny, some never selected; limits about as large as the gaps; either policy."""
    rng = np.random.default_rng(seed)
    size, spread = int(rng.choice([60, 400, 2500])), rng.choice([0.02, 0.1, 0.3])
    base, tpr, fpr = rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.9), rng.uniform(0.02, 0.3)

    def near(rate: float) -> float:
        return float(np.clip(rate + spread * rng.uniform(-1, 1), 0, 1))

    cells = {
        (a, b): (int(size * rng.choice([0.05, 0.5, 1, 2])) + 2, near(base), near(tpr), near(fpr))
        for a in "FM"
        for b in ("u", "v", "w")[: int(rng.integers(2, 4))]
    }
    limits = [
        {
            "metric": metric,
            "attribute": str(rng.choice(["a", "b", "a x b"], p=[0.5, 0.3, 0.2])),
            "limit": round(float(rng.uniform(*ABOUT[metric.rsplit("_", 1)[1]])), 3),
        }
        for metric in (*TEN, *MORE)
    ]
    policy = {
        "policy": str(rng.choice(["report", "inconclusive"])),
        "smallest_denominator": int(rng.integers(10, 200)),
    }
    return rows(cells, seed), rows(cells, seed + 1000), limits, {"too_small": policy, "alpha": 0.05}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_dossiers_get_the_same_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    test, train, limits, more = scenario(seed)
    verdicts = write(tmp_path / "run", test, train, limits, **more)
    assert [one.metric for one in verdicts.judged] == [*TEN, *MORE]
    agreed(tmp_path / "run", verdicts, capsys)


def alike(n: int, **groups: tuple[int, float, float, float]) -> pl.DataFrame:
    """Two large groups with nearly the same rates, and others."""
    even = {("F", "u"): (n, 0.4, 0.8, 0.1), ("M", "v"): (n, 0.4, 0.81, 0.1)}
    return rows(even | {(name, "v"): cell for name, cell in groups.items()}, seed=7)


def every(attribute: str, **limits: float) -> list[dict[str, Any]]:
    """Ten metrics of an attribute, with ``limits`` by kind."""
    kinds = {metric: metric.rsplit("_", 1)[1] for metric in TEN}
    return [{"metric": m, "attribute": attribute, "limit": limits[kind]} for m, kind in kinds.items()]


LOOSE = {"difference": 0.2, "ratio": 0.5}
REPORT: dict[str, Any] = {"too_small": {"policy": "report", "smallest_denominator": 40}}


@pytest.mark.parametrize(
    ("test", "train", "more", "expected"),
    [
        pytest.param(alike(3000), alike(3000), {}, {"PASS"}, id="all-pass"),
        pytest.param(
            alike(3000, N=(300, 0.0, 0.5, 0.1)),
            alike(3000),
            {},
            {"INCONCLUSIVE", "FAIL", "PASS"},
            id="no-positives",
        ),
        pytest.param(
            alike(3000, N=(300, 0.4, 0.0, 0.0)),
            alike(3000),
            {},
            {"INCONCLUSIVE", "FAIL", "PASS"},
            id="never-selected",
        ),
        pytest.param(
            alike(3000), alike(3000, N=(300, 0.4, 0.8, 0.1)), {}, {"INCONCLUSIVE"}, id="only-in-training"
        ),
        pytest.param(
            alike(3000), alike(3000, N=(300, 0.4, 0.8, 0.1)), REPORT, {"INCONCLUSIVE"}, id="judged-and-absent"
        ),
        pytest.param(
            alike(3000, N=(30, 0.4, 0.0, 0.0)),
            alike(3000, N=(30, 0.4, 0.0, 0.0)),
            REPORT,
            {"PASS"},
            id="too-small-is-reported",
        ),
        pytest.param(
            alike(3000, N=(190, 0.4, 0.8, 0.1), K=(190, 0.4, 0.8, 0.1)),
            alike(3000),
            REPORT,
            {"INCONCLUSIVE"},
            id="too-many-rows-unjudged",
        ),
        pytest.param(
            alike(6000, N=(230, 0.4, 0.8, 0.1)),
            alike(6000),
            REPORT,
            {"INCONCLUSIVE", "PASS"},
            id="unjudged-yet-large",
        ),
        pytest.param(alike(30), alike(30), REPORT, {"INCONCLUSIVE"}, id="no-group-is-judged"),
    ],
)
def test_each_rule_is_the_same_on_both_sides(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    test: pl.DataFrame,
    train: pl.DataFrame,
    more: dict[str, Any],
    expected: set[str],
) -> None:
    verdicts = write(tmp_path / "run", test, train, every("a", **LOOSE), **more)
    assert {str(one.verdict) for one in verdicts.judged} == expected
    agreed(tmp_path / "run", verdicts, capsys)


def test_a_metric_is_undefined_when_one_of_its_rates_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {("F", "u"): (2000, 0.01, 0.8, 0.1), ("M", "v"): (2000, 0.01, 0.8, 0.1)}
    limit = [{"metric": "equalized_odds_difference", "attribute": "a", "limit": 0.2}]
    verdicts = write(tmp_path / "run", rows(groups, 1), rows(groups, 2), limit, **REPORT)
    assert verdicts.judged[0].not_judged == ("F", "M")
    agreed(tmp_path / "run", verdicts, capsys)


def test_a_group_judged_alone_is_measured_under_a_minimum_and_never_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = [{"metric": f"accuracy_{kind}", "attribute": "a", "limit": 0.5} for kind in ("minimum", "ratio")]
    test = rows({("F", "u"): (3000, 0.4, 0.8, 0.1), ("M", "v"): (20, 0.4, 0.8, 0.1)}, 1)
    verdicts = write(tmp_path / "run", test, test, limits, **REPORT)
    alone, pair = verdicts.judged
    assert alone.measurement is not None
    assert pair.measurement is None
    assert {alone.verdict, pair.verdict} == {Verdict.INCONCLUSIVE}
    agreed(tmp_path / "run", verdicts, capsys)


def test_the_true_classes_may_be_the_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = [
        {"metric": "accuracy_minimum", "attribute": "label", "limit": 0.75},
        {"metric": "accuracy_difference", "attribute": "label x a", "limit": 0.3},
        {"metric": "accuracy_ratio", "attribute": "a x label", "limit": 0.97},
    ]
    verdicts = write(tmp_path / "run", alike(3000), alike(3000), limits)
    assert {rate.group for rate in verdicts.judged[0].groups} == {"no", "yes"}
    assert {rate.group for rate in verdicts.judged[2].groups} == {"F x no", "F x yes", "M x no", "M x yes"}
    assert [one.verdict for one in verdicts.judged] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    agreed(tmp_path / "run", verdicts, capsys)


def test_it_holds_raked_weights_to_their_margins(capsys: pytest.CaptureFixture[str]) -> None:
    y = np.arange(200) % 2
    plain = Cube.from_arrays(y, y, {"a": np.repeat(["F", "M"], 100), "b": np.tile(["u", "v"], 100)})
    cells = {"u x F": 0.35, "v x F": 0.35, "u x M": 0.1, "v x M": 0.2}
    value = json.loads(plain.raked({"a": {"F": 0.7, "M": 0.3}, "b x a": cells}).to_json())
    program = sys.modules["independent_verifier"]
    for moved, found in ((0.0, 0), (0.01, 1)):
        value["margins"][1]["shares"]["u x F"] += moved
        checks = program.Checks()
        program.check_margins(value, program.read_cube(value, checks), checks)
        assert len(checks.differences) == found
    assert "cube: weights have the margin b x a: ['u x F']" in capsys.readouterr().out


def test_what_it_does_not_recompute_it_says_and_still_holds_to_its_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"f1_difference": 0.2, "auc_minimum": 0.5, "equalized_odds_sum": 0.3, "abroca": 0.3}
    limits = [{"metric": name, "attribute": "a", "limit": limit} for name, limit in names.items()]
    limits.append({"metric": "tpr_difference", "attribute": "a", "limit": 0.2})
    verdicts = write(tmp_path / "run", alike(3000), alike(3000), limits)
    assert verify([str(tmp_path / "run")]) == (UNDECIDED if "INCONCLUSIVE" in verdicts.summary else 0)
    printed = capsys.readouterr().out
    assert all(f"unchecked  {name} by a" in printed for name in names)
    record = tmp_path / "run/records/06-verdicts.json"
    edit_json(record, lambda one: one["body"]["judged"][0].update(verdict="FAIL"))
    forge(tmp_path / "run")
    assert any(
        "f1_difference by a: verdict follows" in line for line in differences(tmp_path / "run", capsys)
    )


# Tampering: first a file alone, then by a forger who makes every digest fit again.


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """A dossier whose verdicts all PASS."""
    verdicts = write(tmp_path / "run", alike(3000), alike(3000), every("a", **LOOSE))
    assert verdicts.verdict is Verdict.PASS
    return tmp_path / "run"


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    """A dossier with a FAIL."""
    limits = every("a", difference=0.2, ratio=0.9)
    verdicts = write(tmp_path / "run", alike(3000, N=(900, 0.4, 0.1, 0.0)), alike(3000), limits)
    assert verdicts.verdict is Verdict.FAIL
    return tmp_path / "run"


def test_audit_sets_are_judged_with_the_test_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = every("a", **LOOSE)
    alone = write(tmp_path / "alone", alike(3000), alike(3000), limits)
    fair, unfair = alike(900), rows({("F", "u"): (900, 0.4, 0.9, 0.1), ("M", "v"): (900, 0.4, 0.2, 0.6)}, 5)
    verdicts = write(tmp_path / "run", alike(3000), alike(3000), limits, {"fair": fair, "unfair": unfair})
    agreed(tmp_path / "run", verdicts, capsys)
    assert [one.on for one in verdicts.judged] == ["test"] * 10 + ["fair"] * 10 + ["unfair"] * 10
    assert {one.comparisons for one in verdicts.judged} == {3 * alone.judged[0].comparisons}
    assert verdicts.verdict is Verdict.FAIL, "one set that fails is enough"
    assert all(line.startswith("on unfair, ") for line in verdicts.problems)
    move = tmp_path / "run" / "cube-unfair.json"
    edit_json(move, move_a_row)
    forge(tmp_path / "run")
    assert any("groups, their counts" in line for line in differences(tmp_path / "run", capsys))


ALIKE = {("F", "u"): (2000, 0.1, 4.0), ("M", "u"): (1800, 0.0, 4.1), ("M", "v"): (900, 0.0, 4.0)}
APART = {**ALIKE, ("F", "v"): (700, 9.0, 11.0)}
LACKING = {**ALIKE, ("N", "v"): (60, 0.0, 4.0)}


@pytest.mark.parametrize(
    ("test", "train", "more", "expected"),
    [
        (ALIKE, ALIKE, {}, {"PASS", "FAIL", "INCONCLUSIVE"}),
        (APART, APART, REPORT, {"PASS", "FAIL", "INCONCLUSIVE"}),
        (LACKING, ALIKE, REPORT, {"PASS", "FAIL", "INCONCLUSIVE"}),
        (ALIKE, LACKING, {}, {"PASS", "FAIL", "INCONCLUSIVE"}),
    ],
    ids=["alike", "apart", "not-in-training", "only-in-training"],
)
def test_verdicts_of_numbers_are_recomputed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    test: dict[tuple[str, str], tuple[int, float, float]],
    train: dict[tuple[str, str], tuple[int, float, float]],
    more: dict[str, Any],
    expected: set[str],
) -> None:
    verdicts = write_hours(tmp_path / "run", hours(test, 1), hours(train, 2), hours(APART, 3), **more)
    assert {str(one.verdict) for one in verdicts.judged} == expected
    assert len(verdicts.judged) == 2 * len(NUMBERS)
    agreed(tmp_path / "run", verdicts, capsys)


@pytest.fixture(scope="module")
def of_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dossier of a predicted number with few limits."""
    folder = tmp_path_factory.mktemp("hours") / "run"
    few = [NUMBERS[0], ("mae_difference", "a", 0.1), ("mae_difference", "a", 6.0)]
    write_hours(folder, hours(ALIKE, 1), hours(ALIKE, 2), hours(APART, 3), few)
    return folder


def a_sum(folder: Path) -> None:
    def less(cube: Any) -> None:
        cube["tables"][0]["sums"][0][2] -= 900

    edit_json(folder / "cube.json", less)


def a_node(folder: Path) -> None:
    def nearer(cube: Any) -> None:
        own = cube["tables"][0]["nodes"]["residual"][0]
        far = max(i for i, weight in enumerate(own) if weight >= 0.3)
        own[far], own[128] = own[far] - 0.3, own[128] + 0.3

    edit_json(folder / "cube.json", nearer)


def a_bin(folder: Path) -> None:
    def lower(cube: Any) -> None:
        for table in cube["tables"]:
            table["counts"][0][3] -= 1
            table["counts"][0][2] += 1

    edit_json(folder / "cube-other.json", lower)


def a_number(folder: Path) -> None:
    path = folder / "predictions.csv"
    head, first, *others = path.read_text().splitlines()
    path.write_text("\n".join([head, first.rpartition(",")[0] + ",59.5", *others]) + "\n")


def a_bound(folder: Path) -> None:
    def wider(record: Any) -> None:
        one = record["body"]["judged"][1]
        one["high"] += 0.01

    edit_json(folder / "records/06-verdicts.json", wider)


def a_verdict(folder: Path) -> None:
    def passed(record: Any) -> None:
        for one in record["body"]["judged"]:
            one["verdict"] = "PASS"

    edit_json(folder / "records/06-verdicts.json", passed)
    edit_json(folder / "records/07-ending.json", lambda one: one["body"].update(ending="Registered"))


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (a_sum, "cube: table a: nodes of the residual add up to the sum of its sizes"),
        (a_node, "cube: table a: nodes of the residual add up to its rows and sum"),
        (a_bin, "cube: table a against the predictions: histogram"),
        (a_number, "cube: table a against the predictions: sum"),
        (a_bound, "mae_difference by a: bounds"),
        (a_verdict, "residual_difference by a: verdict INCONCLUSIVE"),
    ],
)
def test_what_was_changed_of_numbers_is_named_though_every_digest_fits(
    of_hours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tamper: Callable[[Path], None],
    named: str,
) -> None:
    shutil.copytree(of_hours, tmp_path / "run")
    tamper(tmp_path / "run")
    forge(tmp_path / "run")
    found = differences(tmp_path / "run", capsys)
    assert any(named in line for line in found), found
    assert not any("file " in line or "follows the record" in line for line in found)


def test_a_file_of_an_audit_set_without_a_voucher_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "run", alike(300), alike(300), every("a", **LOOSE), {"more": alike(300)})

    def unvouched(record: Any) -> None:
        record["files"] = [file for file in record["files"] if file["path"] != "cube-more.json"]

    edit_json(tmp_path / "run/records/05-opening.json", unvouched)
    forge(tmp_path / "run")
    named, unvouched_for = differences(tmp_path / "run", capsys)
    assert "opening: files in its body are those vouched for: ['cube-more.json']" in named
    assert "opening vouches for the files of the audit sets: ['cube-more.json']" in unvouched_for


NOISY = {
    "rule": {"classes": CLASSES["values"]},
    "noise": RandomisedResponse(2.0, 20.0, 2, "adult").to_json(),
}
GAPS = [
    {"metric": f"{name}_difference", "attribute": "a", "limit": limit}
    for name, limit in (("demographic_parity", 0.2), ("equal_opportunity", 0.02), ("accuracy", 0.3))
]


def told(decided: pl.DataFrame, *, noisy: bool = True) -> pl.DataFrame:
    """What a model with noise tells of rows, as `opened` numbers them."""
    classes, digest = CLASSES["values"], hashlib.sha256(json.dumps(NOISY).encode()).hexdigest()
    places = np.array([classes.index(name) for name in decided["prediction"]])
    if noisy:
        noise, digests = (
            RandomisedResponse.from_json(NOISY["noise"]),
            [f"{i:016x}" for i in range(len(places))],
        )
        places = noise.judged(places, digests, digest)
    return decided.with_columns(
        score=pl.Series(places, dtype=pl.Float32), prediction=pl.Series([classes[place] for place in places])
    )


def write_noisy(folder: Path, *, noisy: bool = True) -> Verdicts:
    """A dossier of answers with noise, on the test part and on an audit set."""
    sets = [told(alike(n), noisy=noisy) for n in (6000, 2000)]
    return write(folder, sets[0], alike(6000), GAPS, {"other": sets[1]}, edges=[0.5], model=NOISY)


@pytest.fixture(scope="module")
def of_answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dossier of answers with noise."""
    folder = tmp_path_factory.mktemp("answers") / "run"
    write_noisy(folder)
    return folder


def test_answers_with_noise_are_held_to_narrower_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = write_noisy(tmp_path / "run")
    contrast = RandomisedResponse.from_json(NOISY["noise"]).contrast
    expected = [limit["limit"] * contrast for limit in GAPS]
    assert [one.limit for one in verdicts.judged[:3]] == pytest.approx(expected)
    assert {one.verdict for one in verdicts.judged} == {Verdict.PASS, Verdict.INCONCLUSIVE}
    agreed(tmp_path / "run", verdicts, capsys)


def test_answers_that_have_no_noise_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_noisy(tmp_path / "run", noisy=False)
    alike_where = "decisions are alike where they were told and where not: [0, 1]"
    assert differences(tmp_path / "run", capsys) == [
        f"DIFFERENT  predictions{mark}: {alike_where}" for mark in ("", "-other")
    ]


def other_noise(folder: Path) -> None:
    edit_json(folder / "model/model.json", lambda model: model["noise"].update(budget=99.0))


def no_noise(folder: Path) -> None:
    edit_json(folder / "model/model.json", lambda model: model.pop("noise"))


def less_promised(folder: Path) -> None:
    """The plan asks for less noise than there is."""
    edit_json(folder / "plan.json", lambda plan: plan["recipe"]["answers"].update(epsilon=3.0))


def nothing_promised(folder: Path) -> None:
    edit_json(folder / "plan.json", lambda plan: plan["recipe"].update(answers=None))


def a_score(folder: Path) -> None:
    edit(folder / "predictions.csv", ",1.0,yes\n", ",0.0,yes\n")


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (other_noise, "the model's noise: found"),
        (no_noise, "the model's noise: found None"),
        (less_promised, "demographic_parity_difference by a: limit, alpha and comparisons"),
        (nothing_promised, "the model answers without noise: found"),
        (a_score, "predictions: score says what was told"),
    ],
)
def test_what_was_changed_of_answers_with_noise_is_named_though_every_digest_fits(
    of_answers: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tamper: Callable[[Path], None],
    named: str,
) -> None:
    shutil.copytree(of_answers, tmp_path / "run")
    tamper(tmp_path / "run")
    forge(tmp_path / "run")
    assert any(named in line for line in differences(tmp_path / "run", capsys))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def forge(folder: Path) -> None:
    """Make every digest of a dossier fit what is there now."""
    plan, previous = json.loads((folder / "plan.json").read_text()), "0" * 64
    for path in sorted((folder / "records").iterdir()):
        record = json.loads(path.read_text())
        record["previous"] = previous
        for file in record["files"]:
            file |= {
                "sha256": digest_file(folder / file["path"]),
                "bytes": (folder / file["path"]).stat().st_size,
            }
        if record["step"] == "plan":
            for block in record["body"]["digests"]:
                text = json.dumps(plan[block], separators=(",", ":"), ensure_ascii=False)
                record["body"]["digests"][block] = hashlib.sha256(text.encode()).hexdigest()
        path.write_text(json.dumps(record))
        previous = digest_file(path)


def differences(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the verifier names, which must be something."""
    assert verify([str(folder)]) == DIFFERS
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("DIFFERENT")]


def move_a_row(cube: Any) -> None:
    """One right prediction of "no" becomes "yes" in the counts."""
    cell = next(row for group in cube["counts"] for row in group if row[0][0] > 0)
    cell[0][0] -= 1
    cell[0][1] += 1


def loosen(plan: Any) -> None:
    plan["judgement"]["limits"][0]["limit"] = 0.19


def more_rows(record: Any) -> None:
    record["body"]["rows"] += 1


def a_prediction(folder: Path) -> None:
    edit(folder / "predictions.csv", ",yes\n", ",no\n")


def a_count(folder: Path) -> None:
    edit_json(folder / "cube.json", move_a_row)


def a_limit(folder: Path) -> None:
    edit_json(folder / "plan.json", loosen)


def a_record(folder: Path) -> None:
    edit_json(folder / "records/05-opening.json", more_rows)


def a_weight(folder: Path) -> None:
    (folder / "model/weights.safetensors").write_text("others")


def a_row_less(folder: Path) -> None:
    path = folder / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


TAMPERED: list[tuple[Callable[[Path], None], str, str]] = [
    (a_count, "file cube.json vouched for by opening", "groups, their counts and who is judged"),
    (a_limit, "file plan.json vouched for by plan", "limit, alpha and comparisons"),
    (a_prediction, "file predictions.csv vouched for by opening", "cube: predictions by class"),
    (a_row_less, "file predictions.csv vouched for by opening", "cube: total = lines of predictions.csv"),
    (a_record, "record 06-verdicts.json follows the record before", "opening: rows"),
]


@pytest.mark.parametrize(("tamper", "named", "_"), TAMPERED)
def test_what_was_changed_is_named(
    registered: Path, capsys: pytest.CaptureFixture[str], tamper: Callable[[Path], None], named: str, _: str
) -> None:
    tamper(registered)
    assert any(named in line for line in differences(registered, capsys))


@pytest.mark.parametrize(("tamper", "_", "named"), TAMPERED)
def test_what_was_changed_is_named_though_every_digest_fits(
    registered: Path, capsys: pytest.CaptureFixture[str], tamper: Callable[[Path], None], _: str, named: str
) -> None:
    tamper(registered)
    forge(registered)
    found = differences(registered, capsys)
    assert any(named in line for line in found)
    assert not any("file " in line or "follows the record" in line for line in found)


def test_a_changed_weight_is_named(registered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_weight(registered)
    (named,) = differences(registered, capsys)
    assert "file model/weights.safetensors vouched for by freeze" in named


def test_a_changed_plan_block_is_named_by_its_digest(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_limit(registered)
    assert any("digest of the plan's judgement" in line for line in differences(registered, capsys))


def test_a_forged_verdict_and_ending_are_named(refused: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def all_pass(record: Any) -> None:
        for one in record["body"]["judged"]:
            one["verdict"] = "PASS"

    edit_json(refused / "records/06-verdicts.json", all_pass)
    edit(refused / "records/07-ending.json", "Refused", "Registered")
    forge(refused)
    found = differences(refused, capsys)
    assert any("verdict FAIL: found 'PASS', expected 'FAIL'" in line for line in found)
    assert any("the ending Refused follows from the verdicts" in line for line in found)


def test_a_level_that_does_not_follow_from_the_plan_is_named(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_json(registered / "records/04-spending.json", lambda one: one["body"].update(alpha=0.1))
    forge(registered)
    assert any("the level in force" in line for line in differences(registered, capsys))


def test_a_verdict_where_the_ledger_allowed_none_is_named(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_json(registered / "records/04-spending.json", lambda one: one["body"].update(problem="used up"))
    forge(registered)
    found = differences(registered, capsys)
    assert any("no verdict where the ledger allowed none" in line for line in found)
    assert any("the ending Undecided follows" in line for line in found)


def test_a_group_kept_from_judgement_against_the_plan_is_named(
    refused: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def hide(record: Any) -> None:
        for group in (group for one in record["body"]["judged"] for group in one["groups"]):
            group["judged"] = group["group"] != "N"

    edit_json(refused / "records/06-verdicts.json", hide)
    forge(refused)
    assert any("who is judged" in line for line in differences(refused, capsys))


def test_an_opening_before_the_freeze_is_named(registered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = registered / "records"
    (records / "03-freeze.json").rename(records / "aside")
    (records / "05-opening.json").rename(records / "03-opening.json")
    (records / "aside").rename(records / "05-freeze.json")
    edit(records / "03-opening.json", '"index": 5', '"index": 3')
    edit(records / "05-freeze.json", '"index": 3', '"index": 5')
    forge(registered)
    assert any("freeze precedes spending" in line for line in differences(registered, capsys))


def test_rows_made_by_other_steps_or_other_in_sum_are_named(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"made_by": {"synthesis": 50, "resampling": 70}, "made_rows": 100}
    edit_json(registered / "records/03-freeze.json", lambda record: record["body"].update(made))
    forge(registered)
    assert [
        line.partition("freeze: ")[2].partition(" made")[0] for line in differences(registered, capsys)
    ] == [
        *("rows", "rows"),
    ]
    steps = [{"kind": "synthesis"}, {"kind": "resampling"}]
    edit_json(registered / "plan.json", lambda plan: plan["recipe"].update(mitigation=steps))
    edit_json(registered / "records/03-freeze.json", lambda record: record["body"].update(made_rows=120))
    forge(registered)
    assert verify([str(registered)]) == 0
    assert "freeze: rows made, by kind and in all" in capsys.readouterr().out


def body_of(folder: Path, step: str, **values: Any) -> None:
    """Give a record's body these values, every digest made to fit."""
    (path,) = (folder / "records").glob(f"*-{step}.json")
    edit_json(path, lambda record: record["body"].update(values))
    forge(folder)


REFERENCE = {"path": "weights.safetensors", "sha256": "0" * 64, "bytes": 7}
PLACED = {"path": "raw/a.csv", "sha256": "0" * 64, "bytes": 7}
PART = {"file": PLACED, "rows": 9}
DATA = {"sources": [PLACED], "train": PART, "test": PART, "audits": {}, "digest": "1" * 64}
UNMET = {"expectations": [{"rule": "at least 3000 rows", "met": False}], "problems": []}


@pytest.mark.parametrize(
    ("step", "values", "named"),
    [
        ("environment", {"packages": "0" * 64}, "environment.json is the one that is pinned"),
        ("representativeness", {"problems": ["too few"]}, "the data that was learned from was not refused"),
        ("representativeness", UNMET, ""),  # these are validation's
        ("freeze", {"files": [REFERENCE], "digest": "0" * 64}, "freeze: digest of its files"),
        ("freeze", {"files": [REFERENCE]}, "freeze: files in its body are those vouched for"),
        ("freeze", {"privacy": {"epsilon": 1}}, "freeze: privacy is on record where the plan asks for it"),
        ("opening", {"cube": REFERENCE | {"path": "cube.json"}}, "opening: files in its body are"),
        ("opening", {"clients": ["u", "v"]}, "opening: clients where training is federated"),
        ("spending", {"max_judgements": 9}, "max_judgements are the plan's"),
    ],
)
def test_a_body_that_other_records_files_or_the_plan_contradict_is_named(
    registered: Path, capsys: pytest.CaptureFixture[str], step: str, values: dict[str, Any], named: str
) -> None:
    body_of(registered, step, **values)
    if not named:
        assert verify([str(registered)]) == 0
        return
    assert any(named in line for line in differences(registered, capsys))


def test_of_federated_training_it_checks_who_counted(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    federated = {"clients": "b", "minimum_clients": 2}
    edit_json(registered / "plan.json", lambda plan: plan["recipe"].update(federated=federated))
    levels = json.loads((registered / "cube.json").read_text())["axes"][1]["levels"]
    forge(registered)
    assert verify([str(registered)]) == 0  # a dossier from before clients counted
    body_of(registered, "freeze", made_by={})
    told: list[tuple[list[str] | None, str]] = [
        (None, "opening: clients where training is federated"),
        (levels[:1], "opening: clients are at least the plan's minimum"),
        ([*levels, "stranger"], "opening: clients are those with rows in the cube"),
        ([*levels, levels[0]], "opening: clients are different, and sorted"),
    ]
    for clients, named in told:
        body_of(registered, "opening", clients=clients)
        assert any(named in line for line in differences(registered, capsys)), clients
    body_of(registered, "opening", clients=levels)
    assert verify([str(registered)]) == 0


def test_of_private_training_it_checks_the_plans_promise(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"epsilon": 3, "delta": 1e-5}
    edit_json(registered / "plan.json", lambda plan: plan["recipe"].update(privacy=asked))
    for epsilon, delta, named in ((3.1, 1e-5, "freeze: epsilon"), (2.9, 1e-4, "freeze: delta of the plan")):
        body_of(registered, "freeze", privacy={"epsilon": epsilon, "delta": delta})
        assert any(named in line for line in differences(registered, capsys))
    body_of(registered, "freeze", privacy={"epsilon": 2.9, "delta": 1e-5})
    assert verify([str(registered)]) == 0


def test_digests_of_data_and_registered_model_are_computed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = sys.modules["independent_verifier"]
    freeze = {"files": [REFERENCE], "digest": program.compact_digest([["weights.safetensors", "0" * 64]])}
    own = {"artifacts/model/weights.safetensors": "0" * 64}
    for data, files, wrong in (
        (DATA, own, ["data: digest of its files"]),
        (None, own, []),
        (None, {"artifacts/model/weights.safetensors": "1" * 64}, ["registration: the frozen model's files"]),
    ):
        checks = program.Checks()
        bodies = {"freeze": freeze, "registration": {"files": files}}
        program.check_digests(bodies if data is None else {**bodies, "data": data}, checks)
        assert checks.differences == wrong
    assert "DIFFERENT  data: digest" in capsys.readouterr().out


@pytest.mark.parametrize(("place", "agrees"), [(2, False), (3, True), (6, True), (7, False)])
def test_explanations_stand_between_freeze_and_registration(
    capsys: pytest.CaptureFixture[str], place: int, *, agrees: bool
) -> None:
    steps = ["plan", "privacy", "freeze", "spending", "opening", "verdicts", "registration", "ending"]
    steps.insert(place, "explanations")
    program = sys.modules["independent_verifier"]
    checks = program.Checks()
    program.check_order([{"step": step} for step in steps], checks)
    assert (checks.differences == []) is agrees
    assert ("DIFFERENT" in capsys.readouterr().out) is not agrees


def test_a_removed_record_is_named(registered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (registered / "records/03-freeze.json").unlink()
    found = differences(registered, capsys)
    assert any("record 05-opening.json names its place" in line for line in found)
    assert any("freeze precedes spending" in line for line in found)


def test_it_checks_the_signature_with_the_signers_key(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, stranger = signing_key(None, tmp_path / "var"), signing_key(None, tmp_path / "other")
    sign_dossier(registered, key)
    own, other = (str(tmp_path / name / "keys" / "signing.pub") for name in ("var", "other"))
    expected = verify([str(registered)])
    assert verify([str(registered), own]) == expected != DIFFERS
    assert verify([str(registered), other]) == DIFFERS
    forge(registered)  # each record is spelt anew: chain and files agree, the envelope does not
    capsys.readouterr()
    assert verify([str(registered), own]) == DIFFERS
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("DIFFERENT")]
    assert [line.partition(":")[0] for line in told] == [
        "DIFFERENT  the files are those that were signed",
        "DIFFERENT  the signed head is that of the last record",
    ]
    sign_dossier(registered, stranger)
    assert verify([str(registered), other]) == expected
    assert verify([str(registered), own]) == DIFFERS
    shutil.rmtree(registered / "signatures")
    assert verify([str(registered), own]) == DIFFERS


def test_it_runs_alone_and_imports_nothing_of_ours(registered: Path) -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "scipy"}
    tree = ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
    imports = [node for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name
        for node in imports
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert {str(name).split(".")[0] for name in names} <= allowed
    command = [sys.executable, "-I", str(PROGRAM), str(registered)]
    done = subprocess.run(command, cwd=registered, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("everything agrees\n")
    assert subprocess.run(command[:3], capture_output=True, check=False).returncode == 2

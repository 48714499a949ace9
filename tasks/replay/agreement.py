"""Whether records agree with each other, with the plan and with the dossier's files: no row is read.

No verdict follows from this, but who alters one record and chains anew is contradicted by the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from tasks.errors import PlanError
from tasks.evaluate.differences import changed_values
from tasks.evidence.digest import digest_of
from tasks.evidence.dossier import Entry
from tasks.ingest.archive import is_archive
from tasks.model.predictor import Predictor
from tasks.plan import Plan

Bodies = Mapping[str, Mapping[str, Any]]
REFERENCE = {"path", "sha256", "bytes"}
IN_DOSSIER = ("validation", "representativeness", "freeze", "opening")
"""Steps whose bodies name files of the dossier; `data` names those of the workspace."""


def disagreements(entries: Sequence[Entry], plan: Plan) -> Iterator[str]:
    """One sentence for each number or digest that another record, the plan or a file's digest contradicts.

    Args:
        entries: of a dossier whose files were compared with what its records vouch for.
        plan: as locked in it.
    """
    bodies = {entry.step: entry.body for entry in entries}
    vouched = {ref.path: ref.model_dump() for entry in entries for ref in entry.files}
    yield from _references(bodies, vouched)
    yield from _pins(bodies, plan, vouched)
    yield from _data(bodies.get("data"), plan)
    yield from _refused(bodies)
    if freeze := bodies.get("freeze"):
        yield from _freeze(freeze, plan)
        yield from _registration(bodies, {ref["path"]: ref["sha256"] for ref in freeze["files"]})


def _references(bodies: Bodies, vouched: Mapping[str, Any]) -> Iterator[str]:
    """What a body says of a file is what its record vouches for."""
    for step in IN_DOSSIER:
        folder = "model/" if step == "freeze" else ""
        for ref in _named(bodies.get(step, {})):
            path = f"{folder}{ref['path']}"
            if vouched.get(path) != {**ref, "path": path}:
                yield f"{step}: {path} has another digest or size than the file that is vouched for"


def _named(value: Any) -> Iterator[dict[str, Any]]:
    """Every reference to a file in a body."""
    if isinstance(value, dict) and set(value) == REFERENCE:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _named(inner)


def _pins(bodies: Bodies, plan: Plan, vouched: Mapping[str, Any]) -> Iterator[str]:
    """Files that a digest elsewhere pins."""
    pinned = {"environment.json": bodies.get("environment", {}).get("packages")}
    if plan.judgement.population is not None:
        pinned[plan.judgement.population.file] = plan.judgement.population.sha256
    for path, sha256 in pinned.items():
        if path in vouched and vouched[path]["sha256"] != sha256:
            yield f"{path}: SHA-256 {vouched[path]['sha256'][:12]}… in the dossier, {sha256!s:.12}… is pinned"


def _data(found: Mapping[str, Any] | None, plan: Plan) -> Iterator[str]:
    """The version's digest is that of its files, and raw files that are no archives are those of the plan."""
    if found is None:
        return
    parts = [found["train"], found["test"], *found["audits"].values()]
    named = [[f"raw/{PurePosixPath(file['path']).name}", file["sha256"]] for file in found["sources"]]
    prepared = [part["file"] for part in parts]
    named += [[f"prepared/{PurePosixPath(file['path']).name}", file["sha256"]] for file in prepared]
    if found["digest"] != digest_of(sorted(named)):
        yield "data: `digest` is not that of the sources and parts on record"
    if plan.judgement.privacy is None:  # else the plan pins what was de-identified, by a keyed hash
        pinned = {one.name: one.sha256 for one in plan.judgement.sources if not is_archive(one.name)}
        on_record = {PurePosixPath(file["path"]).name: file["sha256"] for file in found["sources"]}
        other = [name for name, sha256 in pinned.items() if on_record.get(name) != sha256]
        yield from (f"data: {name} has another SHA-256 on record than in the plan" for name in other)


def _refused(bodies: Bodies) -> Iterator[str]:
    """Nothing is trained on data that was refused."""
    if "freeze" not in bodies:
        return
    for step in ("validation", "representativeness"):
        for problem in bodies[step]["problems"]:
            yield f"{step}: a model was trained on data that is refused: {problem}"
    for found in bodies["validation"]["expectations"]:
        if not found["met"]:
            yield f"validation: not met, and no problem on record: {found['part']}, {found['rule']}"


def _freeze(freeze: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    if freeze["digest"] != digest_of(sorted((ref["path"], ref["sha256"]) for ref in freeze["files"])):
        yield "freeze: `digest` is not that of `files`"
    made = freeze.get("made_by", {})  # dossiers from before rows were told apart have the sum alone
    kinds = {step.kind for step in plan.recipe.mitigation}
    if made and (sum(made.values()) != freeze["made_rows"] or set(made) - kinds):
        yield f"freeze: rows made by step are {made}, {freeze['made_rows']} in all; the plan's steps: {kinds}"
    yield from _promised(freeze.get("privacy"), plan)


def _promised(spent: Mapping[str, Any] | None, plan: Plan) -> Iterator[str]:
    """What a private model promises follows from its noise."""
    asked = plan.recipe.privacy
    if spent is None or asked is None:
        if (spent is None) != (asked is None):
            yield "freeze: privacy is on record without being in the plan, or the other way round"
        return
    if find_spec("opacus") is None:
        told = (
            "a private model's epsilon is computed anew by opacus, which is not installed: pip install opacus"
        )
        raise PlanError("replay", [told])
    # opacus: only private plans have it installed.
    from tasks.privacy.accountant import epsilon_of  # noqa: PLC0415
    from tasks.privacy.records import Mechanism  # noqa: PLC0415

    epsilon = epsilon_of([Mechanism.model_validate(spent["mechanism"])], asked.delta)
    wanted = {"epsilon": epsilon, "delta": asked.delta, "clip": asked.clip}
    yield from (f"freeze: privacy.{p}" for p in changed_values({k: spent[k] for k in wanted}, wanted))


def _registration(bodies: Bodies, frozen: Mapping[str, str]) -> Iterator[str]:
    """The model that was registered is the frozen one."""
    files = bodies.get("registration", {}).get("files")
    if not files:  # nothing was registered, or the dossier is one of the first, which name none
        return
    if other := [name for name, sha256 in frozen.items() if files.get(f"artifacts/model/{name}") != sha256]:
        yield f"registration: {', '.join(other)} registered with another SHA-256 than the freeze's"


def model_problems(freeze: Mapping[str, Any], predictor: Predictor) -> list[str]:
    """What the record of the freeze says of the model that the model's own files contradict."""
    rule, decision = predictor.rule, freeze.get("decision")
    shown = {"score_edges": freeze["score_edges"], "decision": decision}
    own: dict[str, Any] = {"score_edges": list(rule.score_edges), "decision": None}
    if rule.by is not None and decision is not None:
        by, keys = rule.by, ("threshold", "slope", "intercept")
        shown["decision"] = {key: decision[key] for key in ("columns", "metric", "sentence")}
        shown["levels"] = {group["level"]: {key: group[key] for key in keys} for group in decision["groups"]}
        own["decision"] = {"columns": list(by.columns), "metric": by.metric, "sentence": by.sentence}
        own["levels"] = {level: asdict(adjustment) for level, adjustment in by.levels.items()}
    elif rule.by is not None:
        own["decision"] = rule.by.sentence
    return changed_values(shown, own)

"""Replay: rebuild every number of a model from its dossier, and compare."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State

from flows.outcome import VERDICT_EXIT, Outcome
from flows.states import ended
from infra.settings import settings
from tasks.errors import PlanError
from tasks.fairness.verdict import Verdict, Verdicts
from tasks.register.client import connect
from tasks.register.ledger import ledger_problems
from tasks.register.registry import resolve
from tasks.register.verify import download_dossier, registered_problems
from tasks.replay.again import train_again
from tasks.replay.forgotten import forgotten_since, run_without_rows
from tasks.replay.records import Replayed
from tasks.replay.replay import Replay
from tasks.replay.workspace import pinned_sources, rebuild_dataset, workspace_problems


@flow(name="replay", flow_run_name="replay {target}")
def replay(target: str, retrain: bool = False) -> State[Outcome]:  # noqa: FBT001, FBT002 - Prefect draws its form from this
    """Rebuild every number of a model and compare; exit 3 names each mismatch.

    Args:
        target: MODEL@REF (an alias or a version), or a dossier's folder, copied anywhere.
        retrain: train again from the recorded commit and compare the weights.
    """
    with _found(target) as dossier, tempfile.TemporaryDirectory(prefix="assay-replay-") as scratch:
        under_replay = Replay.open(dossier.folder)
        plan = under_replay.plan
        if dossier.problems is not None:
            under_replay.note(
                "registry", dossier.problems, "version, head, registered files and ledger agree"
            )
        if not under_replay.reached("verdicts"):
            return ended(_ended_early(under_replay))
        here, pinned = settings().data / plan.name, pinned_sources(under_replay)
        rebuild = partial(rebuild_dataset, plan, pinned, here, settings().mirror, Path(scratch))
        if told := forgotten_since(plan, here):
            return ended(_outcome(target, run_without_rows(under_replay, rebuild, told)))
        altered = workspace_problems(plan, pinned, here / "raw", dossier.folder)
        under_replay.note("workspace", altered, "raw files are as pinned, or absent")
        dataset = rebuild()
        found = under_replay.run(dataset)
        if retrain:
            found = train_again(under_replay, dataset, found, Path(scratch))
    return ended(_outcome(target, found))


@dataclass(frozen=True)
class _Found:
    """A dossier, and what the registry says against it (None: it was given as a folder)."""

    folder: Path
    problems: list[str] | None


@contextmanager
def _found(target: str) -> Iterator[_Found]:
    if Path(target).is_dir():
        yield _Found(Path(target), None)
        return
    model, at, ref = target.partition("@")
    if not (model and at and ref):
        problem = f"{target!r} is no folder; MODEL@REF is expected, REF an alias or a version: adult@champion"
        raise PlanError("replay", [problem])
    connection = connect(settings().mlflow_uri, settings().artifact_root)
    version = resolve(connection, model, ref)
    with tempfile.TemporaryDirectory(prefix="assay-dossier-") as scratch:
        folder = download_dossier(connection, version.run_id, Path(scratch))
        problems = registered_problems(connection, version, folder, Path(scratch) / "registered")
        yield _Found(folder, [*problems, *ledger_problems(connection, model, folder)])


def _ended_early(found: Replay) -> Outcome:
    """A run that ended before its model was judged: its records agree or not, and nothing is a pass."""
    if found.mismatches:
        return Outcome(title="Mismatch", exit_code=3, lines=tuple(found.mismatches))
    ending = found.body("ending") if found.reached("ending") else {"ending": "no ending", "message": ""}
    lines = (
        *(f"same: {line}" for line in found.checked),
        f"the run ended before a model was judged: {ending['ending']}",
        *ending["message"].splitlines(),
    )
    return Outcome(title="No number to rebuild", exit_code=3, lines=lines)


def _outcome(target: str, found: Replayed) -> Outcome:
    if found.mismatches:
        return Outcome(title="Mismatch", exit_code=3, lines=found.mismatches, judged=found.judged)
    verdict = Verdicts(judged=found.judged).verdict
    lines = (
        *(f"same: {line}" for line in found.checked),
        *found.notes,
        f"the verdict of {target} is {verdict}",
    )
    if found.lacking:
        lines = (*lines, "not every number could be rebuilt, so nothing is a pass")
        code = VERDICT_EXIT[verdict] or VERDICT_EXIT[Verdict.INCONCLUSIVE]
        return Outcome(title="Rebuilt in part", exit_code=code, lines=lines, judged=found.judged)
    return Outcome(
        title="Every number rebuilt", exit_code=VERDICT_EXIT[verdict], lines=lines, judged=found.judged
    )

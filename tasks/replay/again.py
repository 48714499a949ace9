"""Training again from the recorded commit, in a clean worktree, and what its weights say."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.errors import EvidenceError
from tasks.evaluate.differences import changed_values
from tasks.evaluate.evaluate import count_labels, count_predictions
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.opening import edges_on
from tasks.evaluate.predict import predict_part
from tasks.evaluate.predictions import read_predictions
from tasks.evaluate.records import PREDICTIONS, file_of
from tasks.evidence.digest import write_atomically
from tasks.evidence.environment import ROOT, describe_environment
from tasks.evidence.records import Dataset
from tasks.fairness.counts import Counts
from tasks.fairness.spending import judge_within
from tasks.fairness.words import on_set
from tasks.ingest.described import describe
from tasks.ingest.parts import read_part
from tasks.model.predictor import Predictor
from tasks.replay.records import Replayed
from tasks.replay.replay import Replay
from tasks.train.records import Trained

PRIVATE = (
    "weights: not trained again. The plan asks for differential privacy: which rows were drawn and what "
    "noise was added came from the operating system and were never kept, since whoever had them could take "
    "the noise off again. Training anew would give other weights, and spend on the budget of the same rows; "
    "that the registered weights predict what was judged is shown above"
)
"""Why a model under differential privacy is replayed from its weights alone."""


def train_again(replay: Replay, dataset: Dataset, found: Replayed, scratch: Path) -> Replayed:
    """Train the model of a dossier again and compare the bytes of its files.

    Where another processor, thread count, torch or device makes bytes incomparable, predictions and
    verdicts are compared instead, within the plan's tolerance.

    Raises:
        EvidenceError: when the recorded commit is not at hand, or training fails there.
    """
    if replay.plan.recipe.privacy is not None:
        return found.model_copy(update={"notes": (*found.notes, PRIVATE), "lacking": True})
    trained = _run_training(replay, dataset, scratch)
    recorded = {file["path"]: file["sha256"] for file in replay.body("freeze")["files"]}
    rebuilt = {file.path: file.sha256 for file in trained.files}
    reasons = _incomparable(replay, trained, scratch)
    if rebuilt == recorded:
        line = (
            f"weights: trained again from commit {replay.body('environment')['commit'][:12]}, the same bytes"
        )
        told = [] if reasons else _changed_figures(replay.body("freeze"), trained)
        return found.model_copy(
            update={"checked": (*found.checked, line), "mismatches": (*found.mismatches, *told)}
        )
    if not reasons:
        problems = tuple(
            f"{path}: SHA-256 {digest[:12]}… on record, {rebuilt.get(path, 'nothing')[:12]}… "
            "trained again on the same processor, threads and torch"
            for path, digest in recorded.items()
            if rebuilt.get(path) != digest
        )
        return found.model_copy(update={"mismatches": (*found.mismatches, *problems)})
    note = f"weights: not comparable to the byte ({'; '.join(reasons)})"
    agreed, differing = _compare_predictions(replay, dataset, scratch / "again" / "model")
    return found.model_copy(
        update={
            "notes": (*found.notes, note),
            "checked": (*found.checked, *agreed),
            "mismatches": (*found.mismatches, *differing),
        }
    )


def _changed_figures(recorded: Mapping[str, Any], trained: Trained) -> list[str]:
    """Figures of the freeze that are others on record: losses, metrics on validation rows, decisions."""
    own = trained.model_dump(mode="json", exclude={"folder", "resumed_from", "refused_checkpoints"})
    known = {key: value for key, value in own.items() if key in recorded}  # older dossiers have fewer
    return [f"freeze: {p}" for p in changed_values({key: recorded[key] for key in known}, known)]


def _run_training(replay: Replay, dataset: Dataset, scratch: Path) -> Trained:
    write_atomically(scratch / "dataset.json", dataset.model_dump_json().encode())
    with _worktree(replay) as code:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tasks.train.again",
                str(replay.folder.absolute()),
                str(scratch / "dataset.json"),
                str(scratch / "again"),
            ],
            env={**os.environ, "PYTHONPATH": str(code)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise EvidenceError(f"training again failed: {done.stderr.strip()[-2000:]}")
    return Trained.model_validate_json((scratch / "again" / "trained.json").read_bytes())


@contextmanager
def _worktree(replay: Replay) -> Iterator[Path]:
    """The code as recorded: a clean worktree of the commit, with the dossier's patch if it has one."""
    commit = replay.body("environment")["commit"]
    if commit is None:
        raise EvidenceError(
            "the dossier names no commit: it was made outside a git checkout, so --retrain can't be"
        )
    with tempfile.TemporaryDirectory(prefix="assay-worktree-") as folder:
        code = Path(folder) / "code"
        _git("worktree", "add", "--detach", str(code), commit)
        try:
            patch = replay.folder / "dirty.patch"
            if patch.is_file():
                _git("-C", str(code), "apply", str(patch.absolute()))
            yield code
        finally:
            _git("worktree", "remove", "--force", str(code))


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EvidenceError(
            f"git {arguments[0]} failed in {ROOT}: {done.stderr.strip()}; "
            "--retrain needs the project's checkout with the recorded commit"
        )


def _incomparable(replay: Replay, trained: Trained, scratch: Path) -> list[str]:
    """What bytes depend on and is other than on record."""
    here = describe_environment(scratch).model_dump(mode="json")
    recorded, freeze = replay.body("environment"), replay.body("freeze")
    pairs: dict[str, tuple[Any, Any]] = {
        "processor": (recorded["cpu"], here["cpu"]),
        "python": (recorded["python"], here["python"]),
        "torch": (freeze["torch"], trained.torch),
        "threads": (freeze["threads"], trained.threads),
        "device": (freeze["device"], trained.device),
    }
    return [f"{name} {one} on record, {other} here" for name, (one, other) in pairs.items() if one != other]


def _compare_predictions(replay: Replay, dataset: Dataset, model: Path) -> tuple[list[str], list[str]]:
    """Compare predictions and verdicts of the model trained again: (what agrees, what does not)."""
    judgement = replay.plan.judgement
    # Noise is drawn by the recorded model's digest: answers then differ only where decisions do.
    recorded_model = Predictor.load(replay.folder / "model")
    predictor = replace(Predictor.load(model), digest=recorded_model.digest)
    counts: dict[str, Counts] = {}
    differing = rows = 0
    for on, own in judgement.sets.items():
        frame = read_part(dataset, on, own)
        predictions = predict_part(predictor, frame, judgement, on)
        recorded = read_predictions(replay.folder / file_of(PREDICTIONS, on), own)
        differing += kind_of(own).changed(recorded["prediction"], predictions["prediction"], own)
        rows += len(recorded)
        counts[on] = count_predictions(predictions, describe(frame, own), own, edges_on(predictor, on))
    training = count_labels(describe(read_part(dataset, "train", judgement), judgement), judgement)
    judged = judge_within(counts, training, replay.plan.gate, replay.allowance())
    problems = [
        f"verdict of {one.metric} by {one.attribute}{on_set(one.on)}: {old['verdict']} on record, "
        f"{one.verdict} trained again"
        for one, old in zip(judged, replay.body("verdicts")["judged"], strict=True)
        if one.verdict != old["verdict"]
    ]
    share, tolerance = differing / rows, judgement.replay.prediction_disagreement
    sentence = f"{share:.2%} of predictions differ when trained again, {tolerance:.2%} may"
    return ([sentence], problems) if share <= tolerance else ([], [sentence, *problems])

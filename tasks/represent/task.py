"""Representativeness as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from tasks.errors import SourceAltered
from tasks.evaluate.records import TRAINING_CUBE
from tasks.evidence.digest import digest_file, write_atomically
from tasks.evidence.records import Dataset, FileRef
from tasks.plan.plan import Plan
from tasks.represent.records import Represented

if TYPE_CHECKING:
    import polars as pl


@task(name="represent")
def represent(
    dataset: Dataset, plan: Plan, plan_folder: Path, folder: Path, champion: FileRef | None = None
) -> Represented:
    """Judge the training part; see :func:`tasks.represent.represent.represent`.

    Args:
        dataset: the version to judge.
        plan: its judgement sets every limit.
        plan_folder: holds the reference population.
        folder: the run's dossier; the reports go below it.
        champion: the prepared training part that the champion learned from. Without one, drift is
            measured between the training part and the test part's inputs.

    Raises:
        SourceAltered: a prepared part, or the reference, has other bytes than are pinned.
    """
    # scipy, polars and Evidently: only a run that comes this far pays for their import.
    from tasks.evaluate.evaluate import count_labels  # noqa: PLC0415
    from tasks.ingest.described import describe  # noqa: PLC0415
    from tasks.ingest.parts import PART_NAMES, read_part  # noqa: PLC0415
    from tasks.represent import represent as room  # noqa: PLC0415
    from tasks.represent.anonymity import anonymity_of  # noqa: PLC0415

    train, test = (read_part(dataset, part, plan.judgement) for part in PART_NAMES)
    described = describe(train, plan.judgement)
    training = count_labels(described, plan.judgement)
    # Filed before training: from it the gate settles which groups are judged.
    write_atomically(folder / TRAINING_CUBE, training.to_json())
    before, against = test, "the test part"
    if champion is not None:
        before, against = _champions(champion, plan), "the champion's training part"
    audits = {}
    for on in plan.judgement.audits:
        own = plan.judgement.sets[on]
        frame = read_part(dataset, on, own)
        audits[on] = (frame, count_labels(describe(frame, own), own))
    hidden = anonymity_of((train, test), plan.judgement)
    rows = room.Rows(train, described, test, before, against, audits, hidden)
    return room.represent(rows, training, plan, plan_folder, folder)


def _champions(file: FileRef, plan: Plan) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - as above

    from tasks.ingest.described import type_frame  # noqa: PLC0415

    path = Path(file.path)
    found = digest_file(path) if path.is_file() else "no such file"
    if found != file.sha256:
        raise SourceAltered(
            f"{path}: expected the champion's training part, sha256 {file.sha256}, found {found}; "
            "restore it with `dvc pull`"
        )
    return type_frame(pl.read_parquet(path), plan.judgement)

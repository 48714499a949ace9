"""Forget a person: leave a tombstone, and purge the pinned copies that hold their rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from filelock import FileLock

from tasks.errors import PlanError, SourceAltered
from tasks.evidence.records import Record
from tasks.ingest.deidentified import plan_key
from tasks.ingest.described import ROW_DIGEST
from tasks.ingest.parts import dataset_of, read_raw_part
from tasks.ingest.pipeline import CACHE, LOCK_SECONDS, cached_copies
from tasks.plan.plan import Plan
from tasks.privacy.keys import Key, person_mark
from tasks.privacy.sweep import sweep
from tasks.privacy.tokens import token
from tasks.privacy.tombstones import By, Tombstones, read_tombstones, write_tombstones

SCRATCH = ("champions", "checks", "checkpoints", "reviews", "trials")
"""Folders of ``var/`` that hold copies of rows and can be made again."""


class Forgotten(Record):
    """What was done.

    Attributes:
        rows: of the pinned version, that later versions leave out.
        file: the tombstones.
        purged: files and folders that were deleted.
        named: files that still hold the person's token or the row's digest: evidence, which stays.
    """

    rows: int
    file: str
    purged: tuple[str, ...]
    named: tuple[str, ...]


def forget(plan: Plan, workspace: Path, var: Path, by: By, value: str) -> Forgotten:
    """Let later versions leave a person's rows out, and delete the copies of this one.

    The tombstone is written first: a purge that is cut short loses nothing but time, and forgetting the
    same person again goes on with it.

    Args:
        plan: with ``judgement.privacy``.
        workspace: holds ``data`` and DVC's cache.
        var: what runs leave.
        by: "unit", the sampling unit's value as the raw file has it, or "row", a row's digest.
        value: which is written nowhere.

    Raises:
        PlanError: the plan has no de-identification, or no unit; or nobody of the pinned version is meant.
        SourceError: the key is not at hand.
        SourceAltered: there is no pinned version to look into.
    """
    folder = workspace / "data" / plan.name
    if plan.judgement.privacy is None:
        problem = (
            "the plan has no `judgement.privacy`, so it pins the raw file itself, which can't leave rows "
            "out; add `privacy: {}` to the judgement (docs/privacy.md)"
        )
        raise PlanError(f"forget {plan.name}", [problem])
    with FileLock(workspace / "var" / "ingest.lock", timeout=LOCK_SECONDS):
        key, stones = plan_key(plan.name, folder), read_tombstones(folder)
        mark = person_mark(key, by, value)
        known = stones is not None and any(stone.mark == mark for stone in stones.gone)
        wanted = _needles(plan, key, by, value)
        digests = [] if known and not (folder / "prepared").is_dir() else _rows(plan, folder, by, wanted)
        if not digests and not known:
            raise PlanError(
                f"forget {plan.name}", [f"no row of the pinned version has this {by}: nothing was done"]
            )
        stones = stones or Tombstones(fingerprint=key.fingerprint, gone=())
        write_tombstones(folder, stones.with_one(by, mark, f"{datetime.now(UTC):%Y-%m-%d}"))
        sought = [*wanted, *digests]
        purged = [*purge(workspace, plan.name), *_purge_copies(workspace, var, sought)]
        named = sorted({found.path for found in sweep(sought, var)})
    return Forgotten(
        rows=len(digests),
        file=(folder / "forgotten.json").as_posix(),
        purged=tuple(path.as_posix() for path in purged),
        named=tuple(path.as_posix() for path in named),
    )


def purge(workspace: Path, name: str) -> list[Path]:
    """Delete a plan's raw and prepared files, and DVC's cached copies of them; the next pin makes them anew.

    Returns:
        What was deleted.
    """
    folder = workspace / "data" / name
    remote = workspace / "var" / "dvc-remote"
    copies = {*cached_copies(workspace, name), *cached_copies(workspace, name, cache=remote)}
    made = [path for path in (*sorted(copies), folder / "raw", folder / "prepared") if path.exists()]
    for path in made:
        _delete(path)
    return made


def _purge_copies(workspace: Path, var: Path, sought: list[str]) -> list[Path]:
    """Delete what else holds the rows: objects of earlier versions, and what runs can make again."""
    places = [workspace / CACHE, workspace / "var" / "dvc-remote", *(var / name for name in SCRATCH)]
    held = sorted({found.path for found in sweep(sought, *(place for place in places if place.exists()))})
    for path in held:
        _delete(path)
    return held


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _needles(plan: Plan, key: Key, by: By, value: str) -> list[str]:
    """What stands for the person in pinned files: the row's digest, or the unit's tokens."""
    if by == "row":
        return [value.strip().lower()]
    units = list(dict.fromkeys(own.unit for own in plan.judgement.sets.values() if own.unit is not None))
    if not units:
        raise PlanError(f"forget {plan.name}", ["the plan names no sampling unit: give --row DIGEST instead"])
    return [token(key, unit, value) for unit in units]


def _rows(plan: Plan, folder: Path, by: By, wanted: list[str]) -> list[str]:
    """Digests of the person's rows in the pinned version."""
    try:
        dataset = dataset_of(plan, folder)
    except SourceAltered as error:
        raise SourceAltered(f"{error}\nRun `assay check {plan.name}` first, which pins the data") from error
    return list(
        dict.fromkeys(
            digest
            for part, own in _parts(plan)
            for digest in _of(read_raw_part(dataset, part), ROW_DIGEST if by == "row" else own, wanted)
        )
    )


def _parts(plan: Plan) -> Iterator[tuple[str, str | None]]:
    for on, own in plan.judgement.sets.items():
        yield from ((part, own.unit) for part in (("train", "test") if on == "test" else (on,)))


def _of(frame: pl.DataFrame, column: str | None, wanted: list[str]) -> list[str]:
    if column not in frame.columns:
        return []
    return frame.filter(pl.col(column).cast(pl.String).is_in(wanted))[ROW_DIGEST].to_list()

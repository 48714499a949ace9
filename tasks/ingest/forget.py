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
from tasks.privacy.sweep import search, sweep
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
        unseen: files that could not be opened, so what is in them is not known.
    """

    rows: int
    file: str
    purged: tuple[str, ...]
    named: tuple[str, ...]
    unseen: tuple[str, ...]


def forget(plan: Plan, workspace: Path, var: Path, by: By, value: str) -> Forgotten:
    """Let later versions leave a person's rows out, and delete the copies of this one.

    The tombstone is written first: a purge that is cut short loses nothing but time, and forgetting the
    same person again goes on with it.

    Args:
        plan: with ``judgement.privacy``.
        workspace: holds ``data`` and DVC's cache.
        var: what runs leave.
        by: "unit", the sampling unit's value in any spelling that shares its token, or "row", a row's digest.
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
        columns = _columns(plan, by)
        stones = stones or Tombstones(fingerprint=key.fingerprint, gone=())
        known = any(stones.among(key, by, [value], column)[0] for column in columns)
        wanted = [value.strip().lower()] if by == "row" else [token(key, unit, value) for unit in columns]
        digests = [] if known and not (folder / "prepared").is_dir() else _rows(plan, folder, by, wanted)
        if not digests and not known:
            raise PlanError(
                f"forget {plan.name}", [f"no row of the pinned version has this {by}: nothing was done"]
            )
        for column in columns:
            stones = stones.with_one(key, by, value, f"{datetime.now(UTC):%Y-%m-%d}", column)
        write_tombstones(folder, stones)
        sought = [*wanted, *digests]
        purged = [*purge(workspace, plan.name), *_purge_copies(workspace, var, sought)]
        left = search(sought, *(place for place in (workspace / CACHE, var) if place.exists()))
    return Forgotten(
        rows=len(digests),
        file=(folder / "forgotten.json").as_posix(),
        purged=tuple(path.as_posix() for path in purged),
        named=tuple(path.as_posix() for path in sorted({one.path for one in left.found})),
        unseen=tuple(path.as_posix() for path in sorted({one.path for one in left.unopened})),
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
        if path.exists():  # else it went with its folder, which is named so
            _delete(path)
    return held


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _columns(plan: Plan, by: By) -> list[str]:
    """The units of the plan's sets of rows; of a row's digest, which is of no column, one without a name."""
    if by == "row":
        return [""]
    units = list(dict.fromkeys(own.unit for own in plan.judgement.sets.values() if own.unit is not None))
    if not units:
        raise PlanError(f"forget {plan.name}", ["the plan names no sampling unit: give --row DIGEST instead"])
    return units


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

"""Raw files to prepared parts: divided, named row by row, counted in a manifest, read back checked."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import ValidationError

from tasks.errors import Refusal, SourceAltered
from tasks.evidence.digest import digest_file, digest_of, write_atomically
from tasks.evidence.records import Dataset, FileRef, Part, Record
from tasks.ingest.archive import digest_source
from tasks.ingest.division import held_out_rows
from tasks.ingest.kinds import kind_of
from tasks.ingest.tabular import ROW_DIGEST, ROW_ID, row_digests
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan

PartName = Literal["train", "test"]
PART_NAMES: tuple[PartName, ...] = ("train", "test")


class Entry(Record):
    """One file of the manifest, with the rows that it holds."""

    rows: int
    sha256: str
    bytes: int


class Manifest(Record):
    """What ``data/NAME/manifest.json`` says: every source and both prepared parts."""

    version: Literal[1] = 1
    sources: dict[str, Entry]
    parts: dict[PartName, Entry]


def prepare(plan: Plan, folder: Path) -> Manifest:
    """Divide the raw files of ``folder/raw`` into ``folder/prepared`` and count them in a manifest.

    A prepared part holds what the source holds, unjudged: the columns as they were found (text,
    from CSV), then ``row_id`` (position within the part, UInt32) and ``row_digest`` (first 64
    bits of the SHA-256 of the row's values, hex). Validation judges it; :func:`read_part` types it.

    Raises:
        SourceAltered: if a raw file is not what the plan pins.
        Refusal: if a file is empty, can't be read as its format, or holds a column with a reserved name.
    """
    problems = _altered_sources(plan, folder)
    if problems:
        raise SourceAltered("\n".join(problems))
    _refuse_empty_sources(plan, folder)
    frames = {s.name: _read_raw(folder / "raw" / s.name, plan.judgement) for s in plan.judgement.data.sources}
    shutil.rmtree(folder / "prepared", ignore_errors=True)
    entries: dict[PartName, Entry] = {}
    for name, frame in _divide(plan.judgement, frames).items():
        path = folder / "prepared" / f"{name}.parquet"
        content = io.BytesIO()
        frame.with_columns(pl.Series(ROW_ID, range(frame.height), pl.UInt32)).write_parquet(content)
        write_atomically(path, content.getvalue())
        entries[name] = _entry(path, frame.height)
    sources = {name: _entry(folder / "raw" / name, frame.height) for name, frame in frames.items()}
    manifest = Manifest(sources=sources, parts=entries)
    text = json.dumps(manifest.model_dump(), indent=2, sort_keys=True) + "\n"
    write_atomically(folder / "manifest.json", text.encode())
    return manifest


def dataset_of(plan: Plan, folder: Path) -> Dataset:
    """Check every file by SHA-256 (raw against the plan, prepared against the manifest) and name the version.

    Paths in the record are relative to the working directory where that is possible.

    Raises:
        SourceAltered: listing every file that is missing or has other bytes than it should.
    """
    manifest = _read_manifest(folder / "manifest.json")
    problems = _altered_sources(plan, folder)
    for name in PART_NAMES:
        path, expected = folder / "prepared" / f"{name}.parquet", manifest.parts[name].sha256
        problems += _difference(path, expected, digest_file(path) if path.is_file() else None)
    if problems:
        raise SourceAltered("\n".join(problems))
    sources = tuple(_reference(folder / "raw" / source.name) for source in plan.judgement.data.sources)
    train, test = (
        Part(file=_reference(folder / "prepared" / f"{name}.parquet"), rows=manifest.parts[name].rows)
        for name in PART_NAMES
    )
    named = [[f"raw/{Path(file.path).name}", file.sha256] for file in sources]
    named += [[f"prepared/{Path(part.file.path).name}", part.file.sha256] for part in (train, test)]
    digest = digest_of(sorted(named))
    return Dataset(name=plan.name, sources=sources, train=train, test=test, digest=digest)


def read_raw_part(dataset: Dataset, part: PartName) -> pl.DataFrame:
    """Read a prepared part as it was found, after checking its bytes; this is what validation judges.

    Raises:
        SourceAltered: if the file's SHA-256 is not the one in ``dataset``.
    """
    file = getattr(dataset, part).file
    path = Path(file.path)
    if problems := _difference(path, file.sha256, digest_file(path) if path.is_file() else None):
        raise SourceAltered("\n".join(problems))
    return pl.read_parquet(path)


def read_part(dataset: Dataset, part: PartName, judgement: Judgement) -> pl.DataFrame:
    """Read a prepared part in the plan's types, after checking its bytes.

    Returns:
        One row for each sample: the source's columns as Int64, Float64 or String (missing:
        null), the label in its canonical spelling, ``row_id`` (UInt32) and ``row_digest``.

    Raises:
        SourceAltered: if the file's SHA-256 is not the one in ``dataset``.
    """
    return kind_of(judgement).type_frame(read_raw_part(dataset, part), judgement)


def _read_raw(path: Path, judgement: Judgement) -> pl.DataFrame:
    frame = kind_of(judgement).read(path, judgement)
    if taken := sorted({ROW_ID, ROW_DIGEST} & set(frame.columns)):
        raise Refusal(f"{path.name}: column {', '.join(taken)} has a reserved name; rename it in the source")
    return frame.with_columns(pl.Series(ROW_DIGEST, row_digests(frame, judgement), pl.String))


def _divide(judgement: Judgement, frames: dict[str, pl.DataFrame]) -> dict[PartName, pl.DataFrame]:
    """Put the rows of each source into the plan's parts."""
    parts = {source.name: source.part for source in judgement.data.sources}
    if judgement.test_set.fraction is None:
        return {name: _joined([frames[s] for s in frames if parts[s] == name]) for name in PART_NAMES}
    whole = _joined(list(frames.values()))
    units = whole[ROW_DIGEST]
    if judgement.unit in whole.columns:
        units = whole[judgement.unit].cast(pl.String).fill_null(units)
    tested = pl.Series(held_out_rows(units, judgement.test_set.fraction), dtype=pl.Boolean)
    return {"train": whole.filter(~tested), "test": whole.filter(tested)}


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Stack sources; a column that one of them lacks is null there, for validation to see."""
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def _altered_sources(plan: Plan, folder: Path) -> list[str]:
    problems: list[str] = []
    for source in plan.judgement.data.sources:
        path = folder / "raw" / source.name
        problems += _difference(path, source.sha256, digest_source(path) if path.is_file() else None)
    return problems


def _refuse_empty_sources(plan: Plan, folder: Path) -> None:
    names = [source.name for source in plan.judgement.data.sources]
    empty = [name for name in names if (folder / "raw" / name).stat().st_size == 0]
    if empty:
        listed = "\n".join(f"{folder / 'raw' / name}: is empty (0 bytes)" for name in empty)
        raise Refusal(
            f"{listed}\nThe plan pins the hash of no bytes at all, so this is what it asks for: look at the "
            "origin, and pin the sha256 of the whole file."
        )


def _difference(path: Path, expected: str, found: str | None) -> list[str]:
    if found is None:
        return [f"{path}: the file is missing; sha256 {expected} is expected"]
    return [] if found == expected else [f"{path}: sha256 {expected} is expected, found {found}"]


def _entry(path: Path, rows: int) -> Entry:
    return Entry(rows=rows, sha256=digest_file(path), bytes=path.stat().st_size)


def _reference(path: Path) -> FileRef:
    absolute, here = path.absolute(), Path.cwd()
    return FileRef.of(absolute, relative_to=here if absolute.is_relative_to(here) else None)


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SourceAltered(f"{path}: no readable manifest ({error})") from error

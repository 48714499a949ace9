"""Raw files to prepared parts: divided, named row by row, counted in a manifest, read back checked."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field, ValidationError

from tasks.errors import Refusal, SourceAltered
from tasks.evidence.digest import digest_file, digest_of, write_atomically
from tasks.evidence.records import Dataset, Deidentified, FileRef, Part, Record
from tasks.ingest.archive import digest_source
from tasks.ingest.described import ROW_DIGEST, ROW_ID, looked_up, row_digests, type_frame
from tasks.ingest.division import tested_rows
from tasks.ingest.fetched import altered_sources, difference, expected_sources, read_fetched
from tasks.ingest.kinds import kind_of
from tasks.ingest.tables import each
from tasks.plan.data import Data
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan

Side = Literal["train", "test", "all"]
PART_NAMES = ("train", "test")


class Pinned(Record):
    """One file of the manifest."""

    sha256: str
    bytes: int


class Entry(Pinned):
    """A prepared part, with the rows that it holds."""

    rows: int


class Manifest(Record):
    """What ``data/NAME/manifest.json`` says: every source and every prepared part, audit sets included."""

    version: Literal[2] = 2
    sources: dict[str, Pinned]
    parts: dict[str, Entry]
    privacy: Deidentified | None = Field(None, exclude_if=lambda found: found is None)


def prepare(plan: Plan, folder: Path) -> Manifest:
    """Divide the raw files of ``folder/raw`` into ``folder/prepared`` and count them in a manifest.

    A prepared part holds what the source holds, unjudged: the columns as they were found (text,
    from CSV), then ``row_id`` (position within the part, UInt32) and ``row_digest`` (first 64
    bits of the SHA-256 of the row's values, hex). Validation judges it; :func:`read_part` types it.

    Raises:
        SourceAltered: if a raw file is not what the plan pins.
        Refusal: if a file is empty, can't be read as its format, or holds a column with a reserved name.
    """
    problems = altered_sources(folder / "raw", expected_sources(plan, folder / "raw"))
    if problems:
        raise SourceAltered("\n".join(problems))
    _refuse_empty_sources(plan, folder)
    frames = read_sources(folder / "raw", plan.judgement.data)
    shutil.rmtree(folder / "prepared", ignore_errors=True)
    entries: dict[str, Entry] = {}
    for name, frame in [*_divide(plan.judgement, frames).items(), *_audit_sets(plan, folder)]:
        path = _prepared(folder, name)
        content = io.BytesIO()
        frame.with_columns(pl.Series(ROW_ID, range(frame.height), pl.UInt32)).write_parquet(content)
        write_atomically(path, content.getvalue())
        entries[name] = _entry(path, frame.height)
    raw = [folder / "raw" / source.name for source in plan.judgement.sources]
    sources = {path.name: Pinned(sha256=digest_source(path), bytes=path.stat().st_size) for path in raw}
    found = read_fetched(folder / "raw").found if plan.judgement.privacy is not None else None
    manifest = Manifest(sources=sources, parts=entries, privacy=found)
    text = json.dumps(manifest.model_dump(), indent=2, sort_keys=True) + "\n"
    write_atomically(folder / "manifest.json", text.encode())
    return manifest


def dataset_of(plan: Plan, folder: Path) -> Dataset:
    """Check every file by SHA-256 (raw against the plan, prepared against the manifest) and name the version.

    Paths in the record are relative to the working directory where that is possible.

    Raises:
        SourceAltered: listing every file that is missing or has other bytes than it should.
    """
    manifest = read_manifest(folder / "manifest.json")
    wanted = expected_sources(plan, folder / "raw")
    if plan.judgement.privacy is not None:  # the plan pins the raw files, the manifest what is left of them
        wanted = {name: file.sha256 for name, file in manifest.sources.items()}
    problems = altered_sources(folder / "raw", wanted)
    names = [*PART_NAMES, *plan.judgement.audits]
    if lacking := [name for name in names if name not in manifest.parts]:
        raise SourceAltered(f"{folder / 'manifest.json'}: no part {', '.join(lacking)}")
    for name in names:
        path, expected = _prepared(folder, name), manifest.parts[name].sha256
        problems += difference(path, expected, digest_file(path) if path.is_file() else None)
    if problems:
        raise SourceAltered("\n".join(problems))
    sources = tuple(_reference(folder / "raw" / source.name) for source in plan.judgement.sources)
    parts = {
        name: Part(file=_reference(_prepared(folder, name)), rows=manifest.parts[name].rows) for name in names
    }
    named = [[f"raw/{Path(file.path).name}", file.sha256] for file in sources]
    named += [[f"prepared/{Path(part.file.path).name}", part.file.sha256] for part in parts.values()]
    return Dataset(
        name=plan.name,
        sources=sources,
        train=parts.pop("train"),
        test=parts.pop("test"),
        digest=digest_of(sorted(named)),
        audits=parts,
        privacy=manifest.privacy,
    )


def read_raw_part(dataset: Dataset, part: str) -> pl.DataFrame:
    """Read a prepared part as it was found, after checking its bytes; this is what validation judges.

    Args:
        dataset: the pinned version.
        part: "train", "test" or the name of an audit set.

    Raises:
        SourceAltered: if the file's SHA-256 is not the one in ``dataset``.
    """
    file = dataset.parts[part].file
    path = Path(file.path)
    if problems := difference(path, file.sha256, digest_file(path) if path.is_file() else None):
        raise SourceAltered("\n".join(problems))
    return pl.read_parquet(path)


def read_part(dataset: Dataset, part: str, judgement: Judgement) -> pl.DataFrame:
    """Read a prepared part in the plan's types, after checking its bytes.

    Args:
        dataset: the pinned version.
        part: "train", "test" or the name of an audit set.
        judgement: of the part; an audit set has its own among ``judgement.sets``.

    Returns:
        One row for each sample: the source's columns as Int64, Float64 or String (missing:
        null), the label in its canonical spelling, ``row_id`` (UInt32) and ``row_digest``.

    Raises:
        SourceAltered: if the file's SHA-256 is not the one in ``dataset``.
    """
    return type_frame(read_raw_part(dataset, part), judgement)


def read_sources(folder: Path, data: Data) -> dict[Side, pl.DataFrame]:
    """The raw files by the part that the plan gives them to, with every row named by its digest.

    Raises:
        Refusal: for files that can't be read as their format, or a column with a reserved name; all at once.
    """
    paths: dict[Side, list[Path]] = {}
    for source in data.sources:
        paths.setdefault(source.part, []).append(folder / source.name)
    parts = sorted(paths)
    return dict(zip(parts, each(parts, lambda part: read_rows(paths[part], data)), strict=True))


def read_audit_set(folder: Path, judgement: Judgement) -> pl.DataFrame:
    """The rows of an audit set that its plan judges on, from the raw files in ``folder``, named likewise.

    Args:
        folder: holds the raw files.
        judgement: the set's own.

    Raises:
        Refusal: as :func:`read_sources`; and where no row has the values that the plan wants.
    """
    frame = read_rows([folder / source.name for source in judgement.data.sources], judgement.data)
    if not judgement.test_set.where:
        return frame
    chosen = frame.filter(tested_rows(frame, judgement))
    if chosen.is_empty():
        wanted = ", ".join(judgement.test_set.where)
        raise Refusal(f"none of {frame.height} rows has one of the values that the plan wants of {wanted}")
    return chosen


def read_rows(paths: Sequence[Path], data: Data) -> pl.DataFrame:
    """Files of one part, with every row named by its digest.

    Raises:
        Refusal: as :func:`read_sources`.
    """
    frame = kind_of(data).read(paths, data)
    if taken := sorted({ROW_ID, ROW_DIGEST} & set(frame.columns)):
        names = ", ".join(path.name for path in paths)
        raise Refusal(f"{names}: column {', '.join(taken)} has a reserved name; rename it in the source")
    frame = frame.with_columns(**looked_up(frame, data))
    return frame.with_columns(pl.Series(ROW_DIGEST, row_digests(frame, data), pl.String))


def _audit_sets(plan: Plan, folder: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    for name in plan.judgement.audits:
        try:
            yield name, read_audit_set(folder / "raw", plan.judgement.sets[name])
        except Refusal as refusal:
            raise Refusal(f"audit set {name}: {refusal}") from refusal


def _prepared(folder: Path, part: str) -> Path:
    """Where a part is prepared; audit sets are named apart from the plan's own parts."""
    name = part if part in PART_NAMES else f"audit-{part}"
    return folder / "prepared" / f"{name}.parquet"


def _divide(judgement: Judgement, frames: dict[Side, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Put the rows into the plan's parts."""
    if "all" not in frames:
        return {"train": frames["train"], "test": frames["test"]}
    whole = frames["all"]
    tested = tested_rows(whole, judgement)
    return {"train": whole.filter(~tested), "test": whole.filter(tested)}


def _refuse_empty_sources(plan: Plan, folder: Path) -> None:
    names = [source.name for source in plan.judgement.sources]
    empty = [name for name in names if (folder / "raw" / name).stat().st_size == 0]
    if empty:
        listed = "\n".join(f"{folder / 'raw' / name}: is empty (0 bytes)" for name in empty)
        raise Refusal(
            f"{listed}\nThe plan pins the hash of no bytes at all, so this is what it asks for: look at the "
            "origin, and pin the sha256 of the whole file."
        )


def _entry(path: Path, rows: int) -> Entry:
    return Entry(rows=rows, sha256=digest_file(path), bytes=path.stat().st_size)


def _reference(path: Path) -> FileRef:
    absolute, here = path.absolute(), Path.cwd()
    return FileRef.of(absolute, relative_to=here if absolute.is_relative_to(here) else None)


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        SourceAltered: if it is missing or no manifest.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SourceAltered(f"{path}: no readable manifest ({error})") from error

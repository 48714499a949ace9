"""De-identified sources: a raw file is fetched outside of the project, and what is left of it comes in."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from infra.settings import settings
from tasks.errors import Refusal, SourceError
from tasks.evidence.digest import digest_file, digest_of, write_atomically
from tasks.evidence.records import Deidentified
from tasks.ingest.archive import pieces
from tasks.ingest.described import ROW_DIGEST
from tasks.ingest.fetched import RECORD, Fetched, altered_sources, read_fetched
from tasks.ingest.parts import read_rows
from tasks.ingest.sources import fetch
from tasks.ingest.tables import read_table
from tasks.plan.data import Data, Tabular, Text
from tasks.plan.deidentification import FORGOTTEN, Names, Privacy, source_columns
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.plan.source import CsvFormat, JsonFormat, ParquetFormat, Source
from tasks.privacy.deidentify import deidentify
from tasks.privacy.keys import Key, file_mark, key_file, key_for
from tasks.privacy.recognise import folded
from tasks.privacy.tombstones import Tombstones, read_tombstones

METHOD = "assay 3"
"""Of our own rules, and with which version of them; the records name presidio's version beside it."""


SCRATCH, LOCK = "assay-raw-", ".in-use"
NOT_LOCKED_YET = 60.0
"""Seconds in which a new folder may be without its lock."""


def fetch_deidentified(
    plan: Plan, raw: Path, beside: Path, mirror: Path | None, *, create: bool = False
) -> Fetched:
    """Fill ``raw`` with the plan's sources, de-identified, and ``deidentified.json``.

    The raw files live in a folder of the system's temporary one, which only this user may read, for as long
    as this takes; one that a killed run left there is deleted first. What is in ``raw`` already and follows
    from the same plan stays.

    Args:
        plan: with ``judgement.privacy``.
        raw: gets the files.
        beside: the plan's folder: names, tombstones and manifest.
        mirror: searched before the network.
        create: whether a key may be made where there is none.

    Raises:
        SourceError: as :func:`tasks.ingest.sources.fetch`; or the key is not at hand.
        Refusal: a file can't be read as its format, or not be searched.
    """
    privacy = _privacy(plan)
    present = read_fetched(raw) if (raw / RECORD).is_file() else None
    if present is not None and present.asked == asked_of(plan) and not altered_sources(raw, present.files):
        return present
    key = plan_key(plan.name, beside, create=create)
    names = _names(beside, privacy.names)
    stones = read_tombstones(beside)
    marks, files = {}, {}
    counted: Counter[str] = Counter()
    for source in plan.judgement.sources:
        with _scratch() as scratch:
            obtained = scratch / source.name
            # What is told of other bytes is keyed too: an error is logged.
            fetch(source, obtained, mirror, pinned=lambda sha256: file_mark(key, sha256))
            sets = _sets_of(plan, source)
            whole = _left(obtained, sets, stones, key)
        frame, replaced = deidentify(whole, privacy, key, names)
        kept = _without_rows(frame, sets, stones, key)
        counted.update(replaced)
        write_atomically(raw / source.name, written(kept, form_of(sets[0].data)))
        marks[source.name], files[source.name] = source.sha256, digest_file(raw / source.name)
    found = Deidentified(
        fingerprint=key.fingerprint,
        method=f"{METHOD}, presidio-analyzer {version('presidio-analyzer')}" if privacy.texts else METHOD,
        sources=marks,
        replaced={name: number for name, number in sorted(counted.items()) if number},
        forgotten=digest_file(beside / FORGOTTEN) if stones is not None else None,
    )
    made = Fetched(asked=asked_of(plan), files=files, found=found)
    write_atomically(raw / RECORD, (json.dumps(made.model_dump(), indent=2, sort_keys=True) + "\n").encode())
    return made


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for a raw file, locked for as long as it is needed; those that no one holds are deleted."""
    for left in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with suppress(Timeout, OSError):  # it is in use, or another user's
            if time.time() - left.stat().st_mtime > NOT_LOCKED_YET:
                with FileLock(left / LOCK, timeout=0):
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder, FileLock(Path(folder) / LOCK):
        yield Path(folder)


def plan_key(plan: str, beside: Path, *, create: bool = False) -> Key:
    """The key of a plan's pinned data and tombstones.

    Raises:
        PlanError: the setting, or the file, holds no key.
        SourceError: there is none, or another one.
    """
    here = settings()
    given = None if here.privacy_key is None else here.privacy_key.get_secret_value()
    return key_for(plan, given, here.var, pinned_fingerprint(beside), create=create)


def key_at_hand() -> bool:
    """Whether there is a key at all; data that is pinned already needs none."""
    return settings().privacy_key is not None or key_file(settings().var).is_file()


def pinned_fingerprint(beside: Path) -> str | None:
    """Fingerprint of the key that a plan's pinned version, or else its tombstones, were made with."""
    manifest = beside / "manifest.json"
    if manifest.is_file():
        told = json.loads(manifest.read_bytes()).get("privacy")
        if told is not None:
            return Deidentified.model_validate(told).fingerprint
    stones = read_tombstones(beside)
    return None if stones is None else stones.fingerprint


def asked_of(plan: Plan) -> str:
    """Digest of everything in the plan that its de-identified files follow from."""
    sets = plan.judgement.sets.values()
    told = [[own.data.model_dump(mode="json"), own.unit] for own in sets]
    return digest_of([_privacy(plan).model_dump(mode="json"), told])


def _privacy(plan: Plan) -> Privacy:
    assert plan.judgement.privacy is not None  # noqa: S101 - the caller looked
    return plan.judgement.privacy


def _names(beside: Path, names: Names | None) -> frozenset[str]:
    """The list of names, folded."""
    if names is None:
        return frozenset()
    path = beside / names.file
    found = digest_file(path) if path.is_file() else "no such file"
    if found != names.sha256:
        raise SourceError(f"{path}: sha256 {names.sha256} is expected of the list of names, found {found}")
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    listed = frozenset(folded(line) for line in lines if line and not line.startswith("#"))
    if several := sum(len(line.split()) > 1 for line in listed):
        raise SourceError(f"{path}: one word a line is expected, found {several} lines with more")
    return listed


def _sets_of(plan: Plan, source: Source) -> list[Judgement]:
    """The sets of rows that a source belongs to."""
    return [own for own in plan.judgement.sets.values() if source in own.data.sources]


def _left(path: Path, sets: Sequence[Judgement], stones: Tombstones | None, key: Key) -> pl.DataFrame:
    """The raw table: columns that the plan names alone, without the rows of forgotten units."""
    form, columns = (
        form_of(sets[0].data),
        list(dict.fromkeys(n for s in sets for n in source_columns(s.data))),
    )
    if not isinstance(form, ParquetFormat) and not _is_text(path):
        raise Refusal(
            f"{path.name}: some bytes are not UTF-8, so what they hold can't be searched for personal data; "
            "convert the file to UTF-8 first"
        )
    frame = read_table(path, form, columns)
    if isinstance(form, CsvFormat) and not form.header and frame.width > len(columns):
        raise Refusal(f"{path.name}: {frame.width} fields a line, {len(columns)} are expected")
    kept = frame.select(name for name in columns if name in frame.columns)
    if nested := [name for name, dtype in kept.schema.items() if dtype.is_nested() or dtype == pl.Binary]:
        raise Refusal(
            f"{path.name}: {', '.join(nested)} holds lists, objects or bytes, which can't be searched for "
            "personal data; give it as text"
        )
    return kept if stones is None else _without_units(kept, {own.unit for own in sets}, stones, key)


def _without_units(frame: pl.DataFrame, units: Set[str | None], stones: Tombstones, key: Key) -> pl.DataFrame:
    """The table without rows of forgotten units, which it names as the raw file does."""
    for unit in sorted(unit for unit in units if unit is not None and unit in frame.columns):
        gone = stones.among(key, "unit", frame[unit].cast(pl.String), unit)
        frame = frame.filter(~pl.Series(gone, dtype=pl.Boolean))
    return frame


def _is_text(path: Path) -> bool:
    try:
        b"".join(pieces(path)).decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_rows(
    frame: pl.DataFrame, sets: Sequence[Judgement], stones: Tombstones | None, key: Key
) -> pl.DataFrame:
    """The table without rows that were forgotten by their digest, which is that of the prepared row."""
    if stones is None or not any(one.by == "row" for one in stones.gone):
        return frame
    with tempfile.TemporaryDirectory(prefix="assay-rows-") as scratch:
        path = Path(scratch) / "rows"
        path.write_bytes(written(frame, form_of(sets[0].data)))
        gone = pl.Series([False] * frame.height, dtype=pl.Boolean)
        for own in sets:
            gone |= pl.Series(stones.among(key, "row", read_rows([path], own.data)[ROW_DIGEST]))
    return frame.filter(~gone)


def form_of(data: Data) -> CsvFormat | JsonFormat | ParquetFormat:
    """How the tables of a plan with de-identification are written."""
    assert isinstance(data, Tabular | Text)  # noqa: S101 - the plan is refused for any other kind
    return data.format


def written(frame: pl.DataFrame, form: CsvFormat | JsonFormat | ParquetFormat) -> bytes:
    """A table in the format that the plan reads."""
    content = io.BytesIO()
    if isinstance(form, ParquetFormat):
        frame.write_parquet(content)
    elif isinstance(form, CsvFormat):
        # Every field in quotes: none starts a comment, and none is taken for the end of a line.
        frame.write_csv(
            content, include_header=form.header, separator=form.delimiter, quote_style="always", null_value=""
        )
    else:
        frame.write_ndjson(content)
    return content.getvalue()

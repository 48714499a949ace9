"""Archives of one file a sample: images or recordings, whose paths and sidecars say what they are."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.archive import DAMAGE, files_in
from tasks.ingest.tables import each
from tasks.plan.data import FORM, SOUND, Audio, Classes, Image
from tasks.plan.source import FilesFormat

JSON, CLS = ".json", ".cls"

Values = Mapping[str, Any]
Told = tuple[str, Values]
"""What said something of a sample, "path" or a sidecar's ending, and the values that it gave to columns."""
Decode = Callable[[bytes], Values]


def read_files(paths: Sequence[Path], data: Image | Audio, decode: Decode) -> pl.DataFrame:
    """Read the archives (shards) of a part.

    A member is a sample if the plan's pattern is found in its path; others are left out. The pattern's
    named groups are columns. As in WebDataset's shards, a member of the same path up to the first dot of its
    name may add to them: ``.json`` an object's values of columns that the plan declares, ``.cls`` the label.
    Where two of them say different things of a column, none is believed: ``form`` names it.

    Args:
        paths: tar or zip archives.
        data: the plan's.
        decode: from a file's bytes to the payload and what describes it.

    Returns:
        A row for each sample, by archive and path: however an archive is packed, the same rows. Of a file
        that ``decode`` refuses with a ValueError, ``form`` has the reason, and what it should give is null.

    Raises:
        Refusal: for an archive that can't be read, or in which nothing fits the pattern.
    """
    assert isinstance(data.format, FilesFormat)  # noqa: S101 - the caller looked
    pattern = re.compile(data.format.pattern)
    rows = list(chain.from_iterable(each(paths, lambda path: _rows(path, data, pattern, decode))))
    measured = [name for name in data.described() if name not in data.columns]
    names = dict.fromkeys([*measured, *(name for row in rows for name in row if name != data.payload)])
    columns = {
        name: pl.Series(
            [row.get(name) for row in rows],
            dtype=pl.Float64() if name in measured and name != FORM else pl.String(),
        )
        for name in names
    }
    payload = pl.Series([row.get(data.payload) for row in rows], dtype=pl.Binary)
    return pl.DataFrame({**columns, data.payload: payload})


def _rows(path: Path, data: Image | Audio, pattern: re.Pattern[str], decode: Decode) -> list[dict[str, Any]]:
    samples: dict[str, dict[str, Any]] = {}
    told: dict[str, list[Told]] = defaultdict(list)
    beside: dict[str, list[Told]] = defaultdict(list)
    try:
        for name, content in files_in(path):
            if found := pattern.search(name):
                samples[name] = _decoded(content, decode)
                told[name].append(("path", found.groupdict()))
            elif name.endswith((JSON, CLS)):
                beside[_key(name)].append((PurePosixPath(name).suffix, _sidecar(name, content, data)))
    except (*DAMAGE, OSError) as error:
        raise Refusal(f"{path.name}: not a whole archive ({error})") from error
    if not samples:
        raise Refusal(
            f"{path.name}: no member's path fits `judgement.data.format.pattern`, {pattern.pattern!r}"
        )
    return [
        _joined(row, [*told[name], *sorted(beside[_key(name)], key=itemgetter(0))], data)
        for name, row in sorted(samples.items())
    ]


def _decoded(content: bytes, decode: Decode) -> dict[str, Any]:
    try:
        return {FORM: SOUND, **decode(content)}
    except ValueError as error:
        return {FORM: str(error)}


def _joined(decoded: Values, told: Sequence[Told], data: Image | Audio) -> dict[str, Any]:
    """A sample's row, of what was decoded and of what its path and then its sidecars say."""
    wrong = [] if decoded[FORM] == SOUND else [decoded[FORM]]
    row, by = dict(decoded), dict[str, str]()
    for source, values in told:
        for name, value in values.items():
            if name == FORM:
                wrong.append(value)
            elif row.get(name) is None:
                row[name], by[name] = value, source
            elif value is not None and _spelled(name, value, data) != _spelled(name, row[name], data):
                wrong.append(f"its {by[name]} and its {source} disagree on {name!r}")
    return {**row, FORM: "; ".join(wrong) or SOUND}


def _spelled(name: str, value: str, data: Image | Audio) -> str | float:
    """A value as it is compared: a class by the plan's spelling, a number as such."""
    label = data.label
    if name == label.column and isinstance(label, Classes):
        return label.spellings.get(value, value)
    if name == label.column or data.columns[name].type != "category":
        with suppress(ValueError):
            return float(value)
    return value


def _key(name: str) -> str:
    """A member's path up to the first dot of its name."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _sidecar(name: str, content: bytes, data: Image | Audio) -> dict[str, Any]:
    """What a sidecar says; one that can't be read speaks of the sample in ``form``."""
    try:
        if name.endswith(CLS):
            return {data.label.column: content.decode().strip()}
        found = json.loads(content)
    except ValueError:
        return {FORM: f"its {PurePosixPath(name).suffix} can't be read"}
    if not isinstance(found, dict):
        return {FORM: "its .json is no object"}
    known = {*data.columns, data.label.column}
    return {key: None if value is None else str(value) for key, value in found.items() if key in known}

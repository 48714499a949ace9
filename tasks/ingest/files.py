"""Archives of one file a sample: images or recordings, whose paths and sidecars say what they are."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.archive import DAMAGE, files_in
from tasks.plan.data import FORM, SOUND, Audio, Image
from tasks.plan.source import FilesFormat

JSON, CLS = ".json", ".cls"

Values = Mapping[str, Any]
Decode = Callable[[bytes], Values]


def read_files(paths: Sequence[Path], data: Image | Audio, decode: Decode) -> pl.DataFrame:
    """Read the archives (shards) of a part.

    A member is a sample if the plan's pattern is found in its path; others are left out. The pattern's
    named groups are columns. As in WebDataset's shards, a member of the same path up to the first dot of its
    name may add to them: ``.json`` an object's values of columns that the plan declares, ``.cls`` the label.

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
    rows = [row for path in paths for row in _rows(path, data, re.compile(data.format.pattern), decode)]
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
    samples: list[tuple[str, dict[str, Any]]] = []
    beside: dict[str, dict[str, Any]] = defaultdict(dict)
    try:
        for name, content in files_in(path):
            if found := pattern.search(name):
                samples.append((name, {**_decoded(content, decode), **found.groupdict()}))
            elif name.endswith((JSON, CLS)):
                beside[_key(name)] |= _sidecar(name, content, data)
    except (*DAMAGE, OSError) as error:
        raise Refusal(f"{path.name}: not a whole archive ({error})") from error
    if not samples:
        raise Refusal(
            f"{path.name}: no member's path fits `judgement.data.format.pattern`, {pattern.pattern!r}"
        )
    return [row | beside.get(_key(name), {}) for name, row in sorted(samples, key=lambda sample: sample[0])]


def _decoded(content: bytes, decode: Decode) -> dict[str, Any]:
    try:
        return {FORM: SOUND, **decode(content)}
    except ValueError as error:
        return {FORM: str(error)}


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

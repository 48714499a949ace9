"""The leak sweep: seek values in everything that a run left, however they are wrapped.

A value is sought as it is, in any case; and as given, in lower, upper and title case as UTF-16, hex,
URL-encoded, JSON-escaped and base64 (all three alignments, both alphabets). Files are opened up: gzip, zlib,
bzip2, xz, zip and tar (which PyTorch's and Excel's files are), Parquet, SQLite (values that are split over
pages), compressed text in PNG, and base64 that hides any of these.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import json
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import polars as pl

DEPTH = 5
SHORTEST = 4
"""Characters of a value; a shorter one stands somewhere in any large file."""
LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
SQLITE, PNG, PARQUET = b"SQLite format 3\0", b"\x89PNG\r\n\x1a\n", b"PAR1"
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    RuntimeError,  # a zip file that is encrypted, or packed in a way that Python has not
    pl.exceptions.PolarsError,
    sqlite3.Error,
)


class Found(NamedTuple):
    """A value that was found; it is named by its place in the list, never repeated.

    Attributes:
        path: the file.
        value: position of the value among those sought, from 0.
        how: the ways in, outermost first: ``gzip > base64``.
    """

    path: Path
    value: int
    how: str


def sweep(values: Sequence[str], *places: Path) -> list[Found]:
    """Seek values in files and in folders with all below them, links not followed.

    Args:
        values: each of at least four characters.
        places: files and folders.

    Returns:
        Each value once for a file, with the first way in which it was found.

    Raises:
        ValueError: for a value that is too short to mean anything.
    """
    if any(len(value) < SHORTEST for value in values):
        raise ValueError(f"each value needs at least {SHORTEST} characters")
    wanted = [spellings(value) for value in values]
    found = []
    for path in sorted({path for place in places for path in _files(place)}):
        if path.is_symlink() or not path.is_file():
            continue
        named = {n: "name" for n, value in enumerate(values) if value.casefold() in path.name.casefold()}
        hits = dict(_in_content(path.read_bytes(), wanted, path, ()))
        found += [Found(path, number, how) for number, how in sorted({**named, **hits}.items())]
    return found


def _files(place: Path) -> list[Path]:
    return list(place.rglob("*")) if place.is_dir() else [place]


def spellings(value: str) -> dict[bytes, str]:
    """The forms in which a value is sought, each with its name."""
    made: dict[bytes, str] = {}
    for text in dict.fromkeys((value, value.lower(), value.upper(), value.title())):
        plain = text.encode()
        forms = {plain: "plain"}
        for codec in ("utf-16-le", "utf-16-be"):
            forms[text.encode(codec)] = codec
        for encoded in (quote(text, safe=""), quote_plus(text), quote(text), json.dumps(text)[1:-1]):
            forms |= {encoded.encode(): "escaped", _lower_escapes(encoded).encode(): "escaped"}
        forms |= {plain.hex().encode(): "hex", plain.hex().upper().encode(): "hex"}
        for inner in (plain, text.encode("utf-16-le")):
            forms |= dict.fromkeys(_aligned(inner), "base64")
        made |= {form: name for form, name in forms.items() if form not in made}
    return made


def _lower_escapes(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def _aligned(plain: bytes) -> Iterator[bytes]:
    """What stands in base64 wherever the value begins: the characters that no neighbour decides."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain + b"\0\0")
        first, last = -(-before * 8 // 6), (before + len(plain)) * 8 // 6
        # A value of few bytes leaves too few characters to mean anything.
        if last - first >= SHORTEST:
            yield whole[first:last]
            yield whole[first:last].translate(bytes.maketrans(b"+/", b"-_"))


def _in_content(
    content: bytes, wanted: Sequence[Mapping[bytes, str]], path: Path | None, way: tuple[str, ...]
) -> Iterator[tuple[int, str]]:
    """Values in some bytes and in what is wrapped in them; a later way to the same value may follow."""
    seen = set()
    folded = content.lower()  # of ASCII
    for number, forms in enumerate(wanted):
        in_any_case = (name for form, name in forms.items() if name == "plain" and form in folded)
        how = next((name for form, name in forms.items() if form in content), next(in_any_case, None))
        if how is not None:
            seen.add(number)
            yield number, " > ".join([*way, how])
    left = [forms if number not in seen else {} for number, forms in enumerate(wanted)]
    if len(way) >= DEPTH or len(seen) == len(wanted):
        return
    for name, inner in _unwrapped(content, path):
        for number, how in _in_content(inner, left, None, (*way, name)):
            if number not in seen:
                seen.add(number)
                yield number, how


def _unwrapped(content: bytes, path: Path | None) -> Iterator[tuple[str, bytes]]:
    """What is wrapped in some bytes, each with the name of the wrapping."""
    for magic, (name, opens) in OPENERS.items():
        if content.startswith(magic):
            try:
                yield from ((name, inner) for inner in opens(content))
            except DAMAGE:  # a file that only begins like one is sought in as it is
                continue
    if content.startswith(SQLITE) and path is not None:
        yield from (("SQLite", cell) for cell in _cells(path))
    if content[257:262] == b"ustar":
        yield from (("tar", inner) for inner in _tar(content))
    for run in LONG_BASE64.finditer(content):
        decoded = _decoded(run[0])
        if decoded.startswith((*OPENERS, b"{", b"[")):
            yield "base64", decoded


def _decoded(run: bytes) -> bytes:
    plain = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _zip(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        for name in bundle.namelist():
            yield name.encode()
            yield bundle.read(name)


def _tar(content: bytes) -> Iterator[bytes]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as bundle:
            for info in bundle:
                stream = bundle.extractfile(info) if info.isfile() else None
                yield info.name.encode()
                yield stream.read() if stream else b""
    except DAMAGE:
        return


def _zlib(content: bytes) -> Iterator[bytes]:
    yield zlib.decompressobj().decompress(content)


def _parquet(content: bytes) -> Iterator[bytes]:
    """Columns of a Parquet file, one below the other: texts and bytes as they are, others as JSON."""
    for column in pl.read_parquet(io.BytesIO(content)):
        if column.dtype == pl.Binary:
            yield b"\n".join(value for value in column.unique() if value is not None)
        elif column.dtype == pl.String:
            yield "\n".join(value for value in column.unique() if value is not None).encode()
        else:
            yield column.to_frame().write_ndjson().encode()


def _png(content: bytes) -> Iterator[bytes]:
    """Texts of a PNG: the compressed ones opened, their keywords before them."""
    at = len(PNG)
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        chunk = content[at + 8 : at + 8 + length]
        if kind in (b"zTXt", b"iTXt", b"iCCP", b"eXIf"):
            start = chunk.find(b"\x78")
            yield chunk
            if start >= 0:
                yield from _zlib_anywhere(chunk)
        at += length + 12


def _zlib_anywhere(chunk: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", chunk):
        try:
            yield from _zlib(chunk[found.start() :])
        except zlib.error:
            continue


def _cells(path: Path) -> Iterator[bytes]:
    """Every value of an SQLite database; its write-ahead log is a file of its own and read with it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.text_factory = bytes
            named = database.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (table,) in named:
                quoted = table.decode().replace('"', '""')
                cells = (
                    cell
                    for row in database.execute(f'select * from "{quoted}"')  # noqa: S608 - a table's own name
                    for cell in row
                    if isinstance(cell, bytes)
                )
                short: list[bytes] = []
                for cell in cells:
                    if len(cell) > 64 or cell.startswith(tuple(OPENERS)):
                        yield cell
                    else:
                        short.append(cell)
                yield b"\n".join(short)
    except DAMAGE:
        return


OPENERS: Mapping[bytes, tuple[str, Callable[[bytes], Iterator[bytes]]]] = MappingProxyType(
    {
        b"\x1f\x8b": ("gzip", lambda content: iter([gzip.decompress(content)])),
        b"\xfd7zXZ\x00": ("xz", lambda content: iter([lzma.decompress(content)])),
        b"BZh": ("bzip2", lambda content: iter([bz2.decompress(content)])),
        b"PK\x03\x04": ("zip", _zip),
        b"\x78\x01": ("zlib", _zlib),
        b"\x78\x5e": ("zlib", _zlib),
        b"\x78\x9c": ("zlib", _zlib),
        b"\x78\xda": ("zlib", _zlib),
        PARQUET: ("Parquet", _parquet),
        PNG: ("PNG", _png),
    }
)

"""What files wrap: archives, compressed streams, tables, databases, base64, and text that is marked up."""

from __future__ import annotations

import base64
import binascii
import bz2
import html
import io
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import polars as pl

LARGEST = 1 << 28
"""Bytes of a compressed stream, or of a file in an archive, that are looked at."""
FIRST, CHUNK = 1 << 12, 1 << 16
"""Bytes that a decompressor gets at once: few at first, since most of what looks like a stream is none."""
SQLITE, PNG = b"SQLite format 3\0", b"\x89PNG\r\n\x1a\n"
ZIP_END, ZIP_TAIL = b"PK\x05\x06", 22 + (1 << 16)
"""What ends a zip file, and among how many of its last bytes."""
STREAM = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]|\xfd7zXZ\x00|BZh[1-9]1AY&SY")
WHOLE = re.compile(rb"\x1f\x8b\x08|\xfd7zXZ\x00|BZh[1-9]1AY&SY")
"""Of a file that is a stream; zlib's two bytes begin other files as well."""


class Decompressor(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unused_data(self) -> bytes:
        """What was given after its end."""

    def decompress(self, data: memoryview, /) -> bytes:
        """What some more of the stream holds."""


STREAMS: Mapping[bytes, tuple[str, Callable[[], Decompressor]]] = MappingProxyType(
    {
        b"\x1f": ("gzip", lambda: zlib.decompressobj(31)),
        b"\x78": ("zlib", zlib.decompressobj),
        b"\xfd": ("xz", lzma.LZMADecompressor),
        b"B": ("bzip2", bz2.BZ2Decompressor),
    }
)
BREAK = re.compile(rb"(?:\\+[rn]|\s)+")
"""Of a line, or of one in a text that JSON holds, however often."""
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
IN_ALPHABET = bytes(ord("A") if one in ALPHABET else ord(" ") for one in range(256))
SHORTEST_RUN = b"A" * 20
"""Characters of base64 in one line, from which on its next lines are looked at."""
LINES = re.compile(rb"[A-Za-z0-9+/_-]+(?:(?:\\+[rn]|\s)+[A-Za-z0-9+/_-]+)*={0,2}")
LONG = 40
"""Characters of base64 that are decoded; in shorter ones a value is sought as base64 has it."""
BEGINNINGS = 10
"""Lines of one run at which base64 may begin anew."""
AROUND = 1 << 11
"""Bytes before and after an entity among which a value is sought."""
ENTITY = re.compile(rb"&(?:#\d+|#[xX][0-9a-fA-F]+|[a-zA-Z]\w{1,30});")
KERNED = re.compile(rb"\)\s{0,4}-?[\d.]{0,24}\s{0,4}\(")
"""Between the pieces of a line in a PDF."""
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
    pl.exceptions.PanicException,
    sqlite3.Error,
)


def unwrapped(content: bytes, runs: Sequence[bytes], path: Path | None) -> Iterator[tuple[str, bytes | None]]:
    """What is wrapped in some bytes, each with the name of the wrapping; None is what could not be opened.

    Args:
        content: of a file, or of something wrapped.
        runs: of base64 in it, as :func:`base64_runs` gives them.
        path: of the file itself; None for something wrapped.
    """
    for magic, (name, opens) in OPENERS.items():
        if content.startswith(magic):
            try:
                yield from ((name, inner) for inner in opens(content))
            except DAMAGE:  # a file that only begins like one, perhaps: it is sought in as it is
                yield name, None
    if ZIP_END in content[-ZIP_TAIL:] and not may_wrap(content) and content[257:262] != b"ustar":
        try:  # a zip file may stand behind a program, say
            yield from (("zip", inner) for inner in _zip(content))
        except DAMAGE:
            yield "zip", None
    if content.startswith(SQLITE):
        yield from (("SQLite", cells) for cells in _cells(content, path))
    if content[257:262] == b"ustar":
        yield from (("tar", inner) for inner in _tar(content))
    if not content.startswith(PNG):  # whose pixels are not looked at
        yield from _streams(content)
    yield from _unmarked(content)
    yield from (("base64", decoded) for decoded in _from_base64(runs))


def base64_runs(content: bytes) -> list[bytes]:
    """What may be base64, of one line or several; with breaks of lines as they stand there."""
    runs, at, letters = [], 0, content.translate(IN_ALPHABET)
    while (start := letters.find(SHORTEST_RUN, at)) >= 0:
        if content[start - 1 : start] == b"\\" and content[start : start + 1] in (b"n", b"r"):
            start += 1  # an escaped break
        run = LINES.match(content, start)
        assert run is not None  # noqa: S101 - it has 19 characters at least
        runs.append(run[0])
        at = run.end()
    return runs


def may_wrap(content: bytes) -> bool:
    """Whether some bytes begin like an archive, a table, a database or a compressed stream."""
    return content.startswith((*OPENERS, SQLITE)) or STREAM.match(content) is not None


def unbroken(run: bytes) -> bytes:
    """Base64 without breaks of lines."""
    return BREAK.sub(b"", run) if run.translate(None, ALPHABET + b"=") else run


def _from_base64(runs: Sequence[bytes]) -> Iterator[bytes]:
    """What base64 hides: archives and the like each for itself, everything else below one another."""
    others = []
    for run in runs:
        if len(run) < LONG:
            continue
        lines = BREAK.finditer(run) if unbroken(run) != run else ()
        # A line that begins like an archive is a beginning, whatever stands above it.
        below = (one.end() for one in lines if may_wrap(_decoded(run[one.end() : one.end() + 16])))
        for start in (0, *islice(below, BEGINNINGS)):
            decoded = _decoded(unbroken(run[start:]))
            if may_wrap(decoded):
                yield decoded
            else:
                others.append(decoded)
    if others:
        yield b"\n".join(others)


def _decoded(run: bytes) -> bytes:
    plain = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _streams(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Compressed streams anywhere in some bytes; such as touch (members of one gzip file) as one.

    None where they begin with a stream that could not be read to its end.
    """
    view, at, end = memoryview(content), 0, -1
    name, whole = "", [b""]
    while found := STREAM.search(content, at):
        if found.start() != end:
            if any(whole):
                yield name, b"".join(whole)
            name, whole = STREAMS[found[0][:1]][0], []
        inner, at, ended = _decompressed(view, found.start())
        if not ended and found.start() == 0 and WHOLE.match(content):
            yield name, None
        whole.append(inner)
        end = at
    if any(whole):
        yield name, b"".join(whole)


def _decompressed(view: memoryview, start: int) -> tuple[bytes, int, bool]:
    """What a stream holds as far as it can be read, where it ends (or the next place), and whether it did."""
    stream = STREAMS[bytes(view[start : start + 1])][1]()
    made: list[bytes] = []
    at, size = start, 0
    try:
        while at < len(view) and not stream.eof and size < LARGEST:
            piece = view[at : at + (CHUNK if made else FIRST)]
            made.append(stream.decompress(piece))
            at, size = at + len(piece), size + len(made[-1])
    except DAMAGE:
        return b"".join(made), start + 1, False
    return b"".join(made), max(at - len(stream.unused_data), start + 1), stream.eof


def _unmarked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Texts of a page with characters in place of entities, and of a PDF without what stands between them."""
    marked: list[bytes] = []
    at = 0
    for found in ENTITY.finditer(content):
        marked.append(content[max(at, found.start() - AROUND) : found.end() + AROUND])
        at = max(at, found.end() + AROUND)
    if marked:
        text = b"".join(marked).decode(errors="surrogateescape")
        if (plain := html.unescape(text)) != text:
            yield "HTML", plain.encode(errors="surrogateescape")
    if b"BT" in content and b"TJ" in content:
        joined = KERNED.sub(b"", content)
        if joined != content:
            yield "PDF", joined


def _zip(content: bytes) -> Iterator[bytes | None]:
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        for info in bundle.infolist():  # by its place: several may have one name
            yield info.filename.encode()
            try:
                with bundle.open(info) as member:
                    yield member.read(LARGEST)
            except DAMAGE:  # of this one alone
                yield None
                continue
            if info.file_size > LARGEST:
                yield None


def _tar(content: bytes) -> Iterator[bytes | None]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as bundle:
            for info in bundle:
                stream = bundle.extractfile(info) if info.isfile() else None
                yield info.name.encode()
                yield stream.read() if stream else b""
    except DAMAGE:
        yield None


def _arrow_stream(content: bytes) -> Iterator[bytes | None]:
    """Columns of an Arrow stream; nothing where no message of a size that fits follows."""
    if 0 < int.from_bytes(content[4:8], "little", signed=True) <= len(content):
        yield from _columns(pl.read_ipc_stream(io.BytesIO(content)))


def _columns(frame: pl.DataFrame) -> Iterator[bytes | None]:
    """Columns, one below the other: texts and bytes as they are, numbers and others as JSON."""
    for column in frame:
        try:
            if column.dtype == pl.Binary:
                yield b"\n".join(value for value in column.unique() if value is not None)
            elif column.dtype == pl.String:
                yield "\n".join(value for value in column.unique() if value is not None).encode()
            else:
                yield column.to_frame().write_ndjson().encode()
        except DAMAGE:  # of this one alone
            yield None


def _png(content: bytes) -> Iterator[bytes | None]:
    """Everything of a PNG but its pixels."""
    at, kept = len(PNG), []
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind != b"IDAT":
            kept.append(content[at : at + 8 + length])
        at += length + 12
    yield b"\n".join(kept)


def _cells(content: bytes, path: Path | None) -> Iterator[bytes | None]:
    """Every value of an SQLite database; a file's write-ahead log is a file of its own and read with it."""
    try:
        with closing(_database(content, path)) as database:
            database.text_factory = bytes
            named = database.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (table,) in named:
                try:
                    yield from _rows(database, table.decode().replace('"', '""'))
                except DAMAGE:  # of this one alone
                    yield None
    except DAMAGE:
        yield None


def _database(content: bytes, path: Path | None) -> sqlite3.Connection:
    if path is not None:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    database = sqlite3.connect(":memory:")
    # One that is wrapped has no write-ahead log beside it, and must not look for one.
    database.deserialize(content[:18] + b"\1\1" + content[20:])
    return database


def _rows(database: sqlite3.Connection, table: str) -> Iterator[bytes]:
    """Cells of a table that may wrap something each for itself, all others together."""
    others: list[bytes] = []
    for row in database.execute(f'select * from "{table}"'):  # noqa: S608 - a table's own name
        for cell in row:
            if isinstance(cell, bytes) and may_wrap(cell):
                yield cell
            elif isinstance(cell, bytes):
                others.append(cell)
            elif isinstance(cell, float) and cell.is_integer():
                others.append(b"%d" % cell)
            elif cell is not None:
                others.append(str(cell).encode())
    yield b"\0".join(others)


OPENERS: Mapping[bytes, tuple[str, Callable[[bytes], Iterator[bytes | None]]]] = MappingProxyType(
    {
        b"PK\x03\x04": ("zip", _zip),
        b"PAR1": ("Parquet", lambda content: _columns(pl.read_parquet(io.BytesIO(content)))),
        b"ARROW1\0\0": ("Arrow", lambda content: _columns(pl.read_ipc(io.BytesIO(content)))),
        b"\xff\xff\xff\xff": ("Arrow", _arrow_stream),
        PNG: ("PNG", _png),
    }
)
"""What begins with these bytes, by name."""

"""The sweep finds a value in every wrapping, and says nothing where there is none."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tasks.privacy.sweep import spellings, sweep

VALUE = "Jane.Doe+x@exämple.org"


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("inner.txt", content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as bundle:
        info = tarfile.TarInfo("inner")
        info.size = len(content)
        bundle.addfile(info, io.BytesIO(content))
    return file.getvalue()


def parquet(content: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"n": [1, 2], "text": ["x" * 50, content]}).write_parquet(file)
    return file.getvalue()


def png(content: str, *, compressed: bool) -> bytes:
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_itxt("Author", content, zip=compressed)
    Image.new("L", (4, 4)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


PLAIN = f"before {VALUE} after".encode()
WRAPPED = {
    "plain": PLAIN,
    "upper": PLAIN.decode().upper().encode(),
    "utf-16": PLAIN.decode().encode("utf-16"),
    "url": quote(PLAIN.decode()).encode(),
    "json": json.dumps(PLAIN.decode()).encode(),
    "hex": PLAIN.hex().encode(),
    "base64 0": base64.b64encode(PLAIN),
    "base64 1": base64.b64encode(b"1" + PLAIN),
    "base64 2": base64.urlsafe_b64encode(b"22" + PLAIN),
    "gzip": gzip.compress(PLAIN),
    "zlib": zlib.compress(PLAIN),
    "bzip2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "zip": zipped(PLAIN),
    "tar": tarred(PLAIN),
    "parquet": parquet(PLAIN.decode()),
    "png": png(VALUE, compressed=False),
    "png, compressed": png(VALUE, compressed=True),
    "gzip in base64 in json": json.dumps({"data": base64.b64encode(gzip.compress(PLAIN)).decode()}).encode(),
    "zip in tar in gzip": gzip.compress(tarred(zipped(base64.b64encode(PLAIN)))),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_value_is_found_however_wrapped(how: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WRAPPED[how])
    found = sweep(["nobody@example.org", VALUE], tmp_path)
    assert [(one.path.name, one.value) for one in found] == [("file", 1)], how


def test_a_value_split_over_pages_of_sqlite_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "some.db")) as database, database:
        database.execute("pragma page_size = 512")
        database.execute("create table t (a text, b blob)")
        long = "x" * 440 + VALUE * 40
        database.execute("insert into t values (?, ?)", (long, gzip.compress(b"Max Mustermann")))
    found = sweep([VALUE, "max mustermann"], tmp_path)
    assert [one.value for one in found] == [0, 1]


def test_names_of_files_count_and_links_do_not(tmp_path: Path) -> None:
    (tmp_path / "jane doe.txt").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "jane doe.txt")
    assert [(one.path.name, one.how) for one in sweep(["Jane Doe"], tmp_path)] == [("jane doe.txt", "name")]


def test_files_that_only_begin_like_an_archive_are_sought_in(tmp_path: Path) -> None:
    for magic in (b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"BZh", b"x\x9c", b"SQLite format 3\0"):
        (tmp_path / magic.hex()).write_bytes(magic + b"no such thing: 536-90-4399")
    assert len(sweep(["536-90-4399"], tmp_path)) == 6
    assert sweep(["536-90-4390"], tmp_path) == []


def test_a_value_too_short_to_mean_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 characters"):
        sweep(["abc"], Path())


@given(
    st.text(st.characters(codec="utf-8"), min_size=4, max_size=20),
    st.binary(max_size=9),
    st.binary(max_size=9),
)
def test_base64_is_found_at_any_place(value: str, before: bytes, after: bytes) -> None:
    whole = base64.b64encode(before + value.encode() + after)
    assert any(form in whole for form in spellings(value))

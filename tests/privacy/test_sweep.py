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
import warnings
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from flows.sweep import run_sweep
from tasks.privacy.sweep import search, spellings, sweep

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


def test_names_of_files_folders_and_links_and_where_links_lead_count(tmp_path: Path) -> None:
    (tmp_path / "jane doe.txt").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "jane doe.txt")
    (tmp_path / "to jane doe").symlink_to(tmp_path / "nowhere")
    (tmp_path / "who=Jane%20Doe").mkdir()
    (tmp_path / "who=Jane%20Doe" / "part").write_bytes(b"Jane Doe")
    assert [(one.path.name, one.how) for one in sweep(["Jane Doe"], tmp_path)] == [
        ("jane doe.txt", "name"),
        ("link", "link"),
        ("to jane doe", "name"),
        ("who=Jane%20Doe", "name"),
        ("part", "plain"),
    ]


def test_files_that_only_begin_like_an_archive_are_sought_in(tmp_path: Path) -> None:
    for magic in (b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"BZh", b"x\x9c", b"SQLite format 3\0"):
        (tmp_path / magic.hex()).write_bytes(magic + b"no such thing: 536-90-4399")
    assert len(sweep(["536-90-4399"], tmp_path)) == 6
    assert sweep(["536-90-4390"], tmp_path) == []


def test_a_value_too_short_to_mean_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 characters"):
        sweep(["abc"], Path())


@example("000\uf900", b"", b"")  # which composes to another character
@given(
    st.text(st.characters(codec="utf-8"), min_size=4, max_size=20),
    st.binary(max_size=9),
    st.binary(max_size=9),
)
def test_base64_is_found_at_any_place(value: str, before: bytes, after: bytes) -> None:
    whole = base64.b64encode(before + value.encode() + after)
    assert any(form in whole for form in spellings(value))


def test_a_zip_s_every_member_is_searched_those_of_one_name_and_behind_a_program_too(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    for mode, content in (("w", VALUE), ("a", "harmless")):
        with zipfile.ZipFile(path, mode, zipfile.ZIP_DEFLATED) as bundle, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
            bundle.writestr("inner.txt", content)  # type: ignore[arg-type]
    (tmp_path / "run.pyz").write_bytes(b"#!/usr/bin/env python3\n" + zipped(VALUE.encode()))
    found, unopened = search([VALUE], tmp_path)
    assert [(one.path.name, one.how) for one in found] == [
        ("run.pyz", "zip > plain"),
        ("twice.zip", "zip > plain"),
    ]
    assert unopened == []


def test_what_could_not_be_opened_is_named_and_no_pass(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.mkdir()
    (held / "a.zip").write_bytes(zipped(PLAIN)[:-30])
    (held / "b.gz").write_bytes(gzip.compress(bytes(99))[:-9])
    (held / "c.gz").write_bytes(gzip.compress(zipped(PLAIN)[:-30]))
    (held / "d.tar").write_bytes(tarred(PLAIN)[:600])
    (held / "e").write_bytes(WRAPPED["gzip"] + b"\xff" * 40)
    (held / "f.parquet").write_bytes(parquet("x")[:-9])
    (held / "underlined").write_text("_" * 60)
    deep = PLAIN
    for _ in range(6):
        deep = gzip.compress(deep)
    (held / "g.gz").write_bytes(deep)
    assert [(one.path.name, one.how) for one in search(["nobody@example.org"], held).unopened] == [
        ("a.zip", "zip"),
        ("b.gz", "gzip"),
        ("c.gz", "gzip > zip"),
        ("d.tar", "tar"),
        ("f.parquet", "Parquet"),
        ("g.gz", "gzip > gzip > gzip > gzip > gzip"),
    ]
    (tmp_path / "values").write_text("nobody@example.org\n")
    outcome = run_sweep(tmp_path / "values", [held])
    assert outcome.exit_code == 4
    assert "6 files could not be opened and were not searched inside:" in outcome.lines
    (held / "h").write_text("nobody@example.org")
    assert run_sweep(tmp_path / "values", [held]).exit_code == 3


def test_where_a_link_leads_is_looked_at_and_a_given_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(VALUE)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "far").symlink_to(f"/nowhere/{VALUE}")
    assert [one.path.name for one in sweep([VALUE], tmp_path / "link")] == ["real"]
    assert [(one.path.name, one.how) for one in sweep([VALUE], tmp_path)] == [
        ("far", "link"),
        ("real", "plain"),
    ]

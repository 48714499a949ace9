"""A step that leaks is caught: in what Prefect, matplotlib and others really write."""

from __future__ import annotations

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import sqlite3
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from markupsafe import escape
from matplotlib.figure import Figure
from PIL import Image
from prefect.results import ResultRecord, ResultRecordMetadata
from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer, Serializer

from tasks.privacy.sweep import sweep

NAME, EMAIL, CARD, OTHER = (
    "Zelda O'Quimby-Müller",
    "zelda@planted.example",
    "4111111111111111",
    "Nobody's Önn",
)
NUMBER = int(CARD)


def leaked(place: Path, value: str = NAME) -> list[str]:
    """Ways in which a value is found; another one is found nowhere."""
    assert sweep([OTHER, "4111111111111112"], place) == []
    return [one.how for one in sweep([value], place)]


COMPRESSED = ["lzma", "bz2", "zlib", "gzip"]
SERIALIZERS: list[Serializer[Any]] = [
    PickleSerializer(),
    JSONSerializer(),
    *(
        CompressedSerializer(serializer=name, compressionlib=lib)
        for name in ("pickle", "json")
        for lib in COMPRESSED
    ),
]


@pytest.mark.parametrize(
    "serializer", SERIALIZERS, ids=lambda one: f"{one.type} {getattr(one, 'compressionlib', '')}"
)
def test_a_result_that_prefect_stored(serializer: Serializer[Any], tmp_path: Path) -> None:
    offsets = range(60 if serializer.type == "pickle" else 3)  # in lines of 76 characters of base64
    for offset in offsets:
        result = {"padding": "x" * offset, "rows": [{"who": NAME, "mail": EMAIL}] * 2}
        metadata = ResultRecordMetadata(serializer=serializer, storage_key="key")
        record = ResultRecord(metadata=metadata, result=result)
        (tmp_path / str(offset)).write_bytes(record.serialize())
    found = sweep([NAME, EMAIL, OTHER], tmp_path)
    assert [one.value for one in found] == [0, 1] * len(offsets)


def written(frame: pl.DataFrame, how: str) -> bytes:
    file = io.BytesIO()
    getattr(frame, f"write_{how}")(file)
    return file.getvalue()


def jpeg(**metadata: Any) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "JPEG", **metadata)
    return file.getvalue()


FRAME = pl.DataFrame({"card": [7, NUMBER], "who": ["x" * 90, NAME]})
TYPESET = html.escape(NAME).encode("ascii", "xmlcharrefreplace")
LINES = base64.encodebytes(lzma.compress(NAME.encode() * 3))
WRITTEN: dict[str, bytes] = {
    "html.escape": f"<td>{html.escape(NAME)}</td>".encode(),
    "Jinja": f"<td>{escape(NAME)}</td>".encode(),
    "named entities": b"<td>Zelda O&apos;Quimby-M&uuml;ller</td>",
    "JSON in an attribute": f'<p data="{escape(json.dumps([NAME]))}">'.encode(),
    "XMP": jpeg(xmp=b"<x:xmpmeta><dc:creator>%s</dc:creator></x:xmpmeta>" % TYPESET),
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps([NAME]))).encode(),
    "SQL": b"insert into t values ('%s');" % NAME.replace("'", "''").encode(),
    "decomposed": "ZELDA O'QUIMBY-MU\u0308LLER".encode(),
    "zlib inside": b"\x78\x9c junk" * 9 + zlib.compress(NAME.encode()) + b"after",
    "two members of gzip": gzip.compress(b"Zelda O'") + gzip.compress("Quimby-Müller".encode()),
    "cut short": gzip.compress(NAME.encode() * 900 + bytes(range(256)) * 9)[:-30],
    "bzip2 inside": b"before" + bz2.compress(NAME.encode()),
    "xz inside": b"before" + lzma.compress(NAME.encode() * 30),
    "base64 lines in YAML": b"key: |\n  " + LINES.replace(b"\n", b"\n  "),
    "base64 below base64": b"A" * 77 + b"\n" + LINES,
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_spelling_or_a_stream(how: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WRITTEN[how])
    assert len(leaked(tmp_path)) == 1, how


def test_the_metadata_of_a_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B], exif[0x9C9D] = EMAIL, f"{NAME}\0".encode("utf-16-le")  # Artist, XPAuthor
    (tmp_path / "photo.jpg").write_bytes(jpeg(exif=exif))
    assert [one.value for one in sweep([EMAIL, NAME, OTHER], tmp_path)] == [0, 1]


def test_a_figure_as_pdf(tmp_path: Path) -> None:
    figure = Figure()
    figure.suptitle("AVATAR To Quimby, Zelda")  # of letters that are set nearer to each other
    figure.savefig(tmp_path / "figure.pdf", metadata={"Author": EMAIL})
    assert len(leaked(tmp_path, "AVATAR To Quimby")) == 1
    assert len(leaked(tmp_path, EMAIL)) == 1


@pytest.mark.parametrize("form", ["parquet", "ipc", "ipc_stream"])
def test_a_number_in_a_table(form: str, tmp_path: Path) -> None:
    for name, dtype in (("whole", pl.Int64), ("float", pl.Float64)):
        (tmp_path / name).write_bytes(written(FRAME.select(pl.col("card").cast(dtype)), form))
    assert len(leaked(tmp_path, CARD)) == 2


def test_a_number_in_sqlite_also_inside_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "numbers.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table t (card integer, pay real)")
        database.execute("insert into t values (?, ?)", (NUMBER, 5105105105105100.0))
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.write(path, "numbers.db")
    assert leaked(tmp_path, CARD) == ["zip > SQLite > plain", "SQLite > plain"]
    assert len(sweep(["5105105105105100"], tmp_path)) == 2


def test_nothing_is_found_where_nothing_was_planted(tmp_path: Path) -> None:
    pd.DataFrame({"n": range(2000), "who": [f"person {n} &amp; co" for n in range(2000)]}).to_html(
        tmp_path / "a.html"
    )
    for name, content in WRITTEN.items():
        (tmp_path / name.replace(" ", "-")).write_bytes(content)
    assert sweep([OTHER, "nobody@planted.example", "4111111111111112", "Zelda Quimby"], tmp_path) == []

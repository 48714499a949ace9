"""Files of rows: CSV, JSON lines and Parquet, as they are; the plan's types come as a second step."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.archive import pieces
from tasks.plan.source import CsvFormat, JsonFormat, ParquetFormat

Item = TypeVar("Item")
Read = TypeVar("Read")
Format: TypeAlias = CsvFormat | JsonFormat | ParquetFormat
LOST = "\ufffd"
"""U+FFFD, which stands for bytes that are no character: different values may have become one by it."""
UTF_16 = "UTF-16; convert it (`iconv -f UTF-16 -t UTF-8`)"
OTHERS = {
    codecs.BOM_UTF16_LE: UTF_16,
    codecs.BOM_UTF16_BE: UTF_16,
    b"PK\x03\x04": "a workbook or a zip archive; save it as CSV, or unpack it",
    b"PAR1\x15": "Parquet; let `judgement.data.format` say so",
}
DOUBLED = re.compile(r"_duplicated_\d+$")  # which polars adds to a name that stood before
# Of JSON: two halves of one character, a half alone, or any other escape.
ESCAPE = re.compile(r"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(?P<half>u[dD][89a-fA-F]\w\w)|.)", re.ASCII)


def read_table(path: Path, form: Format, expected: Sequence[str]) -> pl.DataFrame:
    """Read a raw file without judging it.

    CSV gives text in every column: blanks around a value are stripped, the plan's null
    spellings and empty fields become null. A file without a header has the expected columns in
    their order; surplus fields are named ``field_16`` and so on. JSON lines and Parquet keep their
    own types. In CSV and JSON lines ``LOST`` stands for bytes that are not UTF-8.

    Args:
        path: the file.
        form: how it is written.
        expected: columns that the plan names; of a CSV file without a header all of them, in order.

    Returns:
        A row for each sample, with the columns that the file really has.

    Raises:
        Refusal: for a file that can't be read as its format at all, a CSV with rows that are longer or
            shorter than its first, and a file that has none of the expected columns.
    """
    try:
        if isinstance(form, CsvFormat):
            frame = _clean(_read_csv(path, form, expected), form.null_values)
        elif isinstance(form, JsonFormat):
            frame = pl.read_ndjson(
                io.BytesIO(_whole_escapes(_text(path).read()).encode()), infer_schema_length=None
            )
        else:
            frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        # Polars quotes what it stumbled on, which may be personal: its message stays out.
        raise Refusal(
            f"{path.name}: not readable as {form.type}{_where(path, form)}. "
            "Is the file whole, and does `judgement.data.format` fit it?"
        ) from None
    if frame.width and not {*expected} & {*frame.columns}:
        # The names that were found stay out: without a header they are somebody's values.
        raise Refusal(
            f"{path.name}: none of the columns {', '.join(expected)} is there, found {frame.width} others. "
            f"Does `judgement.data.format` fit it: has a CSV that delimiter, a header, the encoding UTF-8?"
        )
    return frame


def each(items: Iterable[Item], read: Callable[[Item], Read]) -> list[Read]:
    """What is read of each item, or one Refusal that says what is wrong with all that are refused."""
    found, refused = [], []
    for item in items:
        try:
            found.append(read(item))
        except Refusal as refusal:
            refused.append(str(refusal))
    if refused:
        raise Refusal("\n".join(refused))
    return found


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Stack files; a column that one of them lacks is null there, for validation to see."""
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def as_text(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with these columns as numbers, truth values or text, which any two files can be joined by.

    Bytes, as Parquet may hold, are decoded (``LOST`` as above), lists and objects are their JSON; of times
    and categories there is the text, so that none passes for a number.
    """
    return frame.with_columns(_plain(frame[name]) for name in names)


def _plain(values: pl.Series) -> pl.Series:
    kind = values.dtype
    if kind == pl.Binary:
        return _texts(values, lambda value: value.decode("utf-8", "replace"))
    if kind.is_nested():
        return _texts(values, lambda value: json.dumps(value, default=str, ensure_ascii=False))
    if kind == pl.Duration:
        return values.dt.to_string()
    return values.cast(pl.String) if kind.is_temporal() or kind in (pl.Categorical, pl.Enum) else values


def _texts(values: pl.Series, text: Callable[[Any], str]) -> pl.Series:
    found = [None if value is None else text(value) for value in values.to_list()]
    return pl.Series(values.name, found, pl.String)


def _whole_escapes(text: str) -> str:
    """JSON in which an escape that is half a character is ``LOST``: polars would make all of them U+0000."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return ESCAPE.sub(lambda found: "\\ufffd" if found["half"] else found[0], text)


def _bytes(path: Path) -> bytes:
    content = b"".join(pieces(path))
    if other := next((what for first, what in OTHERS.items() if content.startswith(first)), None):
        raise Refusal(f"{path.name}: text in UTF-8 is expected, found {other}")
    return content


def _text(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(_bytes(path)), "utf-8-sig", "replace", newline="")


def _end(content: bytes) -> bytes:
    """Of a line; a carriage return alone as old Macs, and Excel's "CSV (Macintosh)", write it."""
    return b"\n" if b"\n" in content else b"\r"


def _read_csv(path: Path, form: CsvFormat, expected: Sequence[str]) -> pl.DataFrame:
    content = _bytes(path)
    end = _end(content)
    blank = b"\r\n \t".replace(form.delimiter.encode(), b"")
    frame = pl.read_csv(
        io.BytesIO(content.rstrip(blank) + end),
        has_header=form.header,
        separator=form.delimiter,
        comment_prefix=form.comment,
        infer_schema=False,
        encoding="utf8-lossy",
        raise_if_empty=False,
        eol_char=end.decode(),
    )
    # Polars fills up a row with too few fields, so its last one is missing.
    if frame.width and frame.to_series(-1).null_count() and (where := _odd_line(content, form)):
        raise Refusal(f"{path.name}: not every row is whole{where}; an empty field needs its delimiter, too")
    if form.header:
        named = [DOUBLED.sub("", name).strip() for name in frame.columns]
        if twice := [name for name in expected if named.count(name) > 1]:
            raise Refusal(f"{path.name}: one column {', '.join(twice)} is expected, the header names several")
        return frame.rename({name: name.strip() for name in frame.columns})
    surplus = [f"field_{number}" for number in range(len(expected) + 1, frame.width + 1)]
    return frame.rename(dict(zip(frame.columns, [*expected, *surplus], strict=False)))


def _where(path: Path, form: Format) -> str:
    """What can be said, without a value, of where a file is not as its format."""
    if isinstance(form, CsvFormat):
        return _odd_line(_bytes(path), form)
    return _no_object(path) if isinstance(form, JsonFormat) else ""


def _odd_line(content: bytes, form: CsvFormat) -> str:
    """Say which line of a CSV has more or fewer fields than its first line, if one has, or a stray quote."""
    csv.field_size_limit(1 << 30)  # the reader's own is below a long text
    lines = csv.reader(_lines(content, form), delimiter=form.delimiter, strict=True)
    width, first = 0, 1
    try:
        for fields in lines:
            if fields:
                width = width or len(fields)
                if len(fields) != width and any(field.strip() for field in fields):
                    return f": line {first} has {len(fields)} fields, {width} are expected"
            first = lines.line_num + 1
    except csv.Error:
        return f": in the row of line {first} a quote is out of place, or never closed"
    return ""


def _lines(content: bytes, form: CsvFormat) -> Iterator[str]:
    """Lines of a CSV as polars parts them: a comment is none, a stray carriage return ends none."""
    quoted = False
    for line in io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "replace", newline=_end(content).decode()):
        if form.comment and not quoted and line.startswith(form.comment):
            yield "\n"
            continue
        quoted ^= line.count('"') % 2 == 1
        yield line.rstrip("\r\n").replace("\r", " ") + "\n"


def _no_object(path: Path) -> str:
    """Say which line of JSON lines is no object, or what else is wrong with them."""
    for number, line in enumerate(_text(path), start=1):
        try:
            sound = not line.strip() or isinstance(json.loads(line, parse_constant=int), dict)
        except ValueError:  # so is NaN, which is no number of JSON
            sound = False
        if not sound:
            return f": line {number} is no JSON object (NaN and Infinity are none of its numbers)"
    return ": each line is an object, but the values of a column have no type in common, as true and 1"


def _clean(frame: pl.DataFrame, null_values: list[str]) -> pl.DataFrame:
    value = pl.all().str.strip_chars()
    return frame.with_columns(pl.when(~value.is_in(["", *null_values])).then(value))

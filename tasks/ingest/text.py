"""The text kind: texts in a column of a CSV, JSON lines or Parquet file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.archive import pieces
from tasks.ingest.tables import LOST, as_text, each, joined, read_table
from tasks.plan.data import FORM, NONE, SEVERAL, SOUND, Text
from tasks.plan.source import ParquetFormat

EMPTY, UNDECODED = "empty", "not UTF-8"
WORD = r"\w+"
SHOWN = r"[^\s\p{Cc}\p{Cf}]"
"""A character that shows: white space, control characters and those of no width do not."""


def read(paths: Sequence[Path], data: Text) -> pl.DataFrame:
    """Read the texts of a part, and what describes each; other columns of the file are left out.

    Raises:
        Refusal: for a file that can't be read as its format, or that has no column of texts.
    """
    frame = joined(each(paths, lambda path: _read_file(path, data)))
    text, form = pl.col(data.text), _form(data)
    kept = [name for name in (*data.columns, data.label.column) if name in frame.columns]
    return frame.select(
        form.alias(FORM),
        *(column.alias(name) for name, column in made_of_text(data).items()),
        *kept,
        pl.when(form == SOUND).then(text).alias(data.text),
    )


def made_of_text(data: Text) -> dict[str, pl.Expr]:
    """Columns that follow from the text: what describes it, its identities and its frames."""
    text = pl.col(data.text)
    plain = text.str.normalize("NFKC")  # as tokenizers fold it: a term in wide letters is read as the term
    return {
        **describe_text(text),
        **{name: _identity(plain, levels) for name, levels in data.identities.items()},
        **{name: _frame(plain, data.identities[by]) for name, by in data.frames.items()},
    }


def describe_text(text: pl.Expr) -> dict[str, pl.Expr]:
    """Characters, words (runs of letters, digits and underscores), and two shares in [0, 1].

    ``distinct_share`` is the share of words that are different ones, in any case; ``capital_share`` that of
    capitals among the letters. A text without words, or letters, has 0.
    """
    words = text.str.to_lowercase().str.extract_all(WORD)
    letters, capitals = text.str.count_matches(r"\p{L}"), text.str.count_matches(r"\p{Lu}")
    return {
        "characters": text.str.len_chars().cast(pl.Int64),
        "words": words.list.len().cast(pl.Int64),
        "distinct_share": _share(words.list.n_unique(), words.list.len()),
        "capital_share": _share(capitals, letters),
    }


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).when(whole == 0).then(0.0)


def _form(data: Text) -> pl.Expr:
    """What is wrong with a text, or that nothing is."""
    characters = pl.col(data.text).str.len_chars()
    long = pl.format("{} characters, at most {} expected", characters, pl.lit(data.maximum_characters))
    return (
        pl.when(pl.col(UNDECODED))
        .then(pl.lit(UNDECODED))
        .when(pl.col(data.text).is_null())
        .then(pl.lit(EMPTY))
        .when(characters > data.maximum_characters)
        .then(long)
        .otherwise(pl.lit(SOUND))
    )


def _identity(text: pl.Expr, levels: Mapping[str, Sequence[str]]) -> pl.Expr:
    """The level whose terms stand in the text as whole words, in any case; ``none``, or ``several``."""
    found = {level: text.str.contains(_pattern(terms)) for level, terms in levels.items()}
    count = pl.sum_horizontal(found.values())
    level = pl.coalesce(pl.when(present).then(pl.lit(name)) for name, present in found.items())
    return (
        pl.when(text.is_not_null())
        .then(pl.when(count > 1).then(pl.lit(SEVERAL)).otherwise(level))
        .fill_null(pl.when(text.is_not_null()).then(pl.lit(NONE)))
    )


def _frame(text: pl.Expr, levels: Mapping[str, Sequence[str]]) -> pl.Expr:
    """The text without the terms: what stands there alike whoever is named."""
    # Longer terms first, or "african american" would leave "american" behind.
    terms = sorted((term for level in levels.values() for term in level), key=len, reverse=True)
    spelled = "|".join(map(_spelled, terms))
    # Half boundaries: behind "l.g.b.t." a whole one would ask for a letter.
    return text.str.replace_all(rf"(?i)\b{{start-half}}(?:{spelled})\b{{end-half}}", "_")


def _pattern(terms: Sequence[str]) -> str:
    """Any of the terms between characters of no word; a blank in a term is any white space."""
    return rf"(?i)(?:^|\W)(?:{'|'.join(map(_spelled, terms))})(?:\W|$)"


def _spelled(term: str) -> str:
    return r"\s+".join(map(pl.escape_regex, term.split()))


def _read_file(path: Path, data: Text) -> pl.DataFrame:
    """A file's rows with the column ``UNDECODED``: whether bytes of the text are no characters."""
    frame = read_table(path, data.format, [data.text, *data.columns, data.label.column])
    if data.text not in frame.columns:
        found = ", ".join(map(repr, frame.columns))
        raise Refusal(f"{path.name}: a column {data.text!r} of texts is expected, found {found}")
    raw = frame[data.text]
    if raw.dtype.is_nested():
        raise Refusal(f"{path.name}: texts are expected in column {data.text!r}, found lists or objects")
    if raw.dtype == pl.Binary:
        found_text = pl.Series([None if value is None else _decoded(value) for value in raw], dtype=pl.String)
    else:
        found_text = raw.cast(pl.String)
    undecoded = found_text.is_null() & raw.is_not_null()
    if not isinstance(data.format, ParquetFormat) and _decoded(b"".join(pieces(path))) is None:
        # The table was read with a sign for what is no character: where a text has it, that was there.
        undecoded = found_text.str.contains(LOST, literal=True).fill_null(value=False)
    texts = pl.select(pl.when(found_text.str.contains(SHOWN)).then(found_text)).to_series()
    kept = [name for name in (*data.columns, data.label.column) if name in frame.columns]
    # Not frame.select(kept): a file of texts alone has no other column, and then no rows were left.
    told = as_text(frame, kept).with_columns(texts.alias(data.text), undecoded.alias(UNDECODED))
    return told.select(*kept, data.text, UNDECODED)


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None

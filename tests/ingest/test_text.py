"""Texts: what describes each, who is spoken of, and what is wrong with those that can't be used."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.ingest.described import describe, row_digests, type_frame
from tasks.ingest.text import read
from tasks.plan.data import Text
from tasks.plan.load import load_plan

IDENTITIES = {"gender": {"women": ["woman", "old lady"], "men": ["man", "guy"]}}


def data_of(kind: str = "csv", **other: Any) -> Text:
    return Text.model_validate(
        {
            "kind": "text",
            "sources": [{"name": "a", "sha256": "0" * 64, "origins": ["https://example.org/a"]}],
            "format": {"type": kind},
            "label": {"column": "class", "values": ["bad", "good"], "positive": "bad"},
            "identities": IDENTITIES,
            "maximum_characters": 30,
            **other,
        }
    )


def written(folder: Path, content: bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_text_is_described_by_length_words_and_shares(tmp_path: Path) -> None:
    content = ',text,class,votes\n0,"The man, the MAN. ÉTÉ",bad,3\n1,!!!,good,2\n'.encode()
    frame = read([written(tmp_path, content)], data_of())
    assert frame.columns == [
        "form", "characters", "words", "distinct_share", "capital_share", "gender", "class", "text",
    ]  # fmt: skip
    first, second = frame.to_dicts()
    # Words: the, man, the, man, été; letters: 16 of which T, M, A, N, É, T, É are capitals.
    assert (first["characters"], first["words"]) == (21, 5)
    assert first["distinct_share"] == pytest.approx(3 / 5)
    assert first["capital_share"] == pytest.approx(7 / 15)
    assert (second["words"], second["distinct_share"], second["capital_share"]) == (0, 0, 0)
    assert set(frame["form"]) == {"sound"}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("a Man!", "men"),
        ("@man", "men"),
        ("mankind", "none"),
        ("batman", "none"),
        ("WOMAN", "women"),
        ("\uff37\uff4f\uff4d\uff41\uff4e", "women"),
        ("an old   lady", "women"),
        ("lady", "none"),
        ("man or woman", "several"),
        ("man, guy", "men"),
    ],
)
def test_who_is_spoken_of_is_told_by_whole_words_in_any_case(tmp_path: Path, text: str, level: str) -> None:
    path = written(tmp_path, f'text,class\n"{text}",bad\n'.encode())
    assert read([path], data_of())["gender"].to_list() == [level]


def test_a_term_is_no_pattern(tmp_path: Path) -> None:
    data = data_of(identities={"who": {"them": ["c.p", "(x)"]}})
    path = written(tmp_path, b"text,class\ncap,bad\nc.p,bad\n(x),bad\nx,bad\n")
    assert read([path], data)["who"].to_list() == ["none", "them", "them", "none"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_is_wrong_with_a_text_stands_in_its_form(tmp_path: Path, kind: str) -> None:
    texts = [b"good text", b"", b"caf\xe9", b"  ", b"a" * 31, b"a" * 30]
    lines = {
        "csv": [b"text,class", *(b'"%s",bad' % text for text in texts)],
        "jsonl": [b'{"text": "%s", "class": "bad"}' % text for text in texts],
    }
    frame = read([written(tmp_path, b"\n".join(lines[kind]) + b"\n")], data_of(kind))
    long = "31 characters, at most 30 expected"
    assert frame["form"].to_list() == ["sound", "empty", "not UTF-8", "empty", long, "sound"]
    assert frame["text"].is_null().to_list() == [False, True, True, True, True, False]
    assert len(set(row_digests(frame, data_of(kind)))) == 5  # the two empty ones are alike


def test_a_text_of_nothing_that_shows_is_empty_and_one_of_signs_is_not(tmp_path: Path) -> None:
    path = written(tmp_path, "text,class\n\u200b \ufeff,bad\n\0,bad\n!,bad\n\U0001f469,bad\n".encode())
    assert read([path], data_of())["form"].to_list() == ["empty", "empty", "sound", "sound"]


def test_texts_are_no_lists(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"text": ["a", "man"], "class": "bad"}\n')
    with pytest.raises(Refusal, match="texts are expected in column 'text', found lists or objects"):
        read([path], data_of("jsonl"))


def test_the_sign_of_lost_bytes_is_sound_where_none_were_lost(tmp_path: Path) -> None:
    path = written(tmp_path, "text,class\nwhat\ufffd,bad\n".encode())
    assert read([path], data_of())["form"].to_list() == ["sound"]


def test_parquet_may_hold_bytes_or_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": [b"a man", b"\xff\xfe", None, b""], "class": ["bad"] * 4}).write_parquet(path)
    frame = read([path], data_of("parquet"))
    assert frame["form"].to_list() == ["sound", "not UTF-8", "empty", "empty"]
    pl.DataFrame({"text": ["a man"], "class": ["bad"]}).write_parquet(path)
    assert read([path], data_of("parquet"))["gender"].to_list() == ["men"]


def test_files_without_the_column_of_texts_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"words,class\na,bad\n")
    with pytest.raises(Refusal, match=r"a\.csv: a column 'text' of texts is expected, found 'words',"):
        read([path], data_of())


def test_davidsons_tweets_are_read_as_published(mirror: Path, tmp_path: Path) -> None:
    """Rows and classes as the authors count them; the votes and the unnamed column are left out."""
    judgement = load_plan("hate-speech", Path("data")).judgement
    content = gzip.decompress((mirror / "davidson_hate_speech" / "labeled_data.csv.gz").read_bytes())
    frame = type_frame(read([written(tmp_path, content)], judgement.data), judgement)
    counts = dict(frame["class"].value_counts().iter_rows())
    assert counts == {"hate": 1430, "offensive": 19190, "neither": 4163}
    assert set(frame["form"]) == {"sound"}
    assert set(frame.columns) == {*judgement.data.described(), "class", "tweet"}
    described = describe(frame, judgement)
    assert set(described["gender"]) == {"women", "men", "none", "several"}


def test_texts_that_differ_in_the_term_alone_have_one_frame(tmp_path: Path) -> None:
    terms = {"black": ["african", "African American"], "women": ["woman"]}
    data = data_of().model_copy(update={"identities": {"who": terms}, "frames": {"frame": "who"}})
    texts = [
        "I am african american",
        "I am AFRICAN",
        "I am a woman.",
        "I am african, a woman",
        "Africans all",
    ]
    content = "text,class\n" + "".join(f'"{text}",bad\n' for text in texts)
    found = read([written(tmp_path, content.encode())], data)["frame"].to_list()
    assert found == ["I am _", "I am _", "I am a _.", "I am _, a _", "Africans all"]
    assert "frame" in data.described()

"""Reading: what the file really holds, and what the plan makes of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.ingest.described import describe, row_digests, type_frame
from tasks.ingest.tabular import read
from tasks.plan.judgement import Judgement

from .conftest import Small


@pytest.fixture
def judgement(small: Small) -> Judgement:
    return small.plan().judgement


def test_text_is_stripped_and_null_spellings_are_missing(small: Small, judgement: Judgement) -> None:
    path = small.top / "rows.csv"
    path.write_text("age, job ,score,sex,income\n 39 ,?,, F,low.\n")
    frame = read([path], judgement.data)
    expected = {"age": "39", "job": None, "score": None, "sex": "F", "income": "low."}
    assert frame.to_dicts() == [expected]
    assert type_frame(frame, judgement).to_dicts() == [{**expected, "age": 39, "income": "low"}]


def test_without_header_columns_are_in_the_plans_order(small: Small) -> None:
    small.document["judgement"]["data"]["format"] |= {"header": False, "comment": "|"}
    path = small.top / "rows.csv"
    path.write_text("|a comment\n20,Clerk,1.5,M,low,surplus\n")
    frame = read([path], small.plan().judgement.data)
    assert frame.columns == ["age", "job", "score", "sex", "income", "field_6"]
    assert frame.height == 1


def test_blank_line_at_the_end_is_no_row_and_one_inside_is(small: Small, judgement: Judgement) -> None:
    path = small.top / "rows.csv"
    path.write_text("age,job,score,sex,income\n20,Clerk,1,M,low\n\n21,Clerk,1,M,low\n\n")
    assert read([path], judgement.data)["age"].to_list() == ["20", None, "21"]


@pytest.mark.parametrize(("content", "height"), [(b"", 0), (b"age,job,score,sex,income\n", 0)])
def test_empty_file_is_an_empty_frame(
    small: Small, judgement: Judgement, content: bytes, height: int
) -> None:
    (small.top / "rows.csv").write_bytes(content)
    assert read([small.top / "rows.csv"], judgement.data).height == height


def test_line_with_too_many_fields_is_named_without_its_values(small: Small, judgement: Judgement) -> None:
    (small.top / "rows.csv").write_text(
        "age,job,score,sex,income\n20,Clerk,1,M,low\n20,Clerk,secret,M,low,9\n"
    )
    with pytest.raises(Refusal, match="line 3 has 6 fields, 5 are expected") as caught:
        read([small.top / "rows.csv"], judgement.data)
    assert "secret" not in str(caught.value)


def test_parquet_keeps_its_types_and_a_csv_is_none(small: Small) -> None:
    small.document["judgement"]["data"]["format"] = {"type": "parquet"}
    judgement = small.plan().judgement
    path = small.top / "rows.parquet"
    pl.DataFrame(
        {"age": [20], "job": ["Clerk"], "score": [1.5], "sex": ["M"], "income": ["low"]}
    ).write_parquet(path)
    assert read([path], judgement.data).schema["age"] == pl.Int64
    path.write_text("age\n20\n")
    with pytest.raises(Refusal, match=r"rows\.parquet: not readable as parquet"):
        read([path], judgement.data)


def test_description_has_a_level_for_each_attribute(judgement: Judgement) -> None:
    ages = [16, 17, 39, 40, 64, 65, 99, None]
    frame = pl.DataFrame({"age": ages, "sex": ["F", None] * 4, "income": ["low"] * 8})
    described = describe(frame, judgement)
    assert described.columns == ["sex", "age_band", "label"]
    bands = ["unknown", "17-39", "17-39", "40-64", "40-64", "65+", "65+", "unknown"]
    assert described["age_band"].to_list() == bands
    assert described["sex"].to_list() == ["F", "unknown"] * 4


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_odd_number_is_in_no_band(judgement: Judgement, odd: float) -> None:
    frame = pl.DataFrame({"age": [odd, 70.0], "sex": ["F", "F"], "income": ["low"] * 2})
    assert describe(frame, judgement)["age_band"].to_list() == ["unknown", "65+"]


def test_row_digest_is_of_the_values_and_the_canonical_label(judgement: Judgement) -> None:
    row = {"age": "20", "job": None, "score": "1.5", "sex": "M", "income": "low"}
    frame = pl.DataFrame([row, {**row, "income": "low."}, {**row, "job": ""}, {**row, "age": "21"}])
    digests = row_digests(frame.cast(pl.String), judgement.data)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert digests[0] == row_digests(frame.cast({"age": pl.Int64, "score": pl.Float64}), judgement.data)[0]
    from .conftest import sha256

    assert digests[0] == sha256(b"20\x1f\0\x1f1.5\x1fM\x1flow")[:16]


def test_adult_is_read_as_published(mirror: Path, tmp_path: Path) -> None:
    """Rows, missing values and positives as adult.names counts them."""
    from tasks.plan.load import load_plan

    judgement = load_plan("adult", Path(__file__).parents[2] / "data").judgement
    for name, rows, positives in (("adult.data", 32561, 7841), ("adult.test", 16281, 3846)):
        (tmp_path / name).write_bytes(gzip.decompress((mirror / "adult" / f"{name}.gz").read_bytes()))
        frame = type_frame(read([tmp_path / name], judgement.data), judgement)
        assert (frame.height, frame["income"].eq(">50K").sum()) == (rows, positives)
        missing = {column: count for column, count in frame.null_count().to_dicts()[0].items() if count}
        assert set(missing) == {"workclass", "occupation", "native-country"}


def test_names_and_spellings_of_the_source_become_the_plans(small: Small) -> None:
    """The label need not be the last column, and a Parquet file may keep a category as 1.0."""
    data = small.document["judgement"]["data"]
    data["format"] |= {"header": False, "names": ["income", "age", "job", "score", "sex"]}
    data["columns"]["sex"] = {"type": "category", "values": ["F", "M"], "spellings": {"1.0": "M", "2.0": "F"}}
    path = small.top / "rows.csv"
    path.write_text("low,20,Clerk,1.5,1.0\nhigh,21,Clerk,1.5,2.0\nhigh,21,Clerk,1.5,3.0\n")
    frame = read([path], small.plan().judgement.data)
    assert frame["income"].to_list() == ["low", "high", "high"]
    assert frame["sex"].to_list() == ["M", "F", "3.0"]  # what is no spelling is left for validation to refuse
    data["format"] = {"type": "parquet"}
    pl.DataFrame({"sex": [1.0, 2.0, None]}).write_parquet(small.top / "rows.parquet")
    frame = read([small.top / "rows.parquet"], small.plan().judgement.data)
    assert frame["sex"].to_list() == ["M", "F", None]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_lost_bytes_stand_as_their_sign_in_every_format(small: Small, kind: str) -> None:
    """Never as nothing, and never as an error of the library's."""
    small.document["judgement"]["data"]["format"] = {"type": kind}
    cities, path = [b"caf\xe9", b"caf\xe8", b"x"], small.top / f"rows.{kind}"
    if kind == "parquet":
        pl.DataFrame({"job": [*cities, None]}).write_parquet(path)
    else:
        lines = {
            "csv": [b"job", *cities, b"?"],
            "jsonl": [*(b'{"job": "%s"}' % city for city in cities), b'{"job": null}'],
        }
        path.write_bytes(b"\n".join(lines[kind]) + b"\n")
    found = read([path], small.plan().judgement.data)["job"].to_list()
    assert found == ["caf\ufffd", "caf\ufffd", "x", "?" if kind == "csv" else None]


def test_half_a_character_of_json_is_lost_too(small: Small) -> None:
    small.document["judgement"]["data"]["format"] = {"type": "jsonl"}
    path = small.top / "rows.jsonl"
    texts = [r"a\ud800b", r"\uDC01", r"\ud83d\ude00", r"\\ud800", r"\u00e9"]
    path.write_text("".join(f'{{"job": "{text}"}}\n' for text in texts))
    found = read([path], small.plan().judgement.data)["job"].to_list()
    assert found == ["a\ufffdb", "\ufffd", "\U0001f600", r"\ud800", "\u00e9"]

"""Reading: what the file really holds, and what the plan makes of it."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
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


LINES = ["age,job,score,sex,income", "20,Clerk,1,M,low", "21,Clerk,2,F,high"]
UNREADABLE = {
    "another delimiter": ("\n".join(LINES).replace(",", ";").encode(), "none of the columns age, job, score"),
    "no header": ("\n".join(LINES[1:]).encode(), "found 5 others"),
    "a row that is cut": ("\n".join([*LINES, "22,Secret"]).encode(), "line 4 has 2 fields, 5 are expected"),
    "an open quote": ("\n".join([*LINES, '22,"Secret,3,M,low']).encode(), "in the row of line 4 a quote is"),
    "a name twice": (
        "\n".join(["age,sex ,age,job,sex", *LINES[1:]]).encode(),
        "one column age, sex is expected",
    ),
    "UTF-16": ("\n".join(LINES).encode("utf-16"), "text in UTF-8 is expected, found UTF-16"),
    "a zip archive": (b"PK\x03\x04\n,,", "found a workbook or a zip archive; save it as CSV"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_csv_of_another_form_is_refused_without_its_values(
    small: Small, judgement: Judgement, name: str
) -> None:
    content, reason = UNREADABLE[name]
    (small.top / "rows.csv").write_bytes(content)
    with pytest.raises(Refusal, match=reason) as caught:
        read([small.top / "rows.csv"], judgement.data)
    assert not any(value in str(caught.value) for value in ("Clerk", "Secret"))


@pytest.mark.parametrize("before", ['#as,"Anna" left it\n', '# it,"never closed\n', "#\ufeff\n"])
def test_comments_and_stray_carriage_returns_of_a_csv_make_no_row_shorter(small: Small, before: str) -> None:
    small.document["judgement"]["data"]["format"] |= {"comment": "#"}
    path = small.top / "rows.csv"
    path.write_bytes(f'{before}{LINES[0]}\n22,"a\n#b",3,M,\n23,a\rb,3,M,\n'.encode())
    rows = read([path], small.plan().judgement.data).rows()
    assert rows == [("22", "a\n#b", "3", "M", None), ("23", "a\rb", "3", "M", None)]


def test_a_csv_may_begin_with_the_letters_of_parquet(small: Small, judgement: Judgement) -> None:
    path = small.top / "rows.csv"
    path.write_text("PAR1,age,job,score,sex,income\n1,20,Clerk,1,M,low\n")
    assert read([path], judgement.data)["PAR1"].to_list() == ["1"]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_a_mark_of_utf8_and_other_ends_of_lines_change_nothing(
    small: Small, judgement: Judgement, end: str
) -> None:
    path = small.top / "rows.csv"
    path.write_text("\n".join(LINES))
    plain = read([path], judgement.data)
    path.write_bytes(b"\xef\xbb\xbf" + end.join(LINES).encode())
    assert read([path], judgement.data).equals(plain)


def test_empty_last_fields_of_the_last_row_are_missing(small: Small) -> None:
    small.document["judgement"]["data"]["format"] |= {"delimiter": "\t"}
    path = small.top / "rows.csv"
    path.write_text("\n".join([*LINES, "22,Clerk,3,,", ""]).replace(",", "\t"))
    assert read([path], small.plan().judgement.data).rows()[-1] == ("22", "Clerk", "3", None, None)


def test_json_lines_may_begin_with_a_mark_and_a_line_that_is_none_is_named(small: Small) -> None:
    small.document["judgement"]["data"]["format"] = {"type": "jsonl"}
    judgement, path = small.plan().judgement, small.top / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"age": 20}\n\n{"age": 21}\n')
    assert read([path], judgement.data)["age"].to_list() == [20, 21]
    for odd in ('{"age": NaN}', "[1]", '{"age": 20'):
        path.write_text('{"age": 20}\n' + odd)
        with pytest.raises(Refusal, match=r"not readable as jsonl: line 2 is no JSON object"):
            read([path], judgement.data)
    path.write_text('{"age": true}\n{"age": 20}\n')
    with pytest.raises(Refusal, match="the values of a column have no type in common"):
        read([path], judgement.data)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_lists_objects_times_and_categories_are_text(small: Small, kind: str) -> None:
    """Else a date would pass for a number of days, and a list for a crash; files need not agree on them."""
    small.document["judgement"]["data"]["format"] = {"type": kind}
    day, odd = datetime(2026, 3, 1, 12, tzinfo=UTC), pl.Series(["5", None], dtype=pl.Categorical)
    frame = pl.DataFrame(
        {"age": [day, None], "job": [["a", None], None], "score": odd, "sex": [{"a": None}] * 2}
    )
    paths = [small.top / f"{name}.{kind}" for name in ("a", "b")]
    for path, found in zip(paths, (frame, frame.select(age=pl.lit(20))), strict=True):
        found.write_ndjson(path) if kind == "jsonl" else found.write_parquet(path)
    raw = read(paths, (judgement := small.plan().judgement).data)
    assert raw["job"][0] == '["a", null]'
    typed = type_frame(raw, judgement)
    assert typed["age"].to_list() == [None, None, 20]
    assert typed["score"].to_list() == [5.0, None, None]
    assert len(row_digests(raw, judgement.data)) == 3


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


@pytest.mark.parametrize("values", [["33.0", "33.5", "33"], [33.0, 33.5, 33.0]])
def test_a_number_with_a_fraction_is_no_whole_one(judgement: Judgement, values: list[str | float]) -> None:
    typed = type_frame(pl.DataFrame({"age": values}), judgement)["age"]
    assert typed.to_list() == [None if values[0] == "33.0" else 33, None, 33]
    large = pl.DataFrame({"age": [2**53 + 1, -(2**63), None]})
    assert type_frame(large, judgement)["age"].to_list() == [2**53 + 1, -(2**63), None]


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

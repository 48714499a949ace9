"""What is found in texts and what becomes of columns: real patterns, and values worked by hand."""

from __future__ import annotations

import polars as pl
import pytest

from tasks.plan.deidentification import Band, Privacy
from tasks.privacy.deidentify import deidentify, year_of
from tasks.privacy.keys import Key
from tasks.privacy.recognise import Span, find, merged, replace
from tasks.privacy.tokens import token

KEY = Key(bytes(range(32)), "small")
NAMES = frozenset({"jane", "o'hara", "müller"})
PRIVACY = Privacy.model_validate(
    {
        "texts": ["said"],
        "recognise": ["email", "phone", "card", "iban", "ip", "national", "date", "address", "name"],
        "names": {"file": "names.txt", "sha256": "0" * 64},
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jane.doe+x@example.org now", "mail [EMAIL] now"),
        ("a@b.no-such-domain", "[EMAIL]"),
        ("call +1 (212) 555-0187 or 020 7946 0958", "call [PHONE] or [PHONE]"),
        ("card 4111 1111 1111 1111.", "card [CARD]."),
        ("order 4111 1111 1111 1112 is no card", "order 4111 1111 1111 1112 is no card"),  # Luhn
        ("to DE89 3704 0044 0532 0130 00", "to [IBAN]"),
        ("from 192.168.17.4 and fe80::1ff:fe23:4567:890a", "from [IP] and [IP]"),
        ("ssn 536-90-4399, nino AB123456C", "ssn [NATIONAL], nino [NATIONAL]"),
        ("born 03/14/1984, or March 14, 1984, or 14th of March 1984", "born [DATE], or [DATE], or [DATE]"),
        ("at 742 Evergreen Terrace, Springfield, IL 62704", "at [ADDRESS]"),
        ("12 Baker St. or Hauptstraße 5 or PO Box 112", "[ADDRESS] or [ADDRESS] or [ADDRESS]"),
        ("JANE and Müller's, O'Hara; not janet", "[NAME] and [NAME], [NAME]; not janet"),
        (
            "3 weeks in court, 5 times in a way, 2 in 1: 99.5%",
            "3 weeks in court, 5 times in a way, 2 in 1: 99.5%",
        ),
        ("", ""),
    ],
)
def test_each_kind_is_found_and_what_is_none_is_left(text: str, expected: str) -> None:
    assert replace(text, find(text, PRIVACY, NAMES), lambda kind, _: f"[{kind}]") == expected


def test_spans_that_overlap_are_replaced_whole() -> None:
    spans = [Span(0, 6, "NAME", 1.0), Span(4, 12, "EMAIL", 0.5), Span(12, 13, "IP", 0.6)]
    assert merged(spans) == [Span(0, 12, "EMAIL", 0.5), Span(12, 13, "IP", 0.6)]
    assert replace("jane@doe.org5!", spans, lambda kind, value: f"<{kind}:{value}>") == (
        "<EMAIL:jane@doe.org><IP:5>!"
    )


def test_columns_by_rule() -> None:
    frame = pl.DataFrame(
        {
            "who": ["Ann", None, "ann "],
            "age": ["37", "-1", "x"],
            "pay": [12.5, None, 99.0],
            "born": ["1984-03-14", "14.3.84", "1984 or 1985"],
            "gone": ["a", "b", "c"],
            "left": ["a", "b", "c"],
        }
    )
    rules = {"who": "token", "age": {"band": 10}, "pay": Band(band=2.5), "born": "year", "gone": "remove"}
    made, counted = deidentify(frame, Privacy.model_validate({"columns": rules}), KEY)
    ann = token(KEY, "who", "Ann")
    assert made.to_dict(as_series=False) == {
        "who": [ann, None, ann],
        "age": ["30", "-10", None],
        "pay": ["12.5", None, "97.5"],
        "born": ["1984", None, None],  # two digits, or two years, are no year
        "left": ["a", "b", "c"],
    }
    assert counted == {
        "column age: band": 3,
        "column born: year": 3,
        "column pay: band": 2,
        "column who: token": 2,
    }


def test_texts_are_searched_and_counted_by_kind() -> None:
    frame = pl.DataFrame({"said": ["jane@example.org, jane", None, "nothing"]})
    made, counted = deidentify(frame, PRIVACY, KEY, NAMES)
    email, name = token(KEY, "EMAIL", "jane@example.org"), token(KEY, "NAME", "jane")
    assert made["said"].to_list() == [f"{email}, {name}", None, "nothing"]
    assert counted == {"EMAIL": 1, "NAME": 1}


@pytest.mark.parametrize(("value", "year"), [("2/1/1999", "1999"), ("1999-1999", "1999"), ("19991", None)])
def test_the_year_of_a_date(value: str, year: str | None) -> None:
    assert year_of(value) == year

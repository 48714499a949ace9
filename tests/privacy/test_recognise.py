"""What is found in texts and what becomes of columns: real patterns, and values worked by hand."""

from __future__ import annotations

import polars as pl
import pytest
import regex
from presidio_analyzer import pattern_recognizer

from tasks.errors import Refusal
from tasks.plan.deidentification import Band, Privacy
from tasks.privacy import recognise
from tasks.privacy.deidentify import deidentify, raw_columns, year_of
from tasks.privacy.keys import Key
from tasks.privacy.recognise import ADDRESSES, DATES, NUMBERED, PHONES, Span, find, folded, merged, replace
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
        # Streets in other orders, and dates in words of three more languages.
        ("Rue de Rivoli 15; 5 rue de Rivoli; 12 bis, avenue Foch", "[ADDRESS]; [ADDRESS]; [ADDRESS]"),
        ("8, rue du Faubourg Saint-Honoré et 4 place de l’Étoile", "[ADDRESS] et [ADDRESS]"),  # noqa: RUF001
        ("Lange Straße 5a; Hauptstr. 7; Am Kurfürstendamm 11", "[ADDRESS]; [ADDRESS]; Am [ADDRESS]"),
        ("en Calle de Alcalá, 45 o Plaza Mayor 1", "en [ADDRESS] o [ADDRESS]"),
        ("am 14. März 1984, 3. Dez. 1990", "am [DATE], [DATE]"),
        ("le 14 mars 1984, le 1er août 2001", "le [DATE], le [DATE]"),
        ("el 14 de marzo de 1984, 2 de enero del 2010", "el [DATE], [DATE]"),
        ("la rue a 3 maisons, route 66, une place pour 2", "la rue a 3 maisons, route 66, une place pour 2"),
        # As machines, forms and hasty people write them.
        ("at 1984-03-14T10:00:00, 19840314T1000", "at [DATE]T10:00:00, [DATE]T1000"),
        ("123 MAPLE DR, BOSTON, MA 02110; 12 ELM CLOSE; 123 main st", "[ADDRESS]; [ADDRESS]; [ADDRESS]"),
        ("at 99-101 Elm Road, 1/2a Oak Lane; born 3-14-84", "at [ADDRESS], [ADDRESS]; born [DATE]"),
        ("1600 Pennsylvania Ave NW, Washington, DC 20500", "[ADDRESS]"),
        ("London NW1 6XE, Springfield, IL 62704", "London [ADDRESS], Springfield, [ADDRESS]"),
        (
            "US 50000 and EU 27000 are amounts, CA 90210 is not",
            "US 50000 and EU 27000 are amounts, [ADDRESS] is not",
        ),
        ("ring 555-2671, not 2015-2016 or 5-555-2671", "ring [PHONE], not 2015-2016 or 5-555-2671"),
        ("passport no. C01X00T47, my SSN is 123-45-6789", "passport no. [NATIONAL], my SSN is [NATIONAL]"),
        ("id 12 of 3, licence for 4, the passport office has 12345", None),
        # As a word processor sets them.
        ("ssn 536\u201390\u20134399, (415)\u00a0555\u20112671", "ssn [NATIONAL], [PHONE]"),
        ("card 4111\u00a01111\u00a01111\u00a01111", "card [CARD]"),
        ("\uff4a\uff20\uff45\uff0eorg \u2013 e", "[EMAIL] \u2013 e"),
    ],
)
def test_each_kind_is_found_and_what_is_none_is_left(text: str, expected: str | None) -> None:
    found = replace(text, find(text, PRIVACY, NAMES), lambda kind, _: f"[{kind}]")
    assert found == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O’Hara, O'HARA and Oʼhara's", "[NAME], [NAME] and [NAME]"),  # noqa: RUF001
        ("Jos\u00e9, Jose\u0301 and MU\u0308LLER's", "[NAME], [NAME] and [NAME]"),
        ("Jean\u2011Luc, jean-luc; Jean and Luc", "[NAME], [NAME]; Jean and Luc"),
        ("Jane-Marie and Marie\u2013José", "[NAME]-Marie and Marie\u2013[NAME]"),
        ("\uff2aane, Marie-O'Hara-Luc; l'o'hara's", "[NAME], Marie-[NAME]-Luc; l'[NAME]"),
        ("हरि", "[NAME]"),
        # What is no name stays as it was written, decomposed or not.
        ("cafe\u0301 of jose\u0301 in Mu\u0308nchen", "cafe\u0301 of [NAME] in Mu\u0308nchen"),
        ("jose\u0301\u0323x: jose", "jose\u0301\u0323x: jose"),
        ("am 14. Ma\u0308rz 1984!", "am [DATE]!"),
        ("Cafe\u0301, 5 rue de l'E\u0301glise", "Cafe\u0301, [ADDRESS]"),
    ],
)
def test_names_and_dates_are_found_however_they_are_composed_and_typeset(text: str, expected: str) -> None:
    names = frozenset(map(folded, ["jane", "o'hara", "jos\u00e9", "mu\u0308ller", "jean-luc", "हरि"]))
    privacy = PRIVACY.model_copy(update={"recognise": ["name", "date", "address"]})
    assert replace(text, find(text, privacy, names), lambda kind, _: f"[{kind}]") == expected
    typeset = ["JANE", "O\u2019Hara", "Jose\u0301", "M\u00fcller", "Jean\u2010Luc", "हरि"]
    assert frozenset(map(folded, typeset)) == names


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
    privacy = Privacy.model_validate({"columns": rules, "texts": ["left"]})
    assert raw_columns(frame, privacy) == ["who", "age", "pay", "born"]
    assert raw_columns(made, privacy) == []
    typed = made.with_columns(pl.col("age", "pay", "born").cast(pl.Float64))  # as a plan may declare them
    assert raw_columns(typed, privacy) == []
    assert raw_columns(made.with_columns(left=pl.lit("mail a@b.org")), privacy) == ["left"]
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


HOSTILE = [
    "rue " + "A" * 2000,
    "calle " + "A-" * 1000,
    "rue " + "A. " * 700,
    "rue A" + ".A" * 1000,
    "rue " + "de " * 700,
    "rue" + " " * 2000,
    "1 a street," + " " * 2000,
    "1 " + "a" * 2000 + " street",
    "1 a-" * 500 + " street",
    "1 " * 1000 + "street",
    "Aa" * 1000 + "strasse",
    "A-Straße " * 220,
    "12 bis rue A " * 150,
    "1 mai" + "a" * 2000,
    "1" + " " * 2000 + "mai",
    "may 1 " * 330,
    "p.o. box " * 220,
    "1 a st" + " " * 2000,
    "1-1/" * 500 + " a st",
    "passport no " * 160,
    "ssn " + "1 " * 1000,
    "id " + "a1" * 1000,
]


@pytest.mark.parametrize("pattern", [*ADDRESSES, *DATES, PHONES, NUMBERED])
def test_no_pattern_tries_a_long_text_in_every_division(pattern: str) -> None:
    compiled = regex.compile(pattern, regex.IGNORECASE | regex.MULTILINE | regex.DOTALL)
    for text in HOSTILE:
        list(
            compiled.finditer(f"{text} 1", timeout=1)
        )  # a TimeoutError beyond; before, 100 letters took .9 s


def test_a_text_in_which_presidio_skipped_a_pattern_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells a log alone, and goes on as if there was nothing to find."""
    monkeypatch.setattr(recognise, "ADDRESSES", (ADDRESSES[4].replace("*+", "*"),))  # as it once was
    monkeypatch.setattr(recognise, "_recognisers", recognise._recognisers.__wrapped__)
    monkeypatch.setattr(pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 0.05)
    frame = pl.DataFrame({"said": [None, "short", "1. rue " + "A" * 200]})
    privacy = PRIVACY.model_copy(update={"recognise": ["address"]})
    refusal = r"column said, row 3: a text of 207 characters was not searched whole .* 0\.05 s"
    with pytest.raises(Refusal, match=refusal):
        deidentify(frame, privacy, KEY)

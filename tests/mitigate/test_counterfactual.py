"""Counterfactual copies: what changes, what follows from it and what stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.ingest.text import made_of_text
from tasks.mitigate.counterfactual import counterfactual, swap_terms
from tasks.mitigate.sample import Sample
from tasks.model.terms import pattern_of
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Counterfactual
from tests.mitigate.samples import judgement_of, same, sample_of, table_of

TERMS = [
    "woman",
    "man",
    "she",
    "he",
    "old lady",
    "gentleman",
    "african american",
    "european",
    "american",
    "Swede",
]
TEXTS = judgement_of(
    {
        "kind": "text",
        "format": {"type": "csv"},
        "identities": {"gender": {"women": ["woman", "she"], "men": ["man", "he"]}},
        "frames": {"frame": "gender"},
        "columns": {"author": {"type": "category"}},
    },
    {"gender": {"column": "gender"}},
    unit="frame",
)
SWAPS = [("woman", "man"), ("she", "he")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a woman, the MAN; Woman", "a man, the WOMAN; Man"),
        ("She said he did.", "He said she did."),
        ("womanly batman, woman_x, shed", "womanly batman, woman_x, shed"),
        ("@man #woman's", "@woman #man's"),
        ("an Old \n lady", "an Gentleman"),
        ("an African American or an american", "an European or an swede"),
        ("an AMERICAN", "an SWEDE"),
        ("SHE", "HE"),
        ("\u017fhe", "he"),  # an old spelling of s, alike in any case
        ("wOMAN", "man"),
        ("", ""),
    ],
)
def test_terms_change_places_as_whole_words_in_their_case(text: str, expected: str) -> None:
    assert swap_terms(text, TERMS, pattern_of(TERMS)) == expected


def test_swapping_twice_gives_the_text_again() -> None:
    text = "She told a woman: HE is the man of a Woman."
    once = swap_terms(text, TERMS, pattern_of(TERMS))
    assert once != text
    assert swap_terms(once, TERMS, pattern_of(TERMS)) == text


def texts(*found: str) -> Sample:
    labels = pl.Series("label", ["high", "low"] * len(found))[: len(found)]
    frame = pl.DataFrame({"text": found, "author": [f"a{i}" for i in range(len(found))], "label": labels})
    data: Any = TEXTS.data
    return sample_of(frame.with_columns(**made_of_text(data)).with_columns(form=pl.lit("sound")), TEXTS)


def changed(sample: Sample, judgement: Judgement, seed: int = 1, **settings: Any) -> Sample:
    step = Counterfactual(kind="counterfactual", **settings)
    return counterfactual(sample, step, judgement, np.random.default_rng(seed))


def test_what_is_made_of_a_text_follows_it_and_the_rest_stays() -> None:
    before = texts("A WOMAN, she is", "nobody", "man or woman", "the man")
    after = changed(before, TEXTS, swaps=SWAPS)
    assert after.made.tolist() == [False] * 4 + [True] * 3
    copies = after.frame.filter(after.made)
    assert copies["text"].to_list() == ["A MAN, he is", "woman or man", "the woman"]
    assert copies["gender"].to_list() == ["men", "several", "women"]
    assert after.described["gender"].to_list()[4:] == ["men", "several", "women"]
    assert copies["characters"].to_list() == [12, 12, 9]
    assert copies["frame"].to_list() == before.frame["frame"][[0, 2, 3]].to_list()  # and so the unit
    assert after.described["unit"].to_list()[4:] == before.frame["frame"][[0, 2, 3]].to_list()
    assert copies["label"].to_list() == before.frame["label"][[0, 2, 3]].to_list()
    assert copies["author"].to_list() == ["a0", "a2", "a3"]
    assert after.weights.tolist()[4:] == before.weights[[0, 2, 3]].tolist()
    assert same(after.at(np.arange(4)), before)


def test_texts_of_one_frame_have_terms_that_end_with_a_sign() -> None:
    data: Any = TEXTS.data
    identities = {"gender": {"a": ["l.g.b.t.", "#woke"], "b": ["women"]}}
    made = made_of_text(data.model_copy(update={"identities": identities}))
    told = pl.DataFrame(
        {"text": ["all l.g.b.t. here", "all #woke here", "all women here", "all womenly here"]}
    )
    assert told.select(made["frame"]).to_series().to_list() == [*["all _ here"] * 3, "all womenly here"]


def test_a_share_of_the_rows_that_can_be_copied_is_drawn() -> None:
    before = texts(*["the man", "nobody"] * 20)
    after = changed(before, TEXTS, swaps=SWAPS, share=0.3)
    copies = after.frame.filter(after.made)["author"].to_list()
    assert len(set(copies)) == len(copies) == 6
    assert same(after, changed(before, TEXTS, swaps=SWAPS, share=0.3))
    assert not same(after, changed(before, TEXTS, seed=2, swaps=SWAPS, share=0.3))
    assert changed(before, TEXTS, swaps=SWAPS, share=0.001).made.sum() == 1


def test_no_text_with_a_term_is_refused() -> None:
    with pytest.raises(Refusal, match=r"none of 2 fit rows holds one of the terms to swap \('woman', 'man'"):
        changed(texts("nobody", "womanly"), TEXTS, swaps=SWAPS)


TABLE = table_of(
    {
        "country": {"type": "category", "nullable": True},
        "region": {
            "type": "category",
            "nullable": True,
            "looked_up": {"column": "country", "values": {"Cuba": "South", "Laos": "East", "Mali": "South"}},
        },
        "age": {"type": "integer", "nullable": True},
    },
    {
        "country": {"column": "country"},
        "region": {"column": "region"},
        "age": {"column": "age", "bins": [17, 40, 65]},
    },
)


def rows(*found: tuple[str | None, str | None, int | None]) -> Sample:
    schema = {"country": pl.String, "region": pl.String, "age": pl.Int64}
    frame = pl.DataFrame(found, schema=schema, orient="row").with_columns(label=pl.lit("low"))
    return sample_of(frame, TABLE)


def test_an_attribute_gets_each_other_level_in_its_turn_and_what_follows_from_it_follows() -> None:
    before = rows(
        ("Cuba", "South", 20), ("Cuba", "South", 21), (None, None, 30), ("Cuba", "South", 22),
        ("Laos", "East", 23), ("Mali", "South", 24),
    )  # fmt: skip
    after = changed(before, TABLE, attribute="country")
    copies = after.frame.filter(after.made)
    # After Cuba come Laos and Mali, then Laos again; a missing country has no other.
    assert copies["country"].to_list() == ["Laos", "Mali", "Laos", "Mali", "Cuba"]
    assert copies["region"].to_list() == ["East", "South", "East", "South", "South"]
    assert after.described["region"].to_list()[6:] == copies["region"].to_list()
    assert copies["age"].to_list() == [20, 21, 22, 23, 24]
    assert same(after.at(np.arange(6)), before)


def test_a_number_goes_to_the_median_of_another_band() -> None:
    ages = [20, 22, 39, 39, 50, 60, 70, None, 10]
    after = changed(rows(*[("Cuba", "South", age) for age in ages]), TABLE, attribute="age")
    copies = after.frame.filter(after.made)
    # Bands 17-39 (20, 22, 39, 39: lower median 22), 40-64 (50, 60: 50) and 65+ (70); two ages have no band.
    assert copies["age"].to_list() == [50, 70, 50, 70, 70, 22, 22]
    assert after.frame.schema["age"] == pl.Int64
    assert after.described["age"].to_list()[9:] == ["40-64", "65+", "40-64", "65+", "65+", "17-39", "17-39"]


def test_one_level_has_no_other() -> None:
    with pytest.raises(Refusal, match=r"two levels of country at least are expected .* found 'Cuba'"):
        changed(rows(("Cuba", "South", 20), (None, None, 21)), TABLE, attribute="country")
    with pytest.raises(Refusal, match="found none"):
        changed(rows((None, None, 21)), TABLE, attribute="country")

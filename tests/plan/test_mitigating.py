"""Steps before training that a plan refuses: what is wrong, where, and what would be right."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.errors import PlanError
from tasks.plan.judgement import Judgement
from tasks.plan.load import parse_plan
from tests.ingest.conftest import DOCUMENT
from tests.mitigate.samples import LABEL, SOURCES

SWAP = {"kind": "counterfactual", "swaps": [["he", "she"]]}
DATA: dict[str, dict[str, Any]] = {
    "text": {
        "kind": "text", "format": {"type": "csv"}, "columns": {"sex": {"type": "category"}},
        "identities": {"gender": {"women": ["woman"], "men": ["man"]}},
    },
    "image": {
        "kind": "image", "format": {"type": "files", "pattern": r"(?P<label>\w+)_(?P<sex>\w+)\.png$"},
        "height": 8, "width": 8, "columns": {"sex": {"type": "category"}},
    },
}  # fmt: skip
MODELS = {"tabular": {"kind": "mlp"}, "text": {"kind": "rnn"}, "image": {"kind": "cnn"}}


def problems(kind: str, *steps: dict[str, Any], **recipe: Any) -> str:
    """What a plan of this kind of data with these steps is refused for; nothing where it is taken."""
    document = copy.deepcopy(DOCUMENT)
    document["judgement"]["data"]["sources"] = SOURCES
    if kind != "tabular":
        judgement = document["judgement"]
        judgement["data"] = {"sources": SOURCES, "label": LABEL, **DATA[kind]}
        judgement["protected"] = {"sex": {"column": "sex"}}
        judgement["limits"][0]["attribute"] = "sex"
    document["recipe"] = {"model": MODELS[kind], "mitigation": list(steps), **recipe}
    if kind != "tabular":
        document["recipe"]["features"] = {"kind": kind}
    try:
        parse_plan("small", document, where="test")
    except PlanError as error:
        return " | ".join(error.problems)
    return ""


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("tabular", {"kind": "resampling", "attribute": "sex x age_band", "way": "under", "strength": 0.5}),
        ("tabular", {"kind": "counterfactual", "attribute": "age_band", "share": 0.1}),
        ("tabular", {"kind": "synthesis", "attribute": "sex", "minimum": 50}),
        ("text", {**SWAP, "swaps": [["he", "she"], ["his", "her"]]}),
        ("text", {"kind": "masking", "identities": ["gender"], "also": ["they"]}),
        ("image", {"kind": "augmentation"}),
        ("image", {"kind": "augmentation", "attribute": "sex", "copies": 0.5}),
        ("image", {"kind": "resampling", "attribute": "sex"}),
    ],
)
def test_what_fits_is_taken(kind: str, step: dict[str, Any]) -> None:
    assert problems(kind, step) == ""


@pytest.mark.parametrize(
    ("kind", "step", "told"),
    [
        ("text", {**SWAP, "swaps": [["He", "he"]]}, "'he': a term is swapped for another, found itself"),
        ("text", {**SWAP, "swaps": [["old  man", "old man"]]}, "a term is swapped for another, found itself"),
        (
            "text",
            {**SWAP, "swaps": [["he", "she"], ["HE", "it"]]},
            "'he': a term stands in one pair, found in",
        ),
        ("text", {**SWAP, "swaps": [["he", " "]]}, "one character at least is expected, found a blank one"),
        ("text", {"kind": "counterfactual"}, "give `swaps` (of text) or `attribute` (of a table)"),
        ("text", {**SWAP, "attribute": "sex"}, "give `swaps` (of text) or `attribute` (of a table)"),
        ("text", {"kind": "counterfactual", "attribute": "sex"}, "the data is text, which takes `swaps`"),
        ("text", {**SWAP, "share": 0}, "share"),
        ("tabular", SWAP, "`swaps` are of text and `attribute` is of tables, the data is tabular"),
        (
            "image",
            {"kind": "counterfactual", "attribute": "sex"},
            "`attribute` is of tables, the data is image",
        ),
        (
            "tabular",
            {"kind": "counterfactual", "attribute": "sex x age_band"},
            "one attribute gets another level, found the crossing 'sex x age_band'",
        ),
        ("tabular", {"kind": "counterfactual", "attribute": "job"}, "'job' is no protected attribute"),
        (
            "tabular",
            {"kind": "masking", "identities": ["sex"]},
            "masking is of text; a table's column is left",
        ),
        ("text", {"kind": "masking", "identities": ["race"]}, "'race' is none of judgement.data.identities"),
        ("text", {"kind": "masking", "identities": []}, "identities"),
        ("text", {"kind": "masking", "identities": ["gender"], "also": [" "]}, "also[0]: a term of"),
        (
            "text",
            {**SWAP, "swaps": [["Zo\u00eb", "Zoe\u0308"]]},
            "a term is swapped for another, found itself",
        ),
        (
            "text",
            {"kind": "synthesis", "attribute": "sex", "minimum": 50},
            "synthesis is of tables, the data is",
        ),
        ("tabular", {"kind": "synthesis", "attribute": "sex", "minimum": 9}, "minimum"),
        ("tabular", {"kind": "augmentation", "attribute": "sex"}, "augmentation is of images and recordings"),
        ("tabular", {"kind": "resampling", "attribute": "race"}, "'race' is no protected attribute"),
        ("tabular", {"kind": "resampling", "attribute": "sex", "strength": 1.5}, "strength"),
        ("tabular", {"kind": "resampling", "attribute": "sex", "way": "up"}, "way"),
        ("image", {"kind": "augmentation", "shift": 0.6}, "shift"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, step: dict[str, Any], told: str) -> None:
    assert told in problems(kind, step)


def test_a_copy_must_differ_in_what_the_model_sees() -> None:
    told = problems(
        "tabular",
        {"kind": "counterfactual", "attribute": "sex"},
        features={"kind": "tabular", "exclude": ["sex"]},
    )
    assert "the model never sees column 'sex', so a copy would be the row itself" in told


def test_steps_are_listed_in_the_order_in_which_they_are_made() -> None:
    masking = {"kind": "masking", "identities": ["gender"]}
    assert problems("text", SWAP, masking) == ""
    assert "before training (of rows, then of features)" in problems("text", masking, SWAP)
    assert "one step of masking is expected, found several" in problems("text", masking, masking)


def test_a_term_is_kept_in_the_form_in_which_texts_are_read() -> None:
    """Texts are read in NFKC: a term typed with a loose mark, or in wide letters, would be found in none."""
    document = copy.deepcopy(DOCUMENT)["judgement"]
    terms = {"gender": {"women": ["Zoe\u0308"], "men": ["\uff4d\uff41\uff4e"]}}
    document["data"] = {"sources": SOURCES, "label": LABEL, **DATA["text"], "identities": terms}
    document["protected"], document["limits"][0]["attribute"] = {"sex": {"column": "sex"}}, "sex"
    data: Any = Judgement.model_validate(document).data
    assert data.identities == {"gender": {"women": ["Zo\u00eb"], "men": ["man"]}}
    terms["gender"]["men"] = ["man", " "]
    with pytest.raises(ValidationError, match="one character at least is expected, found a blank one"):
        Judgement.model_validate(document)

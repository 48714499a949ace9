"""Masked terms: a model does not see them, where it learns and where it is served."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from tasks.model.features import features_from_json
from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.model.terms import TERM, pattern_of
from tasks.model.text import TextFeatures
from tests.pretrained import write_pretrained

TERMS = ("woman", "man", "african", "african american", "c.p")
TEXTS = ["a woman came", "the Man went!", "an African American spoke", "they came, they went"]
ALIKE = [
    "a WOMAN came",
    "a man came",
    "a african came",
    "a African \n american came",
    "a C.P came",
    "a \uff4d\uff41\uff4e came",
]
KINDS = ("word", "bpe", "wordpiece")


def features(kind: str = "word", terms: tuple[str, ...] = TERMS) -> TextFeatures:
    return TextFeatures.fit("text", TEXTS, kind, 300, 12, 4, terms)


def tokens(learned: TextFeatures, *texts: str) -> list[list[int]]:
    found: list[list[int]] = learned.encode(pd.DataFrame({"text": texts}))["tokens"].tolist()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WOMAN, Man", f"{TERM}, {TERM}"),
        ("womanly batman man_x", "womanly batman man_x"),
        ("an African\t American's", f"an {TERM}'s"),
        ("cap c.p", f"cap {TERM}"),
        ("man", TERM),
        ("man\u0301 ma\u0301n x\u0301man", "man\u0301 ma\u0301n x\u0301man"),  # marks are of the word
        ("\u093eman \u200dman man\u094d", "\u093eman \u200dman man\u094d"),  # vowels and joiners, too
    ],
)
def test_terms_are_whole_words_in_any_case(text: str, expected: str) -> None:
    assert pattern_of(TERMS).sub(TERM, text) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_differ_in_a_term_alone_are_one_to_the_model(kind: str) -> None:
    assert len({tuple(found) for found in tokens(features(kind), *ALIKE)}) == 1
    assert len({tuple(found) for found in tokens(features(kind, ()), *ALIKE)}) > 2


def test_a_masked_term_is_one_token_that_is_known_and_the_terms_are_none() -> None:
    learned = features()
    known = json.loads(learned.tokenizer)["model"]["vocab"]
    assert TERM in known
    assert not {"woman", "man", "african", "american"} & set(known)
    assert tokens(learned, "woman")[0] == [known[TERM], *[0] * 11]


def test_a_pretrained_tokenizer_is_masked_too(tmp_path: Path) -> None:
    write_pretrained(tmp_path, [*TEXTS, "a man came"])
    tokenizer = (tmp_path / "tokenizer.json").read_text()
    plain, masked = (TextFeatures("text", 12, 4, tokenizer, terms) for terms in ((), TERMS))
    assert len({tuple(found) for found in tokens(masked, *ALIKE)}) == 1
    assert tokens(masked, "they came") == tokens(plain, "they came")
    assert tokens(masked, "woman") != tokens(plain, "woman")


def test_a_saved_model_masks_as_it_did(tmp_path: Path) -> None:
    torch.manual_seed(0)
    learned = features()
    settings = {
        "kind": "rnn", "cell": "gru", "width": 6, "layers": 1, "directions": 2, "pool": "max", "dropout": 0.1,
    }  # fmt: skip
    rule = ClassRule(("a", "b", "c"), None, 0.5, (), 3)
    model = Predictor(learned, settings, Network(learned, settings, 3).eval(), rule)
    for name, content in model.contents().items():
        (tmp_path / name).write_bytes(content)
    scores = Predictor.load(tmp_path).scores(pd.DataFrame({"text": ALIKE}))
    assert scores.tobytes() == model.scores(pd.DataFrame({"text": ALIKE})).tobytes()
    assert (scores == scores[0]).all()


def test_a_model_stored_before_there_was_masking_masks_nothing() -> None:
    learned = features(terms=())
    stored = json.loads(json.dumps(learned.to_json()))
    assert features_from_json(stored) == learned
    del stored["masked"]
    assert features_from_json(stored) == learned
    assert features_from_json(json.loads(json.dumps(features().to_json()))) == features()

"""Texts as tokens: what the tokenizer learns and does, what is cut, filled up and refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import torch

from tasks.model.features import features_from_json
from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.model.text import TextFeatures

TEXTS = [
    "RT @somebody: you should see http://t.co/abc, it's great",
    "You don't see what @other sees...",
    "great! great! see it, see it",
    "nobody sees it, should you?",
]
KINDS = ("word", "bpe", "wordpiece")
SETTINGS = {
    "kind": "rnn", "cell": "gru", "width": 6, "layers": 1, "directions": 2, "pool": "max", "dropout": 0.1,
}  # fmt: skip


def features(kind: str = "word", length: int = 12, vocabulary: int = 300) -> TextFeatures:
    return TextFeatures.fit("text", TEXTS, kind, vocabulary, length, 4)


def tokens_of(learned: TextFeatures, text: str) -> list[str]:
    from tokenizers import Tokenizer

    ids = learned.encode(pd.DataFrame({"text": [text]}))["tokens"][0].tolist()
    made = Tokenizer.from_str(learned.tokenizer)
    return [made.id_to_token(token) for token in ids if token]


def test_words_are_lowered_and_who_or_where_is_one_token() -> None:
    found = tokens_of(features(), "SEE @New_Name at https://example.org/x?y=1, Don't YOU")
    assert found == ["see", "<user>", "[UNK]", "<url>", "don't", "you"]
    assert tokens_of(features(), "don\u2019t") == ["[UNK]"]  # one word, whichever apostrophe


def test_bytes_are_tokens_that_no_text_decides() -> None:
    one, other = (TextFeatures.fit("text", texts, "byte", 16, 12, 4) for texts in (TEXTS, []))
    assert one == other
    assert tokens_of(one, "Aé!") == ["Ġ", "a", "Ã", "©", "!"]
    assert one.front().state_dict()["vectors.weight"].shape == (258, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_seen_has_tokens_too(kind: str) -> None:
    found = tokens_of(features(kind), "見 great")
    assert found[-1].removeprefix("Ġ") == "great"
    assert len(found) >= 2
    if kind == "bpe":
        assert "[UNK]" not in found


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_tokenizer_in_another_process(kind: str) -> None:
    program = (
        "import json, sys\n"
        "from tasks.model.tokens import train_tokenizer\n"
        "sys.stdout.write(train_tokenizer(json.loads(sys.argv[1]), sys.argv[2], 300))"
    )
    command = [sys.executable, "-c", program, json.dumps(TEXTS), kind]
    made = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
    assert made == {features(kind).tokenizer.encode()}


@pytest.mark.parametrize("kind", KINDS)
def test_json_carries_all_that_was_learned(kind: str) -> None:
    learned = features(kind)
    loaded = features_from_json(json.loads(json.dumps(learned.to_json())))
    assert loaded == learned
    frame = pl.DataFrame({"text": [*TEXTS, "new words, @new"]})
    assert torch.equal(loaded.encode(frame)["tokens"], learned.encode(frame)["tokens"])


def test_the_vocabulary_is_bounded() -> None:
    small = features("word", vocabulary=16)
    assert small.encode(pd.DataFrame({"text": TEXTS}))["tokens"].max() == 15
    assert small.front()(features("word", vocabulary=16).encode(pd.DataFrame({"text": TEXTS}))).values.shape[
        2
    ] == (4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_cut_after_its_length_however_long_it_is(kind: str) -> None:
    frame = pd.DataFrame({"text": ["see it " * 100_000, "a" * 1_000_000, "see"]})
    tokens = features(kind).encode(frame)["tokens"]
    assert tokens.dtype == torch.int32
    assert tokens.shape == (3, 12)
    assert (tokens[0] != 0).all()
    assert tokens[2].tolist()[1:] == [0] * 11


@pytest.mark.parametrize("kind", KINDS)
def test_what_looks_like_padding_is_text(kind: str) -> None:
    tokens = features(kind).encode(pd.DataFrame({"text": ["[PAD] see [PAD] it", "\u200b\u0000"]}))["tokens"]
    real = tokens != 0
    assert (real[:, 0]).all()
    assert (real[:, 1:] <= real[:, :-1]).all()  # nothing is filled up before the end


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_rows_without_text_are_refused_by_row(frame: type) -> None:
    table = frame({"text": ["see", None, "", " \n", "it"]})
    with pytest.raises(ValueError, match=r"column 'text', rows 1, 2, 3: a text is expected, found none"):
        features().encode(table)
    with pytest.raises(ValueError, match="column 'text' is missing"):
        features().encode(frame({"other": ["see"]}))


def test_numbers_are_no_texts_and_texts_are_not_quoted() -> None:
    with pytest.raises(ValueError, match="rows 0, 1") as refusal:
        features().encode(pd.DataFrame({"text": [1.5, 2, "secret"]}))
    assert "secret" not in str(refusal.value)


def test_a_front_gives_vectors_and_tells_what_is_real() -> None:
    front = features().front()
    assert front.shape == (12, 4)
    steps = front(features().encode(pd.DataFrame({"text": ["see it", "see it, you"]})))
    assert steps.real is not None
    assert steps.values.shape == (2, 4, 4)  # as long as the longest of the rows
    assert steps.real.tolist() == [[True, True, False, False], [True] * 4]
    assert not steps.values[0, 2:].any()


def test_long_texts_are_scored_fewer_at_a_time() -> None:
    sizes = {length: Network(features(length=length), SETTINGS, 3).rows_at_once for length in (12, 2**17)}
    assert sizes == {12: 8192, 2**17: 4}


def test_a_model_of_texts_is_saved_loaded_and_predicts_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    learned = features()
    rule = ClassRule(("a", "b", "c"), None, 0.5, (), 3)
    model = Predictor(learned, SETTINGS, Network(learned, SETTINGS, 3).eval(), rule)
    for name, content in model.contents().items():
        (tmp_path / name).write_bytes(content)
    loaded = Predictor.load(tmp_path)
    frame = pd.DataFrame({"text": [*TEXTS, "word " * 100_000]})
    assert loaded.scores(frame).tobytes() == model.scores(frame).tobytes()
    assert list(loaded.predict(frame)) == ["prediction", "probability_a", "probability_b", "probability_c"]

"""Explanations of texts: tokens by way of their vectors, attention as it is, and no word on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tasks.explain.answer import Answer, Floats, no_gradient
from tasks.explain.attention import attention_weights, blocks_of, rollout
from tasks.explain.attribution import integrated_gradients
from tasks.explain.context import Context
from tasks.explain.given import Given
from tasks.explain.inputs import checked, explain_inputs, looks_of
from tasks.explain.layers import layers_of, vectors_of, watch
from tasks.explain.records import Explained, Explanation
from tasks.explain.regions import naming, spelled
from tasks.explain.ways import WAYS, Way, complete, found_by, ways_of
from tasks.model.device import deterministic
from tasks.model.inputs import Steps
from tasks.model.text import TextFeatures
from tasks.report.explained_inputs import input_figures
from tests.explain import media
from tests.pretrained import STRUCTURE, WIDTH, write_pretrained


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with deterministic(1):
        yield


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Context:
    frame = media.texts()
    folder = tmp_path_factory.mktemp("read")
    return media.context("hate-speech-transformer", media.of_texts(frame), frame, folder)


@pytest.fixture(scope="module")
def explained(read: Context) -> dict[str, Explanation]:
    return {one.method: one for one in explain_inputs(read)}


def test_the_words_that_decide_weigh_most(explained: dict[str, Explanation]) -> None:
    found = explained["integrated gradients"]
    assert found.reliable, found.checks
    assert found.weights[0].feature in {*media.GOOD, *media.BAD}
    (carried,) = found.carried
    assert carried.attribute == "gender"
    assert 0 < carried.own < 0.5  # "woman" and "man" stand there and decide nothing
    assert set(explained) == {"integrated gradients", "saliency", "attention"}


def test_single_decisions_name_places_and_no_words(explained: dict[str, Explanation]) -> None:
    """A record names tokens of many rows alone; what stands in one row is found by its row_id."""
    for one in explained.values():
        assert one.singles
        assert all(feature.startswith("token ") for single in one.singles for feature in single.weights)


def test_attention_is_what_the_model_mixed(read: Context) -> None:
    given = Given.of(read.predictor, read.frame.head(6))
    block, answered = blocks_of(given.answer)[0], list[torch.Tensor]()
    asked = list[torch.Tensor]()
    hooks = [
        block.asked.register_forward_hook(lambda _module, _given, found: asked.append(found)),
        block.answered.register_forward_pre_hook(lambda _module, found: answered.append(found[0])),
    ]
    before = given.answer.answers(given.steps, given.targets)
    for hook in hooks:
        hook.remove()
    weights = attention_weights(given.answer, given.steps)
    assert np.allclose(weights.sum(axis=3), 1)
    assert given.steps.real is not None
    assert (
        weights[:, 0][~np.broadcast_to(given.steps.real.numpy()[:, None], weights[:, 0].shape)] == 0
    ).all()
    assert (given.answer.answers(given.steps, given.targets) == before).all()
    # One head at a time: the mean over heads of weights x values is that of what each head mixed.
    query, key, value = asked[0].detach().unflatten(2, (3, block.heads, -1)).permute(2, 0, 3, 1, 4)
    scores = (query @ key.transpose(2, 3) / query.shape[-1] ** 0.5).masked_fill(
        ~given.steps.real[:, None, None], -torch.inf
    )
    mixed = (scores.softmax(dim=3) @ value).transpose(1, 2).flatten(2)
    assert torch.allclose(mixed, answered[0].detach(), atol=1e-5)
    assert np.allclose(weights[:, 0], scores.softmax(dim=3).mean(dim=1).numpy(), atol=1e-6)


def test_rollout_by_hand() -> None:
    """Two steps; the only block looks at the second alone: half of the first's part goes there."""
    weights = np.array([[[[0.0, 1.0], [0.0, 1.0]]]])
    assert rollout(weights).tolist() == [[0.25, 0.75]]
    assert rollout(weights, np.array([[1.0, 0.0]])).tolist() == [[0.5, 0.5]]


def test_words_by_their_place_alone_fail_the_checks(read: Context) -> None:
    def first_words(
        answer: Answer,
        steps: Steps,
        targets: torch.Tensor,
        baseline: torch.Tensor,
    ) -> Floats:
        rows, size = steps.values.shape[:2]
        return np.tile(np.linspace(1, 0, size), (rows, 1))

    looks = looks_of(read, Given.of(read.predictor, read.frame.head(20)))
    found = found_by(first_words, looks.given)
    checks, _ = checked(Way(first_words, 1), looks, found, np.random.default_rng(1))
    failed = {check.name for check in checks if not check.holds}
    assert failed >= {"randomised weights", "insertion"}


def test_a_recurrent_network_has_gradients_at_its_vectors(read: Context) -> None:
    given = Given.of(media.of_texts(read.frame, media.LSTM), read.frame.head(10))
    assert no_gradient(given.answer, given.steps) is None
    found = found_by(integrated_gradients, given)
    assert complete(given, found).holds


def test_a_steep_answer_is_integrated_by_more_points(read: Context, tmp_path: Path) -> None:
    """A text of nothing is 0 before the first normalisation, where the answer turns at once."""
    frame = read.frame
    steep = media.context("hate-speech-transformer", media.of_texts(frame, embedding=16), frame, tmp_path)
    few = Given.of(steep.predictor, frame.head(8))
    assert not complete(few, found_by(integrated_gradients, few)).holds
    finer = ways_of(steep)[0]["integrated gradients"]
    assert finer.each > WAYS["integrated gradients"].each
    assert complete(few, found_by(finer.method, few)).holds


def test_what_a_tokenizer_puts_around_every_text_gets_nothing(tmp_path: Path) -> None:
    frame = media.texts(40)
    write_pretrained(tmp_path, frame["tweet"].to_list())
    features = TextFeatures("tweet", 14, WIDTH, (tmp_path / "tokenizer.json").read_text())
    settings = {"kind": "pretrained", **STRUCTURE, "dropout": 0.0}
    predictor = media.trained(features, settings, frame, frame["class"].to_list(), ("hate", "neither"), 3)
    given = Given.of(predictor, frame.head(10))
    assert given.tokens is not None
    names = [spelled(features, row) for row in given.tokens.numpy()]
    for row, tokens in enumerate(names):
        there = given.there[row]
        kept = [token for token, own in zip(tokens, there, strict=True) if own]
        assert "[CLS]" not in kept
        assert "[SEP]" not in kept
        assert "[PAD]" not in kept
        assert len(kept) == sum(token not in ("[CLS]", "[SEP]", "[PAD]") for token in tokens)
    found = found_by(WAYS["integrated gradients"].method, given)
    assert (found[~given.there] == 0).all()
    assert np.abs(found[given.there]).max() > 0
    weights = attention_weights(given.answer, given.steps)
    assert np.allclose(weights.sum(axis=3), 1)
    assert given.steps.real is not None
    assert (weights.transpose(0, 3, 1, 2)[~given.steps.real.numpy()] == 0).all()
    layers = layers_of(predictor.network)
    seen = watch(predictor.network, layers, given.inputs)[layers[-1].name]
    assert vectors_of(seen).shape == (10, WIDTH)
    assert seen.places == int(given.steps.real.sum()) * seen.units
    # Kept or taken away, all features together are the text itself and nothing but what stands around it.
    shape = given.features(found).shape
    whole = given.with_features(np.ones(shape, bool))
    assert whole == pytest.approx(given.answer.answers(given.steps, given.targets))
    empty = given.answer.answers(Steps(given.baseline, given.steps.real), given.targets)
    assert given.with_features(np.zeros(shape, bool)) == pytest.approx(empty)


def test_terms_of_several_tokens_are_found_in_their_order() -> None:
    features = TextFeatures.fit("text", ["a middle aged man", "aged a middle man"], "word", 20, 6, 4)
    tokens = features.encode(pl.DataFrame({"text": ["a middle aged man", "strange a middle man"]}))["tokens"]
    found = naming(features, tokens, {"old": ["middle aged", "elderly"], "men": ["man"]})
    assert found.tolist() == [
        [False, True, True, True, False, False],
        [False, False, False, True, False, False],
    ]


def test_byte_pairs_are_spelled_as_they_are_read() -> None:
    features = TextFeatures.fit("text", ["héllo héllo wörld"] * 5, "bpe", 400, 8, 4)
    tokens = features.encode(pl.DataFrame({"text": ["héllo wörld"]}))["tokens"][0]
    assert (
        "".join(spelled(features, [int(token) for token in tokens if token])).replace("##", "")
        == "héllowörld"
    )


def test_texts_are_drawn_with_what_no_font_has(read: Context, explained: dict[str, Explanation]) -> None:
    figures = input_figures(Explained(explanations=tuple(explained.values())), read.folder)
    assert set(figures) == {
        "explained-tokens-integrated-gradients",
        "explained-tokens-saliency",
        "explained-tokens-attention",
        "explained-attention-maps",
    }

"""Explanations in a packet: words, maps and spectrograms, none of them beside a wrong recommendation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import EvidenceError
from tasks.model.noise import RandomisedResponse
from tasks.review import weighed
from tasks.review.changed import Opened
from tasks.review.explained import FILE, explain_rows
from tasks.review.packet import PAGE
from tasks.review.reasons import NONE, Reasons
from tests.explain import media

from .conftest import NO_FLIPS
from .packets import Shown, no_training


@pytest.fixture(scope="module")
def of_texts(texts: Opened, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return Shown(texts, tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def of_pictures(pictures: Opened, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return Shown(pictures, tmp_path_factory.mktemp("pictures"))


def explained(seen: Opened) -> dict[int, weighed.Told]:
    return explain_rows(seen, range(20), no_training, Path("none"))


def test_a_text_is_explained_word_by_word(of_texts: Shown) -> None:
    told = [sheet for sheet in of_texts.sheets if sheet.reasons != Reasons()]
    assert len(told) == 10  # of 20: neither the 5 wrong ones nor as many others
    assert {sheet.recommendation for sheet in told} == {"hate", "neither"}
    for sheet in told:
        reasons, page = sheet.reasons, of_texts.articles[sheet.number - 1]
        assert reasons.method == "integrated gradients"
        assert "orange spoke for the recommendation" in page
        if sheet.recommendation == "hate":
            assert ("woman", 100) in reasons.tokens
            assert '<span class="for" style="background: rgba(230, 97, 1, 0.5)">woman</span>' in page
            alone = "man" not in dict(reasons.tokens)
            assert ("It would be neither with another gender and all else as it is." in page) == alone
    assert "integrated gradients of the decision, in hundredths of the greatest: " in of_texts.table
    assert "<script" not in of_texts.page


def test_flips_are_drawn_and_the_page_says_how_they_were_found(of_texts: Shown, of_pictures: Shown) -> None:
    assert of_texts.packet.drawn["counterfactual flip"] == 3  # a quarter of the 15 that are not wrong
    assert f"{of_texts.packet.flips.told}." in of_texts.page
    assert "counterfactual flip" not in of_pictures.packet.drawn
    assert "an image of the same with another person can&#39;t be made" in of_pictures.page


def test_what_the_dossier_keeps_of_a_text_is_no_word_of_it(of_texts: Shown) -> None:
    kept = (of_texts.folder / FILE).read_text()
    assert "integrated gradients" in kept
    assert not any(re.search(rf"\b{word}\b", kept) for word in (*media.GOOD, *media.BAD, "woman", "walked"))


def test_the_same_packet_is_laid_out_of_what_is_kept(of_texts: Shown) -> None:
    again = of_texts.again()
    again.require_recorded(of_texts.packet)
    again.write(of_texts.packet, of_texts.folder / "again")
    assert (of_texts.folder / "again" / PAGE).read_text() == of_texts.page


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pool": (1,)}, "the same rows give"),
        ({"rows": {}}, "the same rows give"),
        ({"flips": NO_FLIPS}, "says 'nothing was changed'"),
    ],
)
def test_what_is_kept_can_not_be_changed_unseen(
    of_texts: Shown, change: dict[str, object], told: str
) -> None:
    of_texts.kept.model_copy(update=change).write(of_texts.folder)
    try:
        with pytest.raises(EvidenceError, match=told):
            of_texts.again().require_recorded(of_texts.packet)
        (of_texts.folder / FILE).unlink()
        with pytest.raises(EvidenceError, match="the packet's explanations are expected"):
            of_texts.again()
    finally:
        of_texts.kept.write(of_texts.folder)


def test_a_picture_has_a_map_of_what_decided(of_pictures: Shown) -> None:
    for case, reasons in zip(of_pictures.cases, of_pictures.reasons, strict=True):
        cells = np.array(reasons.cells)
        assert cells.shape == (8, 8)
        row, column = np.unravel_index(np.abs(cells).argmax(), cells.shape)
        below = of_pictures.seen.frame["digit"][case.row_id] == "1"
        assert {int(row), int(column)} <= (set(range(4, 8)) if below else set(range(4)))
    shown = [sheet.number for sheet in of_pictures.sheets if sheet.reasons.cells]
    assert len(shown) == 10
    pages = [of_pictures.articles[number - 1] for number in shown]
    assert all(page.count('<img src="data:image/png;base64,') == 2 for page in pages)


def test_a_recording_has_a_map_beside_its_spectrogram(
    recordings: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighed, "MOST_CELLS", 8)
    shown = Shown(recordings, tmp_path)
    page = next(
        shown.articles[sheet.number - 1]
        for sheet in shown.sheets
        if sheet.reasons.method and sheet.reasons.cells
    )
    assert page.count('<img src="data:image/png;base64,') == 2
    assert "spectrogram of case" in page
    # The tones are of 300 and of 1800 Hz: the lower one lies in the lower half of its map.
    digits = recordings.frame["digit"]
    maps = [
        np.abs(own.cells)
        for case, own in zip(shown.cases, shown.reasons, strict=True)
        if digits[case.row_id] == "0"
    ]
    assert {cells.shape for cells in maps} == {(8, 8)}  # of 12 bands and 16 frames
    assert np.mean([cells[4:].sum() > cells[:4].sum() for cells in maps]) > 0.5


@pytest.mark.parametrize("kind", ["of_texts", "of_pictures"])
def test_beside_a_wrong_recommendation_nothing_is_explained(
    kind: str, request: pytest.FixtureRequest
) -> None:
    shown: Shown = request.getfixturevalue(kind)
    bare = {sheet.number for sheet in shown.sheets if sheet.reasons == Reasons()}
    assert {case.number for case in shown.cases if not case.genuine} <= bare
    assert len(bare) == 10  # as many others, so that what is missing gives nothing away
    for number in bare:
        page = shown.articles[number - 1]
        assert NONE in page
        assert "It would be" not in page
        assert 'class="words"' not in page
        assert page.count("<img") == (1 if kind == "of_pictures" else 0)


def test_a_way_that_fails_its_check_is_named_and_not_shown(
    pictures: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = weighed.checked

    def fails(way: object, *given: object) -> object:
        checks, curves = true(way, *given)  # type: ignore[arg-type]
        if getattr(way, "adds_up", False):
            checks = (checks[0].model_copy(update={"value": 0.5, "holds": False}), *checks[1:])
        return checks, curves

    monkeypatch.setattr(weighed, "checked", fails)
    (told,) = {
        explained.method for explained in explain_rows(pictures, range(20), dict, Path("none")).values()
    }
    assert told == "saliency"
    monkeypatch.setattr(weighed, "checked", lambda *_: ((), None))  # no check at all is no check that holds
    found = explained(pictures)[3]
    assert not found.weights
    assert found.sentences[:2] == (weighed.unreliable("integrated gradients"), weighed.unreliable("saliency"))


def test_no_picture_is_kept_where_rows_may_not_be_shown(pictures: Opened) -> None:
    plan = pictures.plan
    recipe = plan.recipe.model_copy(update={"privacy": object()})
    found = explain_rows(
        replace(pictures, plan=plan.model_copy(update={"recipe": recipe})), range(20), dict, Path()
    )
    assert all(not told.weights and "rows " in told.sentences[0] for told in found.values())


def test_an_answer_that_is_noise_has_no_explanation(pictures: Opened, tmp_path: Path) -> None:
    noise = RandomisedResponse(epsilon=1.0, budget=10.0, classes=2, model="m")
    shown = Shown(replace(pictures, predictor=replace(pictures.predictor, noise=noise)), tmp_path)
    decided = pictures.decided(pictures.frame)
    as_decided = {case.row_id for case in shown.cases if case.prediction == decided[case.row_id]}
    assert set(shown.kept.rows) == as_decided
    assert 0 < len(as_decided) < len(shown.cases)

"""Explanations in a packet: words, maps and spectrograms, none of them beside a wrong recommendation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.model.device import deterministic
from tasks.review import weighed
from tasks.review.changed import Opened
from tasks.review.explained import Kept, explain_rows
from tasks.review.reasons import NONE, Reasons
from tests.explain import media

from .packets import Shown


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with deterministic(1):
        yield


@pytest.fixture(scope="module")
def of_texts(texts: Opened) -> Shown:
    return Shown(texts)


@pytest.fixture(scope="module")
def of_pictures(pictures: Opened) -> Shown:
    return Shown(pictures)


def explained(seen: Opened) -> dict[int, weighed.Told]:
    return explain_rows(seen, range(20), lambda: seen.frame, Path("none"))


def test_a_text_is_explained_word_by_word(of_texts: Shown) -> None:
    told = [case for case in of_texts.cases if of_texts.sheets[case.number - 1].reasons != Reasons()]
    assert len(told) == 10  # of 20: neither the 5 wrong ones nor as many others
    for case in told:
        reasons, page = of_texts.sheets[case.number - 1].reasons, of_texts.of(case)
        assert reasons.method == "integrated gradients"
        if case.prediction == "hate":
            assert dict(reasons.tokens)["woman"] == 100
            assert '<span class="for" style="background: rgba(230, 97, 1, 0.5)">woman</span>' in page
            alone = "man" not in dict(reasons.tokens)
            assert ("It would be neither with another gender and all else as it is." in page) == alone
        assert "orange spoke for the recommendation" in page
    assert "integrated gradients of the decision, in hundredths of the greatest: " in of_texts.table
    assert "<script" not in of_texts.page


def test_what_the_dossier_keeps_of_a_text_is_no_word_of_it(of_texts: Shown) -> None:
    kept = "".join(told.model_dump_json() for told in of_texts.kept.values())
    assert "integrated gradients" in kept
    assert not any(re.search(rf"\b{word}\b", kept) for word in (*media.GOOD, *media.BAD, "woman", "walked"))


def test_a_picture_has_a_map_of_what_decided(of_pictures: Shown, pictures: Opened) -> None:
    for case in of_pictures.cases:
        cells = np.array(of_pictures.reasons[case.row_id].cells)
        assert cells.shape == (8, 8)
        row, column = np.unravel_index(np.abs(cells).argmax(), cells.shape)
        below = pictures.frame["digit"][case.row_id] == "1"
        assert {int(row), int(column)} <= (set(range(4, 8)) if below else set(range(4)))
    shown = [case for case in of_pictures.cases if of_pictures.sheets[case.number - 1].reasons.cells]
    assert len(shown) == 10
    assert all(of_pictures.of(case).count('<img src="data:image/png;base64,') == 2 for case in shown)
    assert "an image of the same with another person can&#39;t be made" in of_pictures.page


def test_a_recording_has_a_map_beside_its_spectrogram(
    recordings: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighed, "MOST_CELLS", 8)
    shown = Shown(recordings)
    case = next(case for case in shown.cases if shown.sheets[case.number - 1].reasons.cells)
    cells = np.array(shown.reasons[case.row_id].cells)
    assert cells.shape == (8, 8)  # of 12 bands and 16 frames
    assert shown.of(case).count('<img src="data:image/png;base64,') == 2
    assert "spectrogram of case" in shown.of(case)
    # The tones are of 300 and of 1800 Hz: the lower one lies in the lower half of its map.
    low = [shown.reasons[c.row_id] for c in shown.cases if recordings.frame["digit"][c.row_id] == "0"]
    assert (
        np.mean(
            [np.abs(np.array(one.cells))[4:].sum() > np.abs(np.array(one.cells))[:4].sum() for one in low]
        )
        > 0.5
    )


@pytest.mark.parametrize("kind", ["of_texts", "of_pictures"])
def test_beside_a_wrong_recommendation_nothing_is_explained(
    kind: str, request: pytest.FixtureRequest
) -> None:
    shown: Shown = request.getfixturevalue(kind)
    bare = [case for case in shown.cases if shown.sheets[case.number - 1].reasons == Reasons()]
    assert {case.number for case in shown.cases if not case.genuine} <= {case.number for case in bare}
    assert len(bare) == 10  # as many others, so that what is missing gives nothing away
    for case in bare:
        assert NONE in shown.of(case)
        assert "It would be" not in shown.of(case)
        assert 'class="words"' not in shown.of(case)
        assert shown.of(case).count("<img") == (1 if kind == "of_pictures" else 0)


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


def test_what_is_kept_is_read_again(of_pictures: Shown, tmp_path: Path) -> None:
    kept = Kept(flips=of_pictures.packet.flips, pool=(3, 1), rows=of_pictures.kept)
    kept.write(tmp_path)
    assert Kept.read(tmp_path) == kept

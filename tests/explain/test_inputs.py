"""Explanations of the input: they find what was planted, and planted wrong ones fail the checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from tasks.explain.answer import Answer, Floats
from tasks.explain.attribution import Method, integrated_gradients
from tasks.explain.context import Context
from tasks.explain.explain import explain
from tasks.explain.given import Given
from tasks.explain.inputs import INPUT_PARTS, checked, explain_inputs, looks_of
from tasks.explain.parts import Unexplained
from tasks.explain.records import Explained, Explanation
from tasks.explain.regions import band_hertz
from tasks.explain.shown import shows_rows
from tasks.explain.ways import LEAST_ROWS, Way, found_by
from tasks.model.audio import AudioFeatures
from tasks.model.device import deterministic
from tasks.model.inputs import Steps
from tasks.plan.load import load_plan
from tasks.report.explained_inputs import input_figures
from tests.explain import media


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with deterministic(1):
        yield


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Context:
    frame = media.pictures()
    return media.context("mnist-cnn", media.of_pictures(frame), frame, tmp_path_factory.mktemp("seen"))


@pytest.fixture(scope="module")
def explained(seen: Context) -> dict[str, Explanation]:
    return {one.method: one for one in explain_inputs(seen)}


def test_integrated_gradients_find_what_decides_and_pass_every_check(
    explained: dict[str, Explanation],
) -> None:
    found = explained["integrated gradients"]
    assert found.reliable, found.checks
    assert {check.name for check in found.checks} == {
        "completeness",
        "stability",
        "randomised weights",
        "deletion",
        "insertion",
    }
    squares = ("rows 3-4, columns 3-4", "rows 5-6, columns 5-6", "rows 1-2", "rows 7-8")
    assert sum(weight.feature.startswith(squares) for weight in found.weights[:4]) >= 2
    assert found.rows == media.SETTINGS.rows
    assert {single.row_id for single in found.singles} <= set(range(160))
    assert set(explained) == {"integrated gradients", "saliency", "Grad-CAM"}


def edges(answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor) -> Floats:
    """An edge detector: it looks convincing and has seen no network."""
    down, across = torch.gradient(steps.values[:, 0], dim=(1, 2))
    return np.asarray((down.abs() + across.abs()).double().numpy())


def noise(answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor) -> Floats:
    """Attributions of nothing, other ones each time."""
    return np.asarray(torch.randn(len(targets), *steps.values.shape[2:]).double().numpy())


def doubled(answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor) -> Floats:
    """Integrated gradients that claim twice of what there is."""
    return 2 * integrated_gradients(answer, steps, targets, baseline)


@pytest.mark.parametrize(
    ("method", "fails"),
    [
        (edges, {"randomised weights"}),
        (noise, {"completeness", "stability", "deletion", "insertion"}),
        (doubled, {"completeness"}),
    ],
)
def test_a_planted_wrong_explanation_fails(seen: Context, method: Method, fails: set[str]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        found = _failed(seen, method)
    assert fails <= found if method is not doubled else found == fails


def _failed(seen: Context, method: Method) -> set[str]:
    looks = looks_of(seen, Given.of(seen.predictor, seen.frame.head(20)))
    checks, _ = checked(
        Way(method, 1, adds_up=method is not edges),
        looks,
        found_by(method, looks.given),
        np.random.default_rng(1),
    )
    return {check.name for check in checks if not check.holds}


class Jumps(nn.Module):
    """A body that decides by a comparison: its answer has no gradient."""

    def forward(self, steps: Steps) -> torch.Tensor:
        lit = (steps.values.flatten(1).mean(dim=1) > 0).float()
        return torch.stack([lit, 1 - lit], dim=1)[None]


def test_a_model_without_gradients_is_said_to_have_none(seen: Context, tmp_path: Path) -> None:
    network = media.of_pictures(media.pictures(20)).network
    network.body = Jumps()
    strange = replace(seen, predictor=replace(seen.predictor, network=network), folder=tmp_path)
    with pytest.raises(Unexplained, match="no gradients: the model's answer is computed by steps that have"):
        explain_inputs(strange)
    found = explain(strange, INPUT_PARTS)
    assert [one.part for one in found.skipped] == ["input"]


def test_a_small_budget_gives_ways_up_and_then_the_part(seen: Context, tmp_path: Path) -> None:
    small = media.context("mnist-cnn", seen.predictor, seen.frame, tmp_path, allowed=2000)
    (only,) = explain_inputs(small)
    assert only.method == "integrated gradients"
    assert LEAST_ROWS <= only.rows < media.SETTINGS.rows
    assert any("saliency is left out" in note for note in only.notes)
    assert small.budget.spent <= small.budget.allowed
    none = media.context("mnist-cnn", seen.predictor, seen.frame, tmp_path, allowed=900)
    with pytest.raises(Unexplained, match=f"takes {LEAST_ROWS} rows"):
        explain_inputs(none)


def test_the_same_rows_give_the_same_bytes_and_leave_the_model_alone(
    seen: Context, explained: dict[str, Explanation], tmp_path: Path
) -> None:
    before = seen.predictor.contents()
    again = explain_inputs(media.context("mnist-cnn", seen.predictor, seen.frame, tmp_path))
    assert {one.method: one for one in again} == explained
    assert seen.predictor.contents() == before
    assert all(parameter.requires_grad for parameter in seen.predictor.network.parameters())


def test_figures_show_decisions_and_what_is_unreliable(
    seen: Context, explained: dict[str, Explanation]
) -> None:
    wrong = explained["saliency"].model_copy(
        update={"reliable": False, "checks": explained["saliency"].checks[:0]}
    )
    record = Explained(explanations=(explained["integrated gradients"], wrong))
    figures = input_figures(record, seen.folder)
    assert set(figures) >= {"explained-inputs-classes"}
    titles = " ".join(axes.get_title(loc="left") for axes in figures["explained-inputs-classes"].axes)
    assert "UNRELIABLE" in titles.replace("\n", " ")


def test_rows_are_drawn_only_where_they_may_be_shown(seen: Context, tmp_path: Path) -> None:
    assert shows_rows(seen.plan)
    private = load_plan("spoken-digits-federated", Path("data"), [])
    assert not shows_rows(private)
    frame = seen.frame
    hidden = replace(
        media.context("mnist-cnn", seen.predictor, frame, tmp_path),
        plan=seen.plan.model_copy(update={"recipe": private.recipe}),
    )
    found = explain_inputs(hidden)
    assert not any(one.files for one in found)
    assert all("no row is drawn" in " ".join(one.notes) for one in found)
    assert input_figures(Explained(explanations=found), tmp_path) == {}


def _holds(region: str, tones: tuple[int, ...]) -> bool:
    """Whether one of the tones lies in a region, such as "0.00-0.12 s, 0-600 Hz"."""
    low, _, high = region.partition(", ")[2].removesuffix(" Hz").partition("-")
    return any(float(low) <= tone <= float(high) for tone in tones)


def test_recordings_are_explained_over_time_and_frequency(tmp_path: Path) -> None:
    frame = media.recordings()
    context = media.context("spoken-digits", media.of_recordings(frame), frame, tmp_path)
    found = {one.method: one for one in explain_inputs(context)}
    assert _holds(found["integrated gradients"].weights[0].feature, (300, 1800))
    figures = input_figures(Explained(explanations=tuple(found.values())), tmp_path)
    assert isinstance(figures["explained-inputs-classes"], Figure)
    features = context.predictor.features
    assert isinstance(features, AudioFeatures)
    edges_of_bands = band_hertz(features)
    assert edges_of_bands[0] == 0
    assert edges_of_bands[-1] == pytest.approx(4000)
    assert (np.diff(edges_of_bands) > 0).all()
    shares = {(one.attribute, one.group) for one in found["integrated gradients"].groups}
    assert ("speaker", "george") in shares

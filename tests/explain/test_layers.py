"""The report on layers: units counted by hand, gradients as torch has them, readings of what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from tasks.explain.context import Context
from tasks.explain.layer_report import LossOf, control_check, learned_check, notes_on, report_layers
from tasks.explain.layers import gradient_norms, layers_of, vectors_of, watch, weight_norms
from tasks.explain.parts import Unexplained
from tasks.explain.probes import RIDGE, Halves, Reading, Separation
from tasks.explain.records import Explained
from tasks.model.device import deterministic
from tasks.model.image import ImageFeatures
from tasks.model.inputs import Inputs
from tasks.model.network import Network
from tasks.model.rule import ClassRule
from tasks.report.explained_inputs import input_figures
from tests.explain import media
from tests.explain.conftest import Made

PICTURES = ImageFeatures("image", 2, 2, 1, 0.0, 1.0)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with deterministic(1):
        yield


def network(**settings: Any) -> Network:
    torch.manual_seed(1)
    return Network(PICTURES, settings, 2).eval()


def four() -> Inputs:
    pixels = torch.tensor([[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [255, 255, 0, 0]], dtype=torch.uint8)
    return Inputs({"pixels": pixels.view(4, 1, 2, 2)})


def test_dead_and_flat_units_by_hand() -> None:
    """Unit 0 never wakes, unit 1 on the first pixel (2 of 4 rows), unit 2 always: 6 of 12 places are flat."""
    made = network(kind="mlp", hidden=[3], dropout=0.0, members=1)
    hidden: Any = made.body.hidden[0]  # type: ignore[index] # a ModuleList
    with torch.no_grad():
        hidden.weight.zero_()
        hidden.weight[0, 0, 1] = 1.0
        hidden.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    layers = layers_of(made)
    seen = watch(made, layers, four())
    assert [layer.name for layer in layers] == ["front", "body.hidden.0"]
    assert (seen["front"].units, seen["front"].dead) == (0, 0)
    found = seen["body.hidden.0"]
    assert (found.units, found.dead, found.flat, found.places) == (3, 1, 6, 12)
    assert vectors_of(found).tolist() == [[0, 0, 1], [0, 1, 1], [0, 0, 1], [0, 1, 1]]
    assert weight_norms(layers) == {"front": 0.0, "body.hidden.0": pytest.approx(3**0.5)}


@pytest.mark.parametrize(
    ("settings", "push"),
    [
        (media.TRANSFORMER, "linear.0.bias"),
        ({**media.LSTM, "cell": "rnn"}, "bias_ih_l0"),
    ],
)
def test_saturated_units_are_flat_in_every_structure(settings: dict[str, Any], push: str) -> None:
    made = network(**settings)
    own = layers_of(made)[1].name
    calm = watch(made, layers_of(made), four())[own]
    assert calm.dead == 0
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith((push, f"{push}_reverse")):
                parameter.fill_(-50.0)
    found = watch(made, layers_of(made), four())[own]
    assert found.dead == found.units > 0
    assert found.flat == found.places


def test_members_count_as_units_side_by_side() -> None:
    made = network(kind="mlp", hidden=[3], dropout=0.0, members=4)
    found = watch(made, layers_of(made), four())["body.hidden.0"]
    assert found.units == 12
    assert vectors_of(found).shape == (4, 12)


def test_gradient_norms_are_those_of_the_mean_loss() -> None:
    made = network(kind="mlp", hidden=[3], dropout=0.0, members=2)
    made.requires_grad_(requires_grad=False)
    rule, labels = ClassRule(("0", "1"), None, 0.5, (), 2), ["0", "1", "1", "0"]
    layers = layers_of(made)
    found = gradient_norms(made, layers, four(), LossOf(rule, labels))
    assert not any(parameter.requires_grad for parameter in made.parameters())
    made.requires_grad_(requires_grad=True)
    outputs, wanted = made(four()), torch.tensor([0, 1, 1, 0])
    torch.stack([torch.nn.functional.cross_entropy(own, wanted) for own in outputs]).mean().backward()
    hidden = layers[1].owner
    expected = np.sqrt(sum(float(p.grad.square().sum()) for p in hidden.parameters() if p.grad is not None))
    assert found["body.hidden.0"] == pytest.approx(expected, rel=1e-5)
    assert found["front"] == 0


def rows(n: int, seed: int = 1) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Values of which the first tells the group: 1.5 deviations apart."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n)
    values = rng.normal(size=(n, 5))
    values[:, 0] += 1.5 * group
    return values, ["b" if one else "a" for one in group]


def test_a_reading_is_ridge_regression_read_on_other_rows() -> None:
    values, group = rows(400)
    halves = Halves.of(np.arange(400), 1)
    assert not set(halves.fitted) & set(halves.read)
    found = Reading.of(values, halves).separation(group)
    assert found is not None
    fit = values[halves.fitted]
    standard = (values - fit.mean(axis=0)) / fit.std(axis=0)
    wanted = np.array(group) == "b"
    model = Ridge(alpha=RIDGE * 5).fit(standard[halves.fitted], wanted[halves.fitted])
    area = roc_auc_score(wanted[halves.read], model.predict(standard[halves.read]))
    assert found.auc == pytest.approx(area, abs=1e-6)
    assert found.low < 0.856 < found.high  # Phi(1.5 / sqrt 2), what the best reading finds


def test_the_interval_is_as_wide_as_other_samples_differ() -> None:
    found = [
        Reading.of(values, Halves.of(np.arange(200), seed)).separation(group)
        for seed in range(20)
        for values, group in [rows(200, seed)]
    ]
    kept = [one for one in found if one is not None]
    told, spread = np.mean([one.deviation for one in kept]), np.std([one.auc for one in kept])
    assert 0.7 < told / spread < 1.45


def test_rows_of_one_unit_stay_together_and_widen_the_interval() -> None:
    values, group = rows(300)
    alone = Reading.of(values, Halves.of(np.arange(300), 1)).separation(group)
    unit = np.repeat(np.arange(300), 4)
    halves = Halves.of(unit, 1)
    assert not set(unit[halves.fitted]) & set(unit[halves.read])
    four_times = Reading.of(np.repeat(values, 4, axis=0), halves).separation(list(np.repeat(group, 4)))
    assert alone is not None
    assert four_times is not None
    assert four_times.deviation == pytest.approx(alone.deviation, rel=0.1)


def test_few_rows_tell_nothing() -> None:
    values, _ = rows(100)
    assert Reading.of(values, Halves.of(np.arange(100), 1)).separation(["a"] * 95 + ["b"] * 5) is None


def _dealt(values: np.ndarray[Any, Any], halves: Halves) -> list[float]:
    rng, reading = np.random.default_rng(1), Reading.of(values, halves)
    levels = [["a", "b"][i] for i in rng.integers(0, 2, len(values))]
    found = reading.separation(levels)
    assert found is not None
    return [abs(found.auc - 0.5) / found.deviation]


def test_a_reading_of_its_own_rows_invents_what_it_finds() -> None:
    """The planted wrong one: fitted on the very rows that it is read on, 60 values of noise tell anything."""
    values = np.random.default_rng(2).normal(size=(200, 60))
    honest = Halves.of(np.arange(200), 1)
    cheat = Halves(honest.read, honest.read, honest.unit)
    assert control_check(_dealt(values, honest)).holds
    assert not control_check(_dealt(values, cheat)).holds
    assert not control_check([]).holds


def test_a_layer_that_lost_the_label_fails() -> None:
    def area(auc: float) -> Separation:
        return Separation(auc, auc, auc, 0.01, 100, {})

    assert learned_check(area(0.9), area(0.7)).holds
    assert not learned_check(area(0.6), area(0.7)).holds
    assert not learned_check(None, area(0.7)).holds


def test_a_table_and_a_picture_are_reported(made: Made, tmp_path: Path) -> None:
    frame = media.pictures()
    of_pictures = media.context("mnist-cnn", media.of_pictures(frame), frame, tmp_path)
    for context, attributes in ((made(), {"label", "sex", "race", "age_band"}), (of_pictures, {"label"})):
        (found,) = report_layers(context)
        assert found.part == "model"
        assert {one.attribute for one in found.layers[-1].separates} <= attributes
        assert found.layers[-1].separates[0].attribute == "label"
        assert found.reliable, found.checks
        assert _learns(found.layers[1:])
        figures = input_figures(Explained(explanations=(found,)), context.folder)
        assert set(figures) == {"explained-layers"}


def _learns(layers: Sequence[Any]) -> bool:
    return all(layer.gradient_norm > 0 and layer.weight_norm > 0 for layer in layers)


def test_dead_layers_and_groups_worked_out_are_said(made: Made) -> None:
    (found,) = report_layers(made())
    dead = found.layers[-1].model_copy(update={"dead": found.layers[-1].units, "gradient_norm": 0.0})
    notes = " ".join(notes_on([*found.layers[:-1], dead]))
    assert f"{dead.units} of {dead.units} units are dead" in notes
    assert "learns nothing more" in notes
    first, last = found.layers[0], found.layers[-1]
    (sex,) = (one for one in first.separates if one.attribute == "sex")
    blind = sex.model_copy(update={"auc": 0.5, "low": 0.45, "high": 0.55})
    told = list(notes_on([first.model_copy(update={"separates": (blind,)}), last]))
    assert any("tells sex better than what the model is given" in note for note in told)


def test_too_few_rows_are_said(tmp_path: Path) -> None:
    frame = media.pictures(40)
    few: Context = media.context("mnist-cnn", media.of_pictures(frame), frame, tmp_path)
    with pytest.raises(Unexplained, match="takes 100 validation rows"):
        report_layers(few)

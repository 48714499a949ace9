"""The report on a model's layers, of every structure and kind of data: how they do, what they separate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
import torch
from torch import nn

from tasks.explain.answer import Positions, evaluation
from tasks.explain.checks import with_random_weights
from tasks.explain.context import Context
from tasks.explain.layer_records import Layer as Described
from tasks.explain.layer_records import Separates
from tasks.explain.layers import Layer, Seen, gradient_norms, layers_of, vectors_of, watch, weight_norms
from tasks.explain.parts import KINDS, Part, Unexplained
from tasks.explain.probes import Halves, Reading, Separation
from tasks.explain.records import Check, Explanation
from tasks.model.inputs import Inputs
from tasks.model.network import Network
from tasks.model.rule import ClassRule, Rule
from tasks.plan.judgement import Judgement
from tasks.train.records import GRADIENT

MOST_ROWS, LEAST_ROWS = 2000, 100
EACH = GRADIENT + 2
"""Evaluations a row: the layers seen, the loss's gradient, the layers again with shuffled weights."""
SHARE = 0.5
"""Of what is left of the budget."""
LABEL = "label"
MOST_DEVIATIONS = 4.0
"""That a reading of shuffled levels may lie from chance: of 16,000 readings one goes so far."""
ATTRIBUTION = "layers and activations"
DEAD_SHARE = 0.5


def report_layers(context: Context) -> tuple[Explanation, ...]:
    """Dead and flat units, norms of weights and gradients, and what each layer separates.

    Args:
        context: of any kind of data and any structure.

    Returns:
        One explanation of the model.

    Raises:
        Unexplained: the rows are too few to fit a reading on one half and read the other.
    """
    rows = context.budget.affordable(min(MOST_ROWS, len(context.frame)), EACH, LEAST_ROWS, SHARE)
    if not rows:
        raise Unexplained(
            f"a report on layers takes {LEAST_ROWS} validation rows, {EACH} evaluations each: there are "
            f"{len(context.frame)} rows and {int(SHARE * context.budget.left)} evaluations"
        )
    context.budget.spend(EACH * rows)
    predictor, seed = context.predictor, int(context.rng(ATTRIBUTION).integers(2**31))
    frame, described = context.frame.head(rows), context.described.head(rows)
    inputs, told = predictor.features.encode(frame), attributes_of(described, context.plan.judgement)
    halves = Halves.of(_units(described), seed)
    with evaluation(predictor.network):
        layers = layers_of(predictor.network)
        seen = watch(predictor.network, layers, inputs)
        readings = {name: Reading.of(vectors_of(one), halves) for name, one in seen.items()}
        found = {name: separations(reading, told) for name, reading in readings.items()}
        lost = LossOf(predictor.rule, described[LABEL].to_list())
        gradients = gradient_norms(predictor.network, layers, inputs, lost)
        random = _at_last(with_random_weights(predictor, seed).network, inputs, told[LABEL], halves)
    shuffled = list(_shuffled(readings.values(), told, seed))
    last = found[layers[-1].name].get(LABEL)
    checks = (control_check(shuffled), learned_check(last, random))
    described_layers = tuple(_described(layers, seen, found, gradients))
    return (
        Explanation(
            part="model",
            method=ATTRIBUTION,
            of="each layer: its units, weights and gradients, and how well a linear reading of it tells the "
            "label and each protected attribute (area under the ROC curve)",
            rows=rows,
            evaluations=EACH * rows,
            checks=checks,
            reliable=all(check.holds for check in checks),
            layers=described_layers,
            notes=tuple(notes_on(described_layers)),
        ),
    )


MODEL_PARTS = (Part(ATTRIBUTION, KINDS, lambda _: LEAST_ROWS * EACH, report_layers),)


def attributes_of(described: pl.DataFrame, judgement: Judgement) -> dict[str, list[str]]:
    """Levels of the label and of each protected attribute; a number's label is above its median or not."""
    label = described[LABEL]
    if label.dtype != pl.String:
        middle = label.median()
        label = pl.Series(["above" if value > middle else "not above" for value in label])
    return {LABEL: label.to_list(), **{name: described[name].to_list() for name in judgement.protected}}


def separations(reading: Reading, told: Mapping[str, Sequence[str]]) -> dict[str, Separation]:
    """What a layer tells, by attribute, without those of too few rows."""
    found = {name: reading.separation(levels) for name, levels in told.items()}
    return {name: one for name, one in found.items() if one is not None}


class LossOf:
    """The loss of the rows' labels, summed: cross-entropy of classes, half the squared error of a number.

    Members are averaged; class weights and penalties of training are not in it.
    """

    def __init__(self, rule: Rule, labels: Sequence[str | float]) -> None:
        """Take the labels of all rows, in their order."""
        self.rule = rule
        if isinstance(rule, ClassRule):
            self.wanted = torch.tensor([rule.classes.index(str(label)) for label in labels])
        else:
            standard = (np.asarray(labels, np.float64) - rule.mean) / rule.deviation
            self.wanted = torch.from_numpy(standard.astype(np.float32))

    def __call__(self, outputs: torch.Tensor, rows: slice) -> torch.Tensor:
        """Of outputs (members, n, outputs) of a run of rows."""
        members, wanted = len(outputs), self.wanted[rows]
        if not isinstance(self.rule, ClassRule):
            return 0.5 * (outputs[:, :, 0] - wanted).square().sum() / members
        if self.rule.outputs == 1:
            positive = (wanted == self.rule.classes.index(str(self.rule.positive))).float()
            logits = outputs[:, :, 0]
            return (
                nn.functional.binary_cross_entropy_with_logits(
                    logits, positive.expand_as(logits), reduction="sum"
                )
                / members
            )
        flat = outputs.flatten(0, 1)
        return nn.functional.cross_entropy(flat, wanted.repeat(members), reduction="sum") / members


def control_check(deviations: Sequence[float]) -> Check:
    """Readings of shuffled levels must find nothing: a control task (Hewitt and Liang 2019).

    Args:
        deviations: how far the area of each reading is from one half, in its standard deviations.
    """
    return Check.of(
        "shuffled levels",
        max(deviations, default=None),
        "at most",
        MOST_DEVIATIONS,
        "the same reading of levels dealt out by chance must find nothing; this is the farthest that one is "
        "from one half, in standard deviations: beyond the limit the readings invent what they find",
    )


def learned_check(own: Separation | None, random: Separation | None) -> Check:
    """The last layer must tell the label better than that of the same network with its weights shuffled."""
    gained = own.auc - random.auc if own is not None and random is not None else None
    return Check.of(
        "randomised weights",
        gained,
        "at least",
        0.0,
        "how much better the last layer tells the label than with its weights shuffled: below the limit the "
        "figures show the structure and the data, not what was learned",
    )


def _shuffled(readings: Iterable[Reading], told: Mapping[str, Sequence[str]], seed: int) -> Iterator[float]:
    """How far from one half each layer's reading of each attribute is, with the levels dealt out anew."""
    generator = np.random.default_rng(seed)
    for reading in readings:
        for levels in told.values():
            found = reading.separation([levels[i] for i in generator.permutation(len(levels))])
            if found is not None and found.deviation > 0:
                yield abs(found.auc - 0.5) / found.deviation


def _at_last(network: Network, inputs: Inputs, label: Sequence[str], halves: Halves) -> Separation | None:
    layers = layers_of(network)
    seen = watch(network, [layers[0], layers[-1]], inputs)
    return Reading.of(vectors_of(seen[layers[-1].name]), halves).separation(label)


def _units(described: pl.DataFrame) -> Positions:
    """Numbers of the sampling units, or of the rows where the plan names none."""
    if "unit" not in described.columns:
        return np.arange(len(described), dtype=np.int64)
    _, numbers = np.unique(described["unit"].fill_null("").to_numpy(), return_inverse=True)
    return numbers.astype(np.int64)


def _described(
    layers: Sequence[Layer],
    seen: Mapping[str, Seen],
    found: Mapping[str, Mapping[str, Separation]],
    gradients: Mapping[str, float],
) -> Iterator[Described]:
    weights = weight_norms(layers)
    for layer in layers:
        one, learns = seen[layer.name], any(True for _ in layer.owner.parameters())
        yield Described(
            name=layer.name,
            activation=layer.activation,
            values=one.vectors[0].shape[1],
            units=one.units,
            dead=one.dead,
            flat=round(one.flat / one.places, 6) if one.places else 0.0,
            weight_norm=_digits(weights[layer.name]),
            gradient_norm=_digits(gradients[layer.name]) if learns else None,
            separates=tuple(
                Separates(
                    attribute=name, auc=of.auc, low=of.low, high=of.high, rows=of.rows, levels=dict(of.levels)
                )
                for name, of in found[layer.name].items()
            ),
        )


def _digits(value: float) -> float:
    """Six significant digits: the last ones of a sum differ from machine to machine."""
    return float(f"{value:.6g}")


def notes_on(layers: Sequence[Described]) -> Iterator[str]:
    """What a reader should see first: dead layers, gradients that vanish, groups that a layer works out."""
    for layer in layers:
        if layer.units and layer.dead / layer.units >= DEAD_SHARE:
            yield f"{layer.name}: {layer.dead} of {layer.units} units are dead: they tell nothing of any row"
        if layer.gradient_norm == 0:
            yield f"{layer.name}: the loss has no gradient by its weights: it learns nothing more"
    for attribute in {one.attribute: None for layer in layers for one in layer.separates}:
        if attribute == LABEL:
            continue
        by_layer = [
            (layer.name, one) for layer in layers for one in layer.separates if one.attribute == attribute
        ]
        given, (name, most) = by_layer[0][1], max(by_layer, key=lambda named: named[1].auc)
        if most.low > given.high:
            yield (
                f"{name} tells {attribute} better than what the model is given does: area {most.auc:.3f} "
                f"[{most.low:.3f}, {most.high:.3f}] > {given.auc:.3f} [{given.low:.3f}, {given.high:.3f}]"
            )

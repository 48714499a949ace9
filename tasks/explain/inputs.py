"""Which part of the input decided: pixels, times and frequencies, tokens; each method with its checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from tasks.evidence.records import FileRef
from tasks.explain.answer import Floats, evaluation, no_gradient
from tasks.explain.attention import attention_weights
from tasks.explain.by_group import by_group, weights
from tasks.explain.checks import randomised, removal, stability, with_random_weights
from tasks.explain.context import Context
from tasks.explain.given import Given
from tasks.explain.parts import Part, Unexplained
from tasks.explain.records import Carried, Check, Curves, Explanation, Single
from tasks.explain.regions import Regions, naming, regions_of
from tasks.explain.shown import Shown, choose, shows_rows
from tasks.explain.ways import (
    LEAST_ROWS,
    WAYS,
    Way,
    affordable_rows,
    complete,
    cost_of,
    found_by,
    ways_of,
)
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.model.text import TextFeatures
from tasks.plan.data import Text
from tasks.train.records import GRADIENT

NOISE = 0.1
"""Root mean square of the noise of the stability check, as a share of that of the values."""
MOST_WEIGHTS = 20
SHUFFLES = 5
"""Orders of the weights that are tried for a network whose answer still moves with its input."""
DRAWN_ATTENTION = 2
"""Decisions whose attention is kept whole."""


def explain_inputs(context: Context) -> tuple[Explanation, ...]:
    """Explain the likeliest class of a sample of rows, by every way that the model allows.

    Args:
        context: of images, recordings or texts.

    Returns:
        One explanation a way.

    Raises:
        Unexplained: the answer has no gradient and no attention, or the budget allows too few rows.
    """
    ways, reasons = ways_of(context)
    if not ways:
        raise Unexplained("; ".join(reasons))
    rows = affordable_rows(context, ways, reasons)
    with evaluation(context.predictor.network):
        given = Given.of(context.predictor, context.frame.head(rows))
        looks = looks_of(context, given)
        context.budget.spend(rows)
        return tuple(_explained(context, name, way, looks, reasons) for name, way in ways.items())


INPUT_PARTS = (
    Part(
        "input",
        frozenset({"audio", "image", "text"}),
        lambda _: LEAST_ROWS * cost_of(WAYS["saliency"]),
        explain_inputs,
    ),
)


@dataclass(frozen=True)
class Looks:
    """The same rows as they are, with noise, and before a network with shuffled weights."""

    given: Given
    noised: Given
    random: Given
    regions: Regions
    shown: Shown


def looks_of(context: Context, given: Given) -> Looks:
    """The looks of rows that are the first ones of the context's frame."""
    seed = int(context.rng("input").integers(2**31))
    frame = context.frame.head(len(given.targets))
    random = _random(context, seed)
    features = context.predictor.features
    return Looks(
        given,
        given.noised(NOISE, seed),
        Given.of(random, frame, given.targets),
        regions_of(features, given.tokens, given.there.shape),
        choose(context, given),
    )


def _random(context: Context, seed: int) -> Predictor:
    """The model with its weights shuffled, in an order that leaves it alive: a dead one is like none."""
    few = context.frame.head(LEAST_ROWS)
    for attempt in range(SHUFFLES):
        random = with_random_weights(context.predictor, seed + attempt)
        random.network.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        given = Given.of(random, few)
        context.budget.spend((1 + GRADIENT) * len(given.targets))
        if no_gradient(given.answer, given.steps) is None:
            break
    return random


def _explained(context: Context, name: str, way: Way, looks: Looks, reasons: list[str]) -> Explanation:
    given = looks.given
    found = found_by(way.method, given)
    checks, curves = checked(way, looks, found, context.rng(name))
    evaluations = cost_of(way) * len(found)
    context.budget.spend(evaluations)
    summed, names = looks.regions.sums(found), looks.regions.names
    # Of hundreds of tokens the weightiest: others would widen the intervals of all differences.
    most = np.sort(np.argsort(-np.abs(summed).mean(axis=0), kind="stable")[:MOST_WEIGHTS])
    kept, kept_names = summed[:, most], [names[i] for i in most]
    groups, too_small = by_group(kept, kept_names, context.described.head(len(found)))
    return Explanation.checked(
        checks,
        part="input",
        method=name,
        of=_of(context),
        rows=len(found),
        evaluations=evaluations,
        curves=curves,
        weights=weights(kept, kept_names),
        groups=groups,
        singles=_singles(context, looks, found, summed),
        carried=tuple(_carried(context, given, found)),
        files=tuple(_files(context, name, looks, found)),
        notes=(*reasons, *_notes(context, looks.shown), *too_small),
    )


def checked(
    way: Way, looks: Looks, found: Floats, rng: np.random.Generator
) -> tuple[tuple[Check, ...], Curves | None]:
    """Completeness where attributions should add up, stability, shuffled weights, deletion and insertion."""
    given, centred = looks.given, looks.given.centred(found)
    checks = list[Check]()
    if way.adds_up:
        checks.append(complete(given, found))
    checks.append(stability(centred, given.centred(found_by(way.method, looks.noised))))
    checks.append(randomised(centred, given.centred(found_by(way.method, looks.random))))
    removed = removal(given.with_features, given.features(found), rng)
    return (*checks, *removed.checks), removed.curves


def _singles(context: Context, looks: Looks, found: Floats, summed: Floats) -> tuple[Single, ...]:
    """The decisions shown: by region, or by the token's position in the text, never by what it says."""
    given, names = looks.given, looks.regions.names
    none = np.zeros(given.features(found).shape, bool)
    outputs, bases = given.with_features(~none), given.with_features(none)
    texts = isinstance(context.predictor.features, TextFeatures)
    ids = context.frame["row_id"]
    singles = []
    for row in looks.shown.rows:
        if texts:
            named = {f"token {i + 1}": found[row, i] for i in np.flatnonzero(given.there[row])}
        else:
            named = dict(zip(names, summed[row], strict=True))
        order = sorted(named, key=lambda name: (-abs(named[name]), name))
        singles.append(
            Single(
                row_id=int(ids[int(row)]),
                output=_digits(outputs[row]),
                base=_digits(bases[row]),
                weights={name: _digits(named[name]) for name in order},
            )
        )
    return tuple(singles)


def _carried(context: Context, given: Given, found: Floats) -> Iterator[Carried]:
    """Of texts whose plan lists words that name groups: these words' share of all attribution."""
    data, features = context.plan.judgement.data, context.predictor.features
    if not isinstance(data, Text) or not isinstance(features, TextFeatures) or given.tokens is None:
        return
    whole = float(np.abs(found).sum())
    for attribute, protected in context.plan.judgement.protected.items():
        terms = data.identities.get(protected.column)
        if terms and whole > 0:
            share = _digits(float(np.abs(found[naming(features, given.tokens, terms)]).sum()) / whole)
            yield Carried(attribute=attribute, own=share, proxies={}, information={}, weighted=share)


def _files(context: Context, name: str, looks: Looks, found: Floats) -> Iterator[FileRef]:
    """Arrays of the decisions shown, for figures; none where a row may not be shown."""
    given, shown = looks.given, looks.shown
    if not shows_rows(context.plan):
        return
    arrays = {"attributions": found[shown.rows], **shown.arrays(given)}
    if name == "attention":
        few = given.steps.rows(torch.from_numpy(shown.rows[:DRAWN_ATTENTION]))
        arrays["attention"] = attention_weights(given.answer, few)
    kept = {key: array.astype(np.float32) for key, array in arrays.items()}
    yield context.keep(f"input-{name.lower().replace(' ', '-')}", kept)


def _of(context: Context) -> str:
    rule = context.predictor.rule
    if isinstance(rule, ClassRule):
        return "log odds of the likeliest class, natural logarithm, as the network gives them"
    return "the predicted number, in the label's unit, before it is cut to the label's range"


def _notes(context: Context, shown: Shown) -> Iterator[str]:
    """What a reader must know of what is and is not explained."""
    rule = context.predictor.rule
    if shown.worst:
        yield f"worst group: {shown.worst}; its decisions are shown after those of each class"
    if rule.by is not None:
        yield (
            "decisions also read the group, by calibration or a threshold of its own; explained is what the "
            "network answers before that, which reads the input alone"
        )
    if not shows_rows(context.plan):
        yield (
            "no row is drawn: the plan de-identifies rows, trains under differential privacy or leaves rows "
            "with clients; decisions are listed by row_id"
        )


def _digits(value: float) -> float:
    """Six significant digits: the last ones of a sum differ from machine to machine."""
    return float(f"{value:.6g}")

"""Steps before training, in the plan's order: each takes fit rows and leaves others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tasks.mitigate.augmentation import augmented
from tasks.mitigate.counterfactual import counterfactual
from tasks.mitigate.resampling import resampled
from tasks.mitigate.reweigh import reweighed
from tasks.mitigate.sample import Sample
from tasks.mitigate.synthesis import synthesised
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Augmentation, Counterfactual, Resampling, Reweighing, Step, Synthesis

Change = Callable[[Sample, Any, Judgement, np.random.Generator], Sample]


def _reweighing(sample: Sample, step: Reweighing, _: Judgement, __: np.random.Generator) -> Sample:
    return sample._replace(weights=reweighed(sample.described, sample.weights, step))


CHANGES: Mapping[type, Change] = MappingProxyType(
    {
        Augmentation: augmented,
        Counterfactual: counterfactual,
        Resampling: resampled,
        Reweighing: _reweighing,
        Synthesis: synthesised,
    }
)
"""What each step of rows does with them."""


def changes_rows(steps: Sequence[Step]) -> bool:
    """Whether any step makes or leaves out rows; weights alone are cheaper to change."""
    return any(step.stage == "rows" and not isinstance(step, Reweighing) for step in steps)


def before_training(sample: Sample, steps: Sequence[Step], judgement: Judgement, seed: int) -> Sample:
    """Make every step of rows, each on what the one before left.

    Args:
        sample: fit rows.
        steps: ``recipe.mitigation``; those of other stages are passed over.
        judgement: of the plan.
        seed: of the recipe; each step draws from a generator of its own place in the list.

    Raises:
        Refusal: a step has no rows to work on.
    """
    for place, step in enumerate(steps):
        if step.stage == "rows":
            rng = np.random.default_rng([seed, place])
            sample = CHANGES[type(step)](sample._replace(number=place + 1), step, judgement, rng)
    return sample


def made_by(sample: Sample, steps: Sequence[Step]) -> dict[str, int]:
    """How many of the rows steps of each kind made, of the kinds that made any.

    A made row that a later step drew again is that step's.

    Args:
        sample: as :func:`before_training` leaves it.
        steps: the same.
    """
    counts = np.bincount(sample.maker, minlength=len(steps) + 1)[1:].tolist()
    made = Counter[str]()
    for step, count in zip(steps, counts, strict=True):
        made[step.kind] += count
    return {kind: count for kind, count in sorted(made.items()) if count}

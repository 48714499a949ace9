"""The accountant: how much epsilon noisy steps spend, and how much noise an epsilon asks for.

Renyi differential privacy adds up over steps and over trainings, exactly and whatever their noise, so one
accountant serves a single training and the ledger of all of them. The tighter numerical accountants (PRV)
would allow about a twentieth less noise, as an approximation with an error of its own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.errors import Refusal
from tasks.plan.differential import DpSgd
from tasks.privacy.records import Mechanism, Spent

ORDERS = (*(1 + x / 4 for x in range(1, 40)), *range(11, 64), 96, 128, 192, 256, 384, 512)
"""Orders of Renyi divergence among which the best bound is taken; more would be tighter, not truer."""
MOST_NOISE, LEAST_NOISE = 2.0**14, 0.3
PRECISION = 1e-3  # of the noise found, relative


def epsilon_of(taken: Iterable[Mechanism], delta: float) -> float:
    """The epsilon at ``delta`` of several mechanisms on the same rows, one after the other.

    Args:
        taken: by which the same rows were learned from; none spend nothing.
        delta: the probability with which epsilon may be exceeded, in (0, 1).
    """
    from opacus.accountants.analysis.rdp import get_privacy_spent  # noqa: PLC0415 - as below

    each = [_curve(one) for one in taken if one.steps]
    if not each:
        return 0.0
    with warnings.catch_warnings():  # at the outermost order the bound still holds
        warnings.filterwarnings("ignore", "Optimal order is the", UserWarning)
        epsilon, _ = get_privacy_spent(orders=ORDERS, rdp=sum(each), delta=delta)
    return max(0.0, float(epsilon))


@lru_cache(maxsize=64)
def _curve(mechanism: Mechanism) -> NDArray[np.float64]:
    """Renyi divergence at each of the orders."""
    from opacus.accountants.analysis.rdp import compute_rdp  # noqa: PLC0415 - a second, of private runs alone

    found: NDArray[np.float64] = compute_rdp(
        q=mechanism.rate, noise_multiplier=mechanism.noise, steps=mechanism.steps, orders=ORDERS
    )
    return found


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """The least noise multiplier, to a thousandth, whose steps spend at most ``epsilon`` at ``delta``.

    Raises:
        Refusal: no noise is enough.
    """

    def within(noise: float) -> bool:
        return epsilon_of([Mechanism(noise=noise, rate=rate, steps=steps)], delta) <= epsilon

    high = LEAST_NOISE
    while not within(high):
        high *= 2
        if high > MOST_NOISE:
            raise Refusal(
                f"recipe.privacy.epsilon: no noise keeps {steps:,} steps within {epsilon:g} at delta "
                f"{delta:g}; raise it, or train for fewer epochs"
            )
    low = high / 2
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


def planned(member: DpSgd, rows: int, batch: int, epochs: int) -> Mechanism:
    """The steps of a whole training.

    Args:
        member: the plan's.
        rows: learned from.
        batch: expected number of rows of a step.
        epochs: an epoch has as many steps as batches would be dealt out.

    Raises:
        Refusal: delta is above one in the number of rows, a stated noise is not enough, or none would be.
    """
    if member.delta * rows > 1:
        raise Refusal(
            f"recipe.privacy.delta: at most 1/{rows:,} = {1 / rows:.3g} is expected, as {rows:,} rows are "
            f"learned from, found {member.delta:g}; a larger one would allow to publish a row as it is"
        )
    rate, steps = min(1.0, batch / rows), epochs * steps_of(rows, batch)
    if member.noise is None:
        return Mechanism(noise=noise_for(member.epsilon, member.delta, rate, steps), rate=rate, steps=steps)
    mechanism = Mechanism(noise=member.noise, rate=rate, steps=steps)
    if (epsilon := epsilon_of([mechanism], member.delta)) > member.epsilon:
        raise Refusal(
            f"recipe.privacy.noise: with {member.noise:g} the {steps:,} steps would spend epsilon "
            f"{epsilon:.3g}, and recipe.privacy.epsilon is {member.epsilon:g}; raise it, or leave it out"
        )
    return mechanism


def steps_of(rows: int, batch: int) -> int:
    """Steps of an epoch."""
    return math.ceil(rows / batch)


def spent(member: DpSgd, mechanism: Mechanism) -> Spent:
    """The record of the steps of ``mechanism``."""
    epsilon = epsilon_of([mechanism], member.delta)
    return Spent(epsilon=epsilon, delta=member.delta, clip=member.clip, mechanism=mechanism)

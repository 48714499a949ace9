"""Learning rates at each step, from the plan's schedule alone."""

from __future__ import annotations

import pytest

from tasks.plan.training import Constant, Cosine, Exponential, Plateau, Step
from tasks.train.optimizers import plateaus, rate_factor


def test_cosine_rises_then_falls_to_zero() -> None:
    cosine = Cosine(warmup_epochs=1)
    factors = [rate_factor(cosine, step, 10, 10, []) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.001
    assert rate_factor(Cosine(warmup_epochs=0), 0, 10, 10, []) == 1


def test_constant_step_and_exponential() -> None:
    assert rate_factor(Constant(kind="constant"), 99, 10, 10, []) == 1
    halved = Step(kind="step", epochs=2, factor=0.5)
    assert [rate_factor(halved, step, 10, 10, []) for step in (0, 19, 20, 39, 40)] == [1, 1, 0.5, 0.5, 0.25]
    falling = Exponential(kind="exponential", factor=0.9)
    assert rate_factor(falling, 25, 10, 10, []) == pytest.approx(0.9**2.5)


def test_plateau_halves_when_the_loss_has_not_fallen_for_its_patience() -> None:
    losses = [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert [plateaus(losses[:n], 2) for n in range(10)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    plateau = Plateau(kind="plateau", factor=0.5, patience=2)
    assert rate_factor(plateau, 80, 10, 10, losses[:8]) == 0.25

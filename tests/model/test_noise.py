"""Randomised response: the law that it states, by the published formulas, and draws to make again."""

from itertools import product
from math import exp, log

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from tasks.model.inputs import Inputs
from tasks.model.noise import RandomisedResponse, asked_of


def noise(epsilon: float = 1.0, classes: int = 2, budget: float = 10.0) -> RandomisedResponse:
    return RandomisedResponse(epsilon, budget, classes, "adult")


@pytest.mark.parametrize(("epsilon", "classes"), [*product([0.1, 1.0, 4.0], [2, 3, 10])])
def test_the_probabilities_are_those_of_kairouz(epsilon: float, classes: int) -> None:
    """Kairouz et al. 2016, equation 10: e^eps / (e^eps + k - 1) and 1 / (e^eps + k - 1)."""
    made, whole = noise(epsilon, classes), exp(epsilon) + classes - 1
    assert made.keep == pytest.approx(exp(epsilon) / whole)
    assert made.other == pytest.approx(1 / whole)
    assert log(made.keep / made.other) == pytest.approx(epsilon)
    assert made.keep + (classes - 1) * made.other == pytest.approx(1)


def test_two_classes_are_warners() -> None:
    """Warner 1965 with p = 3/4: an epsilon of log 3, and gaps half as wide."""
    made = noise(log(3))
    assert made.keep == pytest.approx(0.75)
    assert made.contrast == pytest.approx(0.5)


@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_told_follows_the_law(classes: int) -> None:
    made, n = noise(1.0, classes), 8000
    decided = np.full(n, classes - 1)
    told = made.told(decided, b"key", (str(row).encode() for row in range(n)))
    expected = np.full(classes, made.other * n)
    expected[-1] = made.keep * n
    assert chisquare(np.bincount(told, minlength=classes), expected).pvalue > 1e-4
    # Whether an answer is kept has nothing to do with what was decided, nor with another key's draws.
    again = made.told(np.zeros(n, np.int64), b"key", (str(row).encode() for row in range(n)))
    assert ((again == 0) == (told == classes - 1)).all()
    other = made.told(decided, b"another", (str(row).encode() for row in range(n)))
    both = int(((other == decided) & (told == decided)).sum())
    assert binomtest(both, n, made.keep**2).pvalue > 1e-4


def test_judged_rows_are_drawn_again_alike_and_each_by_itself() -> None:
    made, digests = noise(), ["aa", "bb", "aa", "cc"] * 200
    decided = np.zeros(800, np.int64)
    told = made.judged(decided, digests, "model")
    assert (told == made.judged(decided, digests, "model")).all()
    assert (told != made.judged(decided, digests, "another model")).any()
    alike = np.array([digest == "aa" for digest in digests])
    assert 0 < told[alike].mean() < 1  # rows that are alike are drawn apart
    rest = [digest for digest in digests if digest != "bb"]
    kept = np.array([digest != "bb" for digest in digests])
    assert (made.judged(decided[kept], rest, "model") == told[kept]).all()  # who is forgotten moves no other


def test_a_question_is_what_the_model_sees_of_the_row() -> None:
    inputs = Inputs({"codes": torch.tensor([[1], [2], [1]]), "numbers": torch.tensor([[0.5], [0.5], [0.5]])})
    first, second, third = asked_of("model", "ann", inputs)
    assert first == third != second
    assert first not in set(asked_of("model", "bob", inputs)) | set(asked_of("version 2", "ann", inputs))


def test_noise_of_another_kind_is_refused() -> None:
    assert RandomisedResponse.from_json(noise().to_json()) == noise()
    with pytest.raises(ValueError, match="found 'laplace'"):
        RandomisedResponse.from_json({**noise().to_json(), "kind": "laplace"})

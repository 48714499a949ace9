"""Randomised response: the law that it states, by the published formulas, and draws to make again."""

from dataclasses import replace
from itertools import combinations, product
from math import exp, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest, chisquare

from tasks.model.inputs import Inputs
from tasks.model.noise import RandomisedResponse, asked_of
from tests.model.test_grouped import BY_SEX, predictor


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


def test_a_question_is_what_the_decision_reads_of_the_row() -> None:
    inputs = Inputs({"codes": torch.tensor([[1], [2], [1]]), "numbers": torch.tensor([[0.5], [0.5], [0.5]])})
    first, second, third = asked_of("model", "ann", inputs, None)
    assert first == third != second
    others = set(asked_of("model", "bob", inputs, None)) | set(asked_of("version 2", "ann", inputs, None))
    assert first not in others
    # Of the same inputs each level is a question, and so is none that the rule knows.
    of_levels = [list(asked_of("model", "ann", inputs, np.full(3, level))) for level in (-1, 0, 1)]
    assert len({questions[0] for questions in of_levels}) == 3
    assert all(questions[0] == questions[2] != questions[1] for questions in of_levels)


def test_a_question_is_the_same_whatever_else_is_asked_with_it() -> None:
    """Codes are held as widely as the table's largest needs, and a zero may have a sign."""
    alone = Inputs({"codes": torch.tensor([[7]], dtype=torch.int8), "numbers": torch.tensor([[0.0]])})
    beside = Inputs(
        {"codes": torch.tensor([[300], [7]], dtype=torch.int16), "numbers": torch.tensor([[1.0], [-0.0]])}
    )
    (question,) = asked_of("model", "ann", alone, None)
    assert list(asked_of("model", "ann", beside, None))[1] == question


def test_answers_to_two_groups_tell_no_more_than_their_epsilons(tmp_path: Path) -> None:
    """Decided by sex: what is told of one level is kept or turned whatever became of the other's.

    With one draw for both, two answers would differ just where the two decisions do: with certainty, at
    any epsilon.
    """
    made = replace(predictor(BY_SEX), noise=RandomisedResponse(0.1, 1e6, 2, "adult"), digest="frozen")
    hours = pd.DataFrame({"hours": np.arange(3000)})
    turned = []
    for sex in ("Male", "Female", "nobody knows"):
        rows = hours.assign(sex=sex)
        told = made.answer(rows, "ann", tmp_path / "callers.db")["prediction"]
        turned.append((told != made.predict(rows)["prediction"]).to_numpy())
        again = rows.assign(sex=f" {sex} ", hours=rows["hours"].astype(str) + ".0")
        assert made.answer(again, "ann", tmp_path / "callers.db")["prediction"].equals(told)
    assert made.noise is not None
    keep = made.noise.keep
    for one, other in combinations(turned, 2):
        assert binomtest(int((one == other).sum()), len(hours), keep**2 + (1 - keep) ** 2).pvalue > 1e-4


def test_noise_of_another_kind_is_refused() -> None:
    assert RandomisedResponse.from_json(noise().to_json()) == noise()
    with pytest.raises(ValueError, match="found 'laplace'"):
        RandomisedResponse.from_json({**noise().to_json(), "kind": "laplace"})

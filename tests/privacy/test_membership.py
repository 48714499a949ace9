"""The attack on a model's losses: large on one that learned by heart, small on one that did not."""

import numpy as np
import pytest

from tasks.errors import Refusal
from tasks.privacy.membership import attack, greatest_advantage


def nearest_losses(
    rows: np.ndarray, labels: np.ndarray, known: np.ndarray, own: np.ndarray, k: int
) -> np.ndarray:
    """Cross-entropy of k nearest neighbours, a tenth of a vote added: with k = 1 learned by heart."""
    distance = ((rows[:, None] - known[None]) ** 2).sum(axis=2)
    votes = own[np.argsort(distance, axis=1)[:, :k]].sum(axis=1)
    share = (votes + 0.1) / (k + 0.2)
    return -np.log(np.where(labels == 1, share, 1 - share))


def planted(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses of 300 members and 300 others, of labels that are half noise."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2))
    labels = np.where(rng.random(600) < 0.7, rng.random(600) < 0.5, rows[:, 0] > 0).astype(int)
    members, others = rows[:300], rows[300:]
    return (
        nearest_losses(members, labels[:300], members, labels[:300], k),
        nearest_losses(others, labels[300:], members, labels[:300], k),
    )


def test_a_model_that_learned_by_heart_is_told_by_its_losses() -> None:
    by_heart, smooth = attack(*planted(k=1)), attack(*planted(k=61))
    assert by_heart.advantage > 0.2
    assert by_heart.low > smooth.high
    assert by_heart.auc > 0.6 > smooth.auc


def test_the_figures_of_four_rows_worked_by_hand() -> None:
    """The mean of 0, 0 and 3 is 1: two of three members lie below, one of four others."""
    found = attack(np.array([0.0, 0.0, 3.0]), np.array([0.5, 2.0, 2.0, 4.0]))
    assert found.advantage == pytest.approx(2 / 3 - 1 / 4)
    assert found.auc == pytest.approx(9 / 12)
    assert (found.members, found.others) == (3, 4)


def test_losses_of_one_distribution_give_no_advantage() -> None:
    rng = np.random.default_rng(1)
    found = attack(rng.exponential(size=4000), rng.exponential(size=4000))
    assert found.low < 0 < found.high


@pytest.mark.parametrize("members", [[], [1.0, np.nan]])
def test_losses_that_are_none_are_refused(members: list[float]) -> None:
    with pytest.raises(Refusal, match="a finite loss of every row of the members"):
        attack(np.array(members), np.array([1.0]))


def test_no_attack_exceeds_what_randomised_response_gives_away() -> None:
    """Told truly with probability e^eps/(1+e^eps), the best attack believes what it is told."""
    for epsilon in (0.1, 1.0, 3.0):
        truly = np.exp(epsilon) / (1 + np.exp(epsilon))
        assert greatest_advantage(epsilon, 0.0) == pytest.approx(truly - (1 - truly))

"""What a server receives tells nothing of a client's numbers, and the sum is exact all the same."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import Refusal
from tasks.privacy.secure import STEP, Masked, Numbers, Participant, to_fixed, unmasked

CLIENTS = range(1, 6)


class Sum:
    """One sum, as far as the masked numbers: by those who were not gone before."""

    def __init__(self, values: dict[int, Numbers], threshold: int, gone: Collection[int] = ()) -> None:
        """Take each client's numbers."""
        self.threshold, self.clients = threshold, {i: Participant(i) for i in values}
        keys = {i: one.public() for i, one in self.clients.items()}
        sealed = {i: one.share(keys, threshold) for i, one in self.clients.items()}
        self.keys = keys
        self.masked: dict[int, Masked] = {
            i: one.masked(values[i], {j: sealed[j][i] for j in values if j != i})
            for i, one in self.clients.items()
            if i not in gone
        }

    def total(self, answering: Collection[int] | None = None) -> Numbers:
        told = [self.clients[i].reveal(self.masked) for i in (answering or self.masked)]
        shares = {owner: [each[owner] for each in told] for owner in self.keys}
        return unmasked(self.masked, self.keys, shares, self.threshold)


def numbers(size: int = 400) -> dict[int, Numbers]:
    return {i: np.random.default_rng(i).normal(0, 100, size) for i in CLIENTS}


def on_grid(values: dict[int, Numbers], which: Collection[int]) -> Numbers:
    """The sum in whole steps, rounded once, at its end: floats would round it at every addition."""
    steps = np.sum([np.rint(values[i] / STEP).astype(np.int64) for i in which], axis=0)
    return steps.astype(np.float64) * STEP


def test_the_sum_is_exact_and_masks_cancel() -> None:
    values = numbers()
    total = Sum(values, 3).total()
    assert (total == on_grid(values, CLIENTS)).all()
    assert np.abs(total - sum(values.values())).max() <= len(values) * STEP / 2


def test_what_the_server_receives_of_a_client_is_not_its_update_and_looks_random() -> None:
    values = {i: np.full(4000, 1.5) for i in CLIENTS}
    first, second = Sum(values, 3), Sum(values, 3)
    bare = to_fixed(values[1], 5)
    for i, received in first.masked.items():
        assert not (received == bare).any()
        assert not (received == second.masked[i]).any()  # another mask for each sum
        bits = np.unpackbits(received.view(np.uint8))
        assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(bits.size)
    # Not even all others' masked numbers take one client's masks away.
    assert not (np.sum(list(first.masked.values()), axis=0, dtype=np.uint64) == 5 * bare).any()


def test_clients_that_vanished_leave_the_sum_of_the_others() -> None:
    values = numbers()
    held = Sum(values, 3, gone=[2, 5])
    assert (held.total() == on_grid(values, [1, 3, 4])).all()


def test_who_vanishes_after_its_numbers_came_is_in_the_sum() -> None:
    values = numbers()
    assert (Sum(values, 3).total(answering=[1, 2, 4]) == on_grid(values, CLIENTS)).all()


def test_too_few_shares_unmask_nothing() -> None:
    with pytest.raises(Refusal, match="3 shares are expected, 2 were revealed"):
        Sum(numbers(), 3).total(answering=[1, 2])


def test_a_client_reveals_once_and_for_enough() -> None:
    held = Sum(numbers(), 3)
    with pytest.raises(Refusal, match="asked for 2"):
        held.clients[1].reveal([1, 2])
    held.clients[1].reveal([1, 2, 3])
    with pytest.raises(Refusal, match="once"):  # else 4 and 5 could be read: present now, absent before
        held.clients[1].reveal(CLIENTS)


def test_a_threshold_that_two_halves_reach_and_forged_keys_are_refused() -> None:
    clients = {i: Participant(i) for i in CLIENTS}
    keys = {i: one.public() for i, one in clients.items()}
    with pytest.raises(Refusal, match="above half of 5"):
        clients[1].share(keys, 2)
    with pytest.raises(Refusal, match="own keys"):
        clients[1].share({**keys, 1: keys[2]}, 3)


@pytest.mark.parametrize("strange", [np.nan, np.inf, 2.0**39])
def test_numbers_that_cannot_be_added_do_not_leave_the_client(strange: float) -> None:
    with pytest.raises(Refusal, match=r"expected|not finite"):
        to_fixed(np.array([0.0, strange]), 5)


@settings(max_examples=15, deadline=None)
@example([0.0, 0.0, 429496729.962793], {1})  # more steps than a float's 53 bits tell apart
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3), st.sets(st.sampled_from([1, 2, 3, 4]), max_size=1)
)
def test_any_numbers_add_up_whoever_vanishes(row: list[float], gone: set[int]) -> None:
    values = {i: np.array(row) * i for i in (1, 2, 3, 4)}
    present = [i for i in values if i not in gone]
    assert (Sum(values, 3, gone).total() == on_grid(values, present)).all()

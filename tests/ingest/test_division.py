"""Rows keep their side whatever else the data holds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.division import held_out_rows, validation_rows

FIXED = [0, 4, 6, 7, 8, 10, 13, 14, 15, 21, 22, 29, 33, 36]  # of the first 40 units, at a share of 0.25
UNITS = [f"unit {number}" for number in range(20_000)]


def test_share_is_kept_within_four_standard_errors() -> None:
    for share in (0.1, 0.25, 0.5):
        bound = 4 * np.sqrt(share * (1 - share) / len(UNITS))
        assert abs(held_out_rows(UNITS, share).mean() - share) < bound


def test_sides_are_fixed_for_ever() -> None:
    # Written down once: if this changes, old test rows would end up in training.
    assert np.flatnonzero(held_out_rows(UNITS[:40], 0.25)).tolist() == FIXED


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=50), st.lists(st.text(), max_size=50), st.floats(0.05, 0.95))
def test_other_rows_move_nobody(units: list[str], later: list[str], share: float) -> None:
    assert (
        held_out_rows([*later, *units], share)[len(later) :].tolist() == held_out_rows(units, share).tolist()
    )


def test_a_larger_share_only_adds() -> None:
    assert not (held_out_rows(UNITS, 0.2) & ~held_out_rows(UNITS, 0.3)).any()


def test_duplicates_fall_on_one_side() -> None:
    twice = validation_rows([unit for unit in UNITS for _ in range(2)], 0.15, seed=3).reshape(-1, 2)
    assert (twice[:, 0] == twice[:, 1]).all()


def test_validation_depends_on_the_seed_and_not_on_the_test_division() -> None:
    first, second = (validation_rows(UNITS, 0.5, seed=seed) for seed in (0, 1))
    tested = held_out_rows(UNITS, 0.5)
    for one, other in ((first, second), (first, tested)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05

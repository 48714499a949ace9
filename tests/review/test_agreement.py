"""Kappa against published figures and another library; overrides and automation bias by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from tasks.review.agreement import accepted_wrong, agreement, overrides
from tasks.review.records import Case

# SAS/STAT User's Guide, the FREQ procedure, "Agreement Study": two dermatologists rate 88 persons' skin as
# terrible, poor, marginal or clear; kappa 0.3449, standard error 0.0724, 95% limits 0.2030 and 0.4868.
SKIN = np.array([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]])


def raters(table: np.ndarray) -> tuple[list[str], list[str]]:
    cells = [
        (str(i), str(j)) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)
    ]
    return [first for first, _ in cells], [second for _, second in cells]


def case(number: int, shown: str, prediction: str = "yes") -> Case:
    why = "random" if shown == prediction else "wrong on purpose"
    return Case(number=number, row_id=number, row_digest="", why=why, prediction=prediction, shown=shown)


def test_kappa_and_its_limits_are_the_published_ones() -> None:
    found = agreement(*raters(SKIN), ["0", "1", "2", "3"])
    assert (found.n, found.agreed) == (88, 45)
    assert found.kappa == pytest.approx(0.3449, abs=5e-5)
    assert (found.low, found.high) == (pytest.approx(0.2030, abs=5e-5), pytest.approx(0.4868, abs=5e-5))


@pytest.mark.parametrize("table", [SKIN, [[20, 5], [10, 15]], [[1, 9], [9, 1]], [[3, 0], [1, 40]]])
def test_kappa_and_its_error_are_those_of_statsmodels(table: object) -> None:
    counts = np.array(table)
    classes = [str(i) for i in range(len(counts))]
    found, theirs = agreement(*raters(counts), classes), cohens_kappa(counts)
    assert found.kappa == pytest.approx(theirs.kappa)
    assert found.low == pytest.approx(max(-1, theirs.kappa_low))
    assert found.high == pytest.approx(min(1, theirs.kappa_upp))


def test_one_class_throughout_is_no_agreement() -> None:
    found = agreement(["yes"] * 9, ["yes"] * 9, ["no", "yes"])
    assert (found.agreed, found.kappa, found.low) == (9, None, None)
    assert agreement([], [], ["no", "yes"]).kappa is None


def test_a_class_that_nobody_gave_changes_nothing() -> None:
    first, second = raters(np.array([[20, 5], [10, 15]]))
    assert agreement(first, second, ["0", "1", "2"]) == agreement(first, second, ["0", "1"])


def test_overrides_are_counted_by_group_on_the_models_own_decisions() -> None:
    cases = [case(1, "yes"), case(2, "yes"), case(3, "yes"), case(4, "no")]
    groups = pl.DataFrame({"sex": ["F", "F", "M", "M"]})
    found = list(overrides("ada", {1: "no", 2: "yes", 3: "no", 4: "yes"}, cases, groups))
    assert [(one.attribute, one.group, one.events, one.n) for one in found] == [
        ("", "", 2, 3),
        ("sex", "F", 1, 2),
        ("sex", "M", 1, 1),
    ]
    # Clopper and Pearson, 1 of 2: 0.0126 to 0.9874.
    assert (found[1].low, found[1].high) == (pytest.approx(0.0126, abs=1e-4), pytest.approx(0.9874, abs=1e-4))


def test_accepted_wrong_recommendations_are_automation_bias() -> None:
    cases = [case(1, "yes"), *(case(number, "no") for number in range(2, 10))]
    found = accepted_wrong("ada", dict.fromkeys(range(1, 10), "no"), cases)
    assert (found.events, found.n, found.rate) == (8, 8, 1.0)
    # Clopper and Pearson, 8 of 8: (0.025)^(1/8) = 0.6306.
    assert (found.low, found.high) == (pytest.approx(0.025 ** (1 / 8)), 1.0)
    assert accepted_wrong("ada", dict.fromkeys(range(1, 10), "yes"), cases).events == 0

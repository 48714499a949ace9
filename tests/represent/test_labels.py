"""Bias of the labels before training, against published tables and the definitions."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tasks.fairness import Cube
from tasks.represent.labels import label_bias
from tasks.represent.records import LabelBias

# Graduate admissions at Berkeley, autumn 1973, the six largest departments: admitted and rejected men, then
# women (Bickel, Hammel and O'Connell 1975, Science 187:398; R's data set UCBAdmissions).
BERKELEY = {
    "A": ((512, 313), (89, 19)),
    "B": ((353, 207), (17, 8)),
    "C": ((120, 205), (202, 391)),
    "D": ((138, 279), (131, 244)),
    "E": ((53, 138), (94, 299)),
    "F": ((22, 351), (24, 317)),
}


def cube(rows: dict[tuple[str, ...], int], attributes: tuple[str, ...], positive: str | None = "yes") -> Cube:
    """Cells are (level of each attribute ..., label) -> rows."""
    cells = [cell for cell, n in rows.items() for _ in range(n)]
    columns = list(zip(*cells, strict=True))
    groups = {name: np.array(column) for name, column in zip(attributes, columns, strict=False)}
    labels = {} if positive is None else {"labels": ["no", "yes"], "positive": positive}
    return Cube.from_labels(np.array(columns[-1]), groups, **labels)


def of(found: tuple[LabelBias, ...], attribute: str, group: str) -> LabelBias:
    return next(one for one in found if (one.attribute, one.group) == (attribute, group))


def test_berkeley_is_biased_as_a_whole_and_not_by_department() -> None:
    rows = {
        (sex, department, label): n
        for department, table in BERKELEY.items()
        for sex, counts in zip(("men", "women"), table, strict=True)
        for label, n in zip(("yes", "no"), counts, strict=True)
    }
    women = of(label_bias(cube(rows, ("sex", "department"))), "sex", "women")
    # As published: 44.5% of 2,691 men and 30.4% of 1,835 women admitted; women are 46% of the rejected and
    # 32% of the admitted, SageMaker Clarify's own example of demographic disparity.
    assert women.n == 1835
    assert women.label_rate == pytest.approx(0.304, abs=5e-4)
    assert women.label_difference == pytest.approx(0.445 - 0.304, abs=1e-3)
    assert women.class_imbalance == pytest.approx((2691 - 1835) / 4526)
    assert women.demographic_disparity == pytest.approx(1278 / 2771 - 557 / 1755)
    assert women.demographic_disparity == pytest.approx(0.46 - 0.32, abs=0.005)
    # Within departments it all but vanishes (Simpson's paradox).
    by_hand = sum(
        (a + b + c + d) * (d / (b + d) - c / (a + c)) for (a, b), (c, d) in BERKELEY.values()
    ) / sum(a + b + c + d for (a, b), (c, d) in BERKELEY.values())
    assert women.conditional_disparity == {"department": pytest.approx(by_hand)}
    assert abs(by_hand) < 0.02


def test_the_distances_follow_their_definitions_for_three_classes() -> None:
    rows = {("d", "x"): 10, ("d", "y"): 30, ("d", "z"): 60, ("a", "x"): 50, ("a", "y"): 50, ("a", "z"): 100}
    one = of(label_bias(cube(rows, ("g",), positive=None)), "g", "d")
    a, d = np.array([0.25, 0.25, 0.5]), np.array([0.1, 0.3, 0.6])
    assert one.class_imbalance == pytest.approx(1 / 3)
    assert one.kl == pytest.approx(stats.entropy(a, d))
    assert one.js == pytest.approx(jensenshannon(a, d) ** 2)
    assert one.l2 == pytest.approx(np.linalg.norm(a - d))
    assert one.total_variation == pytest.approx(0.15)
    assert one.ks == pytest.approx(0.15)
    # Without a positive class there is nothing to be accepted to.
    assert (one.label_rate, one.label_difference, one.demographic_disparity) == (None, None, None)


def test_two_equal_groups_show_nothing_and_mirror_each_other() -> None:
    rows = {(g, label): n for g in ("a", "b") for label, n in (("yes", 20), ("no", 30))}
    for one in label_bias(cube(rows, ("g",))):
        figures = (one.class_imbalance, one.label_difference, one.kl, one.js, one.l2, one.ks)
        assert figures == pytest.approx((0,) * 6)
        assert one.demographic_disparity == pytest.approx(0)


def test_the_undefined_stays_undefined() -> None:
    rows = {("a", "u", "yes"): 5, ("a", "v", "no"): 5, ("b", "u", "no"): 5}
    a, b = label_bias(cube(rows, ("g", "h")))[:2]
    assert b.kl is None  # a has a label that b never has
    assert a.kl == pytest.approx(np.log(2))
    assert a.conditional_disparity["h"] == pytest.approx(-1)  # of u alone: v has no accepted row
    alone = label_bias(cube({("a", "yes"): 3, ("a", "no"): 4}, ("g",)))[0]
    assert (alone.label_difference, alone.js, alone.total_variation) == (None, None, None)
    accepted = label_bias(cube({("a", "yes"): 3, ("b", "yes"): 4}, ("g",)))[0]
    assert accepted.demographic_disparity is None

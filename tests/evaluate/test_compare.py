"""Two models on the same rows: changes worked by hand, those of the gate, coverage, and levelling down."""

from __future__ import annotations

from itertools import product
from math import sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from tasks.evaluate.changes import UNDEFINED, metric_change, rate_changes
from tasks.evaluate.compare import _amounts, compare_set, front
from tasks.evaluate.compared import Change, SetChange, Variant
from tasks.evaluate.flips import flip_change, framed
from tasks.evaluate.influence import freedom
from tasks.evaluate.joint import BEFORE, Joint, count_joint
from tasks.evaluate.paired import compare_right
from tasks.evaluate.records import Estimate
from tasks.fairness import Cube, judge
from tasks.fairness.metrics import RATES
from tasks.fairness.table import METRICS
from tasks.plan import load_plan
from tasks.plan.judgement import Judgement, Limit, TooSmall
from tasks.report.compare_table import lines_of

ADULT = load_plan("adult", Path(__file__).parents[2] / "data").judgement
GAPS = (
    "equalized_odds_difference",
    "demographic_parity_ratio",
    "accuracy_minimum",
    "differential_fairness_epsilon",
    "equalized_odds_mean",
    "f1_difference",
    "treatment_equality_difference",
    "macro_tpr_difference",
)


def table(cells: dict[tuple[str, str], tuple[int, int, int, int]]) -> pl.DataFrame:
    """Rows of (group, label) -> predicted positive by both, the first alone, the second alone, by none."""
    rows = [
        (group, label, before, after)
        for (group, label), counts in cells.items()
        for (before, after), count in zip(product("10", repeat=2), counts, strict=True)
        for _ in range(count)
    ]
    return pl.DataFrame(rows, schema=["sex", "label", "before", "after"], orient="row")


WORKED = table(
    {
        ("F", "1"): (60, 0, 10, 30),  # TPR 0.6 -> 0.7
        ("M", "1"): (170, 10, 10, 10),  # 0.9 -> 0.9
        ("F", "0"): (10, 0, 0, 90),
        ("M", "0"): (20, 0, 0, 180),
    }
)


def judgement_of(
    metrics: tuple[str, ...],
    classes: tuple[str, ...] = ("0", "1"),
    positive: str | None = None,
    unit: str | None = None,
) -> Judgement:
    """Adult's judgement with these limits by sex, and other classes."""
    label = ADULT.data.label.model_copy(
        update={"values": list(classes), "positive": "1" if len(classes) == 2 else positive}
    )
    return ADULT.model_copy(
        update={
            "data": ADULT.data.model_copy(update={"label": label}),
            "protected": {"sex": ADULT.protected["sex"]},
            "limits": [Limit(metric=name, attribute="sex", limit=0.5) for name in metrics],  # type: ignore[arg-type]
            "too_small": TooSmall(),
            "unit": unit,
        }
    )


def compared(rows: pl.DataFrame, judgement: Judgement) -> SetChange:
    """What changed, with the gate's own measurements beside it."""
    label: Any = judgement.data.label
    cubes = [
        Cube.from_arrays(
            rows["label"], rows[side], {"sex": rows["sex"]}, labels=label.values, positive=label.positive
        )
        for side in ("before", "after")
    ]
    judged = [judge(cube, judgement.limits) for cube in cubes]
    joint = count_joint(rows["before"], rows["after"], rows, judgement)
    return compare_set("test", joint, None, judgement, *judged)


def test_the_worked_table() -> None:
    """Of the four-fold tables above; the gap's interval is that of matched pairs by Agresti and Min."""
    found = compared(WORKED, judgement_of(("equal_opportunity_difference",)))
    groups = {(one.group, one.rate): one for one in found.groups}
    women, men = groups["F", "tpr"], groups["M", "tpr"]
    assert (women.n, women.gained, women.lost) == (100, 10, 0)
    assert (women.before, women.after, women.change) == (0.6, 0.7, 0.1)
    assert (men.n, men.gained, men.lost, men.change) == (200, 10, 10, 0.0)
    tango = compare_right(np.repeat([True, False], [70, 30]), np.repeat([True, False], [60, 40]), 0.1, 0.025)
    assert (women.low, women.high) == (tango.low, tango.high)
    assert (women.shown, men.shown) == ("rose", "not shown")
    assert groups["M", "fpr"].change == 0
    assert found.accuracy.change == pytest.approx(10 / 600)

    (gap,) = found.limits
    assert (gap.before, gap.after) == (pytest.approx(0.3), pytest.approx(0.2))
    shares = [(10.5 / 102, 0.5 / 102, 102), (10.5 / 202, 10.5 / 202, 202)]
    wide = norm.isf(0.0225) * sqrt(sum((p + q - (p - q) ** 2) / n for p, q, n in shares))
    assert (gap.low, gap.high) == (pytest.approx(-10 / 102 - wide), pytest.approx(-10 / 102 + wide))
    assert gap.levelling_down is False


def drawn_rows(seed: int, classes: tuple[str, ...], rows: int = 500) -> pl.DataFrame:
    """Two models that are right more often than not, of three groups."""
    rng = np.random.default_rng(seed)
    label = rng.choice(classes, rows)
    told = [np.where(rng.random(rows) < right, label, rng.choice(classes, rows)) for right in (0.6, 0.7)]
    sex = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    return pl.DataFrame({"sex": sex, "label": label, "before": told[0], "after": told[1]})


@pytest.mark.parametrize("classes", [("0", "1"), ("a", "b", "c")])
def test_every_metric_is_the_gates_own(classes: tuple[str, ...]) -> None:
    """As measured by the gate on each model's cube; the interval holds the change."""
    wanted = GAPS if len(classes) == 2 else ("macro_tpr_difference", "tpr_difference", "accuracy_difference")
    rows = drawn_rows(3, classes)
    label: Any = judgement_of(wanted, classes).data.label
    found = compared(rows, judgement_of(wanted, classes))
    for side in ("before", "after"):
        cube = Cube.from_arrays(
            rows["label"], rows[side], {"sex": rows["sex"]}, labels=classes, positive=label.positive
        )
        for one, judged in zip(found.limits, judge(cube, judgement_of(wanted).limits), strict=True):
            assert getattr(one, side) == pytest.approx(judged.measurement), (one.metric, side)
    for one in found.limits:
        assert one.change is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.change <= one.high
        assert one.high - one.low < 4, one.metric


def test_what_the_gate_finds_undefined_has_no_change() -> None:
    """Class 2 is predicted for nobody: its selection rates have no ratio, though others' have."""
    rows = pl.DataFrame(
        {
            "sex": list("FFFFFFM"),
            "label": list("0101011"),
            "before": list("0100110"),
            "after": list("1100110"),
        }
    )
    metrics = ("demographic_parity_ratio", "treatment_equality_ratio")
    for one in compared(rows, judgement_of(metrics, ("0", "1", "2"))).limits:
        assert (one.before, one.after, one.change, one.low, one.levelling_down) == (None,) * 5


@pytest.mark.parametrize(
    ("metric", "unit"), [("auc_difference", None), ("differential_fairness_epsilon", "age")]
)
def test_what_the_joint_table_does_not_hold_has_no_interval(metric: str, unit: str | None) -> None:
    """Scores, and the effective sizes at which the gate adds half a row: its own numbers stand there."""
    judged = [SimpleNamespace(on="test", metric=metric, attribute="sex", measurement=m) for m in (0.2, 0.1)]
    judgement = judgement_of((metric,), unit=unit)
    rows = WORKED.with_columns(unit=pl.int_range(WORKED.height) // 2)
    joint = count_joint(rows["before"], rows["after"], rows, judgement)
    found = compare_set("test", joint, None, judgement, judged[:1], judged[1:])  # type: ignore[arg-type]
    (limit,) = found.limits
    assert (limit.before, limit.after, limit.low, limit.high) == (0.2, 0.1, None, None)
    assert limit.change == pytest.approx(-0.1)


CLEAR, HALF, CLOSED = (
    [(0.1, 0.7), (0.05, 0.5)],
    [(0.09, 0.66), (0.06, 0.56)],
    [(0.08, 0.6), (0.08, 0.6)],
)
"""FPR and TPR of each group: equalized odds difference 0.2, 0.1 and 0."""


def drawn(rng: np.random.Generator, rows: list[int], before: Any, after: Any) -> Joint:
    """Joint counts of two models whose predictions agree more than by chance; 35% are positive."""
    counts = np.zeros((len(rows), 2, 2, 2), int)
    for g, n in enumerate(rows):
        for y, of_class in enumerate(rng.multinomial(n, [0.65, 0.35])):
            p, q = before[g][y], after[g][y]
            shared = 0.6 * min(p * (1 - q), q * (1 - p))
            cells = [(1 - p) * (1 - q) + shared, (1 - p) * q - shared, p * (1 - q) - shared, p * q + shared]
            counts[g, y] = rng.multinomial(of_class, cells).reshape(2, 2)
    return Joint(tuple(map(str, range(len(rows)))), ("0", "1"), "1", counts)


@pytest.mark.parametrize(
    ("rows", "before", "after", "change"),
    [
        ([6000, 4000], CLEAR, HALF, -0.1),
        ([1200, 800], CLEAR, CLOSED, -0.2),
        ([300, 200], CLOSED, CLOSED, 0.0),
        ([2400, 2000, 1600, 1200], [*CLEAR, (0.08, 0.6), (0.06, 0.62)], [(0.08, 0.6)] * 4, -0.2),
    ],
)
def test_intervals_of_a_gap_hold_its_change(rows: list[int], before: Any, after: Any, change: float) -> None:
    """In 95% of 150 samples, less three standard errors; also where the gap is closed, its kink."""
    rng, metric = np.random.default_rng(7), METRICS["equalized_odds_difference"]
    everyone: Any = SimpleNamespace(
        positive="1", classes=("1",), labels=("0", "1"), judged=lambda *_: np.ones(len(rows), bool)
    )
    amounts, missed, shown = _amounts(metric, everyone), 0, 0
    for _ in range(150):
        found = metric_change(drawn(rng, rows, before, after), amounts, metric.scale)
        assert found.low is not None
        assert found.high is not None
        missed += not found.low <= change <= found.high
        shown += found.high < 0
    assert missed <= 7.5 + 3 * sqrt(150 * 0.05 * 0.95)
    assert shown >= 50 if change < 0 else shown <= 5, shown  # a fall is found, and none where there is none


def test_rows_of_one_unit_count_once() -> None:
    """Every row four times, as a unit: limits as wide as of the rows once, by Student's t."""
    once = drawn_rows(5, ("0", "1"), rows=400)
    four = pl.concat([once.with_columns(pl.int_range(400).alias("unit"))] * 4)
    metrics = ("equalized_odds_difference",)
    single = compared(once, judgement_of(metrics))
    cluster = compared(four, judgement_of(metrics, unit="age"))
    loose = compared(four, judgement_of(metrics))

    def width(found: SetChange) -> np.ndarray:
        changes: list[Change] = [found.accuracy, *found.limits, *found.groups]
        return np.array(
            [one.high - one.low for one in changes if one.high is not None and one.low is not None]
        )

    assert width(cluster) == pytest.approx(width(single), rel=0.12)
    assert np.median(width(single) / width(loose)) == pytest.approx(2, rel=0.1)
    assert [one.change for one in cluster.groups] == [one.change for one in single.groups]


def test_a_group_of_one_unit_has_no_interval() -> None:
    rows = WORKED.with_columns(unit=pl.col("sex"))
    found = compared(rows, judgement_of(("accuracy_difference",), unit="age"))
    assert all(one.low is None for one in (*found.limits, *found.groups))
    assert all(one.change is not None for one in (*found.limits, *found.groups))
    joint = Joint.of(count_joint(rows["before"], rows["after"], rows, judgement_of((), unit="age")), ("sex",))
    assert freedom(joint) == 0


def test_a_group_without_rows_in_a_denominator_is_undefined() -> None:
    rows = WORKED.filter((pl.col("sex") == "M") | (pl.col("label") == "0"))
    found = compared(rows, judgement_of(("equal_opportunity_difference",)))
    (limit,) = found.limits
    assert (limit.change, limit.low, limit.levelling_down) == (None, None, None)
    (women,) = (one for one in found.groups if (one.group, one.rate) == ("F", "tpr"))
    assert (women.n, women.before, women.change, women.shown) == (0, None, None, "not shown")


def test_the_front_keeps_what_no_other_beats() -> None:
    def variant(name: str, accuracy: float, gap: float) -> Variant:
        estimate = Estimate(name="accuracy", value=accuracy, low=0, high=1, n=9)
        judged: Any = SimpleNamespace(on="test", metric="tpr_difference", attribute="sex", measurement=gap)
        return Variant.model_construct(name=name, performance=(estimate,), judged=(judged,))

    found = [variant("none", 0.9, 0.2), variant("good", 0.89, 0.05), variant("beaten", 0.88, 0.06)]
    assert front([*found, variant("same", 0.89, 0.05)], "tpr_difference", "sex") == ("none", "good", "same")


def test_a_class_that_one_model_never_predicts_has_its_place() -> None:
    rows = WORKED.with_columns(before=pl.lit("0"))
    joint = Joint.of(count_joint(rows["before"], rows["after"], rows, judgement_of(())), ("sex",))
    assert joint.counts.shape == (2, 2, 2, 2)
    assert joint.counts[:, :, 1, :].sum() == 0
    ((change, counts), _) = rate_changes(joint, RATES["tpr"], "1")
    assert (change.before, change.after, counts) == (0.0, 0.7, (100, 70, 0))
    assert BEFORE not in judgement_of(()).protected


TEMPLATES = load_plan("hate-speech", Path(__file__).parents[2] / "data").judgement.sets["templates"]


def told_apart(rows: list[tuple[str, str, str, str]]) -> Change:
    """Of (frame, label, before, after)."""
    frame = pl.DataFrame(rows, schema=["unit", "label", "before", "after"], orient="row")
    frame = frame.with_columns(identity=pl.Series(["women", "men"] * len(frame))[: len(frame)])
    cube = count_joint(frame["before"], frame["after"], frame, TEMPLATES)
    return flip_change(Joint.of(cube, ("identity",)).whole())


def test_flips_are_pairs_of_one_frame_and_class() -> None:
    """By hand: 3 rows told 2 + 1 are 2 of 3 pairs; rows of another class or frame are no pair."""
    t, n = "toxic", "nontoxic"
    first = [("a", n, t, n), ("a", n, t, n), ("a", n, n, n)]  # 2/3 -> 0
    second = [("b", n, n, n), ("b", n, t, n), ("b", t, t, t)]  # 1/1 -> 0
    third = [("c", n, n, t), ("c", n, n, n)]  # 0 -> 1
    alone = [("d", n, t, n), ("d", t, n, t)]
    found = told_apart([*first, *second, *third, *alone])
    assert (found.before, found.after) == (pytest.approx(5 / 9), pytest.approx(1 / 3))
    moved = np.array([-2 / 3, -1, 1])
    wide = student.isf(0.025, 2) * moved.std(ddof=1) / sqrt(3)
    assert (found.change, found.low) == (pytest.approx(moved.mean()), pytest.approx(-1.0))
    assert found.high == pytest.approx(min(1, moved.mean() + wide))
    assert found.shown == "not shown"
    assert told_apart(alone) == UNDEFINED
    assert told_apart([*first, *alone]).low is None
    assert told_apart([(frame, n, *told) for frame in "ab" for told in ((t, t), (n, t))]).low is None  # alike


def test_flips_are_told_where_the_unit_is_a_frame() -> None:
    assert framed(TEMPLATES)
    assert not framed(TEMPLATES.model_copy(update={"unit": None}))
    assert not framed(ADULT)
    rows = [(f"s{i}", "nontoxic", "toxic" if i % 2 else "nontoxic", "nontoxic") for i in range(30)]
    fallen = told_apart([*rows, *((frame, label, "nontoxic", after) for frame, label, _, after in rows)])
    assert (fallen.before, fallen.after, fallen.shown) == (0.5, 0.0, "fell")
    changes = SetChange(on="templates", rows=60, accuracy=UNDEFINED, limits=(), groups=(), flips=fallen)
    variant = Variant(name="masking", mitigation=(), settings={}, recipe="", changes=(changes,))
    _, line = lines_of(variant)
    assert (line.what, line.value) == (
        "pairs told apart by the term alone, on templates (none: 0.5000)",
        "0.0000",
    )
    assert line.change.startswith("-0.5000 (-0.6")

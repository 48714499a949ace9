"""Steps after training: on validation rows, with the raking's weights, into the rule and the record."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.mitigate.after import ScoredRows, after_training
from tasks.model.rule import ClassRule
from tasks.plan.judgement import Judgement
from tasks.plan.mitigation import Calibration, Reweighing, Step, Thresholds

RULE = ClassRule(("yes", "no"), "yes", 0.5, (), 2)
ROWS = 4000


def judgement() -> Judgement:
    columns = {"sex": {"type": "category"}, "age": {"type": "integer"}, "x": {"type": "number"}}
    return Judgement.model_validate(
        {
            "data": {
                "kind": "tabular",
                "sources": [{"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}],
                "format": {"type": "csv", "null_values": ["?"]},
                "columns": columns,
                "label": {"column": "y", "values": ["yes", "no"], "positive": "yes"},
            },
            "protected": {"sex": {"column": "sex"}, "age_band": {"column": "age", "bins": [17, 40]}},
            "expectations": {"minimum_rows": {"train": 1}},
            "limits": [{"metric": "tpr_difference", "attribute": "sex", "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.5}],
        }
    )


@pytest.fixture(scope="module")
def rows() -> ScoredRows:
    """Scores that are too low for one group, whose base rate is lower too."""
    draw = np.random.default_rng(3)
    male = draw.random(ROWS) < 0.6
    truth = draw.random(ROWS) < np.where(male, 0.45, 0.25)
    odds = draw.normal(size=ROWS) + 2 * truth - 1.2 + np.where(male, 0.3, -0.8)
    positive = (1 / (1 + np.exp(-odds))).astype(np.float32)
    frame = pl.DataFrame(
        {
            "sex": np.where(male, "Male", "Female"),
            "age": draw.integers(17, 80, ROWS),
            "x": odds,
        }
    )
    scores = np.stack([positive, 1 - positive], axis=1)
    return ScoredRows(frame, scores, np.where(truth, 0, 1), np.ones(ROWS))


def steps(*wanted: dict[str, Any]) -> list[Step]:
    kinds: dict[str, type[Calibration | Thresholds]] = {"calibration": Calibration, "thresholds": Thresholds}
    first = Reweighing(kind="reweighing", attribute="sex", strength=1)
    return [first, *(kinds[one["kind"]].model_validate({"attribute": "sex", **one}) for one in wanted)]


ODDS = {"kind": "thresholds", "metric": "equalized_odds", "slack": 0.02}
CALIBRATION = {"kind": "calibration"}


def test_without_such_a_step_nothing_is_done(rows: ScoredRows) -> None:
    assert after_training(RULE, rows, steps(), judgement()) is None


def test_thresholds_close_the_gap_on_validation_rows_and_stand_in_the_record(rows: ScoredRows) -> None:
    after = after_training(RULE, rows, steps(ODDS), judgement())
    assert after is not None
    assert after.scores.tobytes() == rows.scores.tobytes()
    assert after.rule.by is not None
    # Counted by hand from the rule's own answers.
    chosen, truth = after.rule.decide(after.scores, after.groups) == 0, rows.labels == 0
    male = (rows.frame["sex"] == "Male").to_numpy()
    for one, group in zip(after.decision.groups, (~male, male), strict=True):
        assert one.rows == group.sum()
        assert one.tpr == pytest.approx(chosen[group & truth].mean())
        assert one.fpr == pytest.approx(chosen[group & ~truth].mean())
        assert one.selection_rate == pytest.approx(chosen[group].mean())
    female, men = after.decision.groups
    assert max(abs(female.tpr - men.tpr), abs(female.fpr - men.fpr)) <= 0.02
    plain = rows.scores[:, 0] >= 0.5
    assert abs(plain[male & truth].mean() - plain[~male & truth].mean()) > 0.2
    assert after.decision.accuracy == pytest.approx((chosen == truth).mean())
    assert after.decision.accuracy_before == pytest.approx((plain == truth).mean())
    low, high = female.threshold, men.threshold
    assert after.decision.sentence == (
        f"Decides by sex: thresholds {low:.2f} for Female, {high:.2f} for Male, 0.50 for any other "
        "(equalized odds)"
    )
    assert low < high
    assert (after.decision.columns, after.decision.metric, after.decision.slack) == (
        ("sex",), "equalized_odds", 0.02,
    )  # fmt: skip


def test_calibration_comes_first_and_thresholds_are_set_on_what_it_gives(rows: ScoredRows) -> None:
    after = after_training(RULE, rows, steps(CALIBRATION, ODDS), judgement())
    assert after is not None
    truth = rows.labels == 0
    for group in range(2):
        own = after.groups == group
        assert after.scores[own, 0].mean() == pytest.approx(truth[own].mean(), abs=0.01)
        assert abs(rows.scores[own, 0].mean() - truth[own].mean()) > 0.02
    female, men = after.decision.groups
    assert max(abs(female.tpr - men.tpr), abs(female.fpr - men.fpr)) <= 0.02
    assert female.slope != 1
    alone = after_training(RULE, rows, steps(CALIBRATION), judgement())
    assert alone is not None
    assert [one.threshold for one in alone.decision.groups] == [0.5, 0.5]
    assert (alone.decision.metric, alone.decision.slack) == ("", None)
    assert alone.scores.tobytes() == after.scores.tobytes()


def test_weights_count(rows: ScoredRows) -> None:
    """A row of weight 2 is two rows; the scale of the weights decides nothing."""
    twice = np.random.default_rng(1).integers(1, 3, ROWS)
    again = np.repeat(np.arange(ROWS), twice)
    doubled = ScoredRows(rows.frame[again], rows.scores[again], rows.labels[again], np.ones(len(again)))
    weighed = rows._replace(weights=0.37 * twice)
    one, other = (after_training(RULE, own, steps(ODDS), judgement()) for own in (doubled, weighed))
    assert one is not None
    assert other is not None
    # Weighted rates agree; quantiles of the rows, as candidates, are not weighted.
    for a, b in zip(one.decision.groups, other.decision.groups, strict=True):
        assert a.threshold == pytest.approx(b.threshold, abs=0.02)
    assert one.decision.accuracy == pytest.approx(other.decision.accuracy, abs=0.002)


def test_a_crossing_and_bands(rows: ScoredRows) -> None:
    wanted = {
        "kind": "thresholds",
        "metric": "demographic_parity",
        "attribute": "sex x age_band",
        "slack": 0.03,
    }
    after = after_training(RULE, rows, steps(wanted), judgement())
    assert after is not None
    levels = ["Female x 17-39", "Female x 40+", "Male x 17-39", "Male x 40+"]
    assert [one.level for one in after.decision.groups] == levels
    shares = [one.selection_rate for one in after.decision.groups]
    assert max(shares) - min(shares) <= 0.03 + 1e-12
    assert after.decision.columns == ("sex", "age")


METRICS = {
    "demographic_parity": "validation",
    "four_fifths": "validation",
    "equal_opportunity": "positive validation",
    "equalized_odds": "positive and negative validation",
}
"""Each metric, and the rows that its rates are taken of."""


def thresholds(metric: str) -> list[Step]:
    return steps({"kind": "thresholds", "metric": metric, "slack": 0.02})


def with_level(rows: ScoredRows, counts: tuple[int, int], level: str = "X") -> ScoredRows:
    """So many of the negative and positive rows moved to another level."""
    moved = np.concatenate([np.flatnonzero(rows.labels == 1 - y)[:n] for y, n in enumerate(counts)])
    own = rows.frame["sex"].to_numpy().copy()
    own[moved] = level
    return rows._replace(frame=rows.frame.with_columns(sex=own))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("few", [(1, 0), (49, 0), (0, 49)])
def test_a_level_of_a_few_rows_moves_nobody_and_is_named(
    rows: ScoredRows, metric: str, few: tuple[int, int]
) -> None:
    """With one row of a third level all were held to the rate of that row: .13 of accuracy lost."""
    alone = after_training(RULE, rows, thresholds(metric), judgement())
    after = after_training(RULE, with_level(rows, few), thresholds(metric), judgement())
    assert alone is not None
    assert after is not None
    *others, rare = after.decision.groups
    assert (rare.level, rare.rows, rare.threshold) == ("X", sum(few), 0.5)
    for one, before in zip(others, alone.decision.groups, strict=True):
        assert one.threshold == pytest.approx(before.threshold, abs=0.08)
    assert after.decision.accuracy == pytest.approx(alone.decision.accuracy, abs=0.01)
    least = {"validation": sum(few), "positive validation": few[1]}.get(METRICS[metric], 0)
    assert after.decision.notes == (
        f"The common threshold is kept by X ({least}): fewer than 50 {METRICS[metric]} rows",
    )
    assert not alone.decision.notes


@pytest.mark.parametrize(
    ("metric", "enough"),
    [
        ("demographic_parity", (50, 0)),
        ("four_fifths", (0, 50)),
        ("equal_opportunity", (0, 50)),
        ("equalized_odds", (50, 50)),
    ],
)
def test_a_level_of_fifty_rows_has_its_own_threshold(
    rows: ScoredRows, metric: str, enough: tuple[int, int]
) -> None:
    after = after_training(RULE, with_level(rows, enough), thresholds(metric), judgement())
    assert after is not None
    assert not after.decision.notes
    assert after.decision.groups[-1].threshold != 0.5


def test_notes_of_both_steps_stand_in_the_record(rows: ScoredRows) -> None:
    after = after_training(RULE, with_level(rows, (1, 0)), steps(CALIBRATION, ODDS), judgement())
    assert after is not None
    assert [note.partition(":")[0] for note in after.decision.notes] == [
        "X keeps the common fit",
        "The common threshold is kept by X (0)",
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_one_level_with_rows_enough_is_refused(rows: ScoredRows, metric: str) -> None:
    female = np.flatnonzero((rows.frame["sex"] == "Female").to_numpy())
    few = np.union1d(female[:49], np.flatnonzero((rows.frame["sex"] == "Male").to_numpy()))
    kept = ScoredRows(rows.frame[few], rows.scores[few], rows.labels[few], rows.weights[few])
    told = (
        rf"thresholds by sex: two levels of 50 {METRICS[metric]} rows or more .*, found Female \(\d+\), Male"
    )
    with pytest.raises(Refusal, match=f"{told}.*Raise recipe.split.validation, name an attribute"):
        after_training(RULE, kept, thresholds(metric), judgement())

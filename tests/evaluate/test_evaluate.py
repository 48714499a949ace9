"""The evaluation step: what it files, and what it refuses."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.errors import EvidenceError, Refusal
from tasks.evaluate.differences import changed_counts
from tasks.evaluate.evaluate import count_labels, count_predictions, evaluate, quantile_edges
from tasks.evaluate.predictions import read_predictions
from tasks.evidence.digest import digest_file
from tasks.fairness import Cube, Verdict, judge
from tasks.fairness.counts import read_counts
from tasks.fairness.regression_cube import RegressionCube
from tasks.fairness.regression_gate import judge_regression
from tasks.plan.judgement import Judgement

EDGES = (0.2, 0.5, 0.8)
SOURCE = {"name": "a.csv", "sha256": "0" * 64, "origins": ["file:a.csv"]}


def judgement(
    values: tuple[str, ...] = ("no", "yes"), positive: str | None = "yes", unit: str | None = None
) -> Judgement:
    category = {"type": "category"}
    return Judgement.model_validate(
        {
            "data": {
                "kind": "tabular",
                "sources": [SOURCE],
                "format": {"type": "csv"},
                "columns": {"sex": category, "race": category, "person": category},
                "label": {"column": "y", "values": list(values), "positive": positive},
            },
            "unit": unit,
            "protected": {"sex": {"column": "sex"}, "race": {"column": "race"}},
            "expectations": {"minimum_rows": {"train": 1}},
            "limits": [{"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.5}],
        }
    )


def part(n: int = 400) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(0)
    label = rng.choice(["no", "yes"], n)
    score = (0.6 * rng.random(n) + 0.4 * (label == "yes")).astype(np.float32)
    described = pl.DataFrame(
        {"sex": rng.choice(["F", "M"], n), "race": rng.choice(["A", "B", "unknown"], n), "label": label}
    )
    predictions = pl.DataFrame(
        {
            "row_id": np.arange(n),
            "row_digest": [f"{i:016x}" for i in range(n)],
            "score": score,
            "prediction": np.where(score >= 0.5, "yes", "no"),
        }
    )
    return predictions, described


def test_what_is_filed_reads_back_and_agrees(tmp_path: Path) -> None:
    predictions, described = part()
    done = evaluate(predictions, described, judgement(), EDGES, tmp_path)
    cube = Cube.from_json((tmp_path / done.cube.path).read_bytes())
    assert done.rows == cube.rows == 400
    assert set(cube.axes) == {"sex", "race"}
    assert cube.labels == ("no", "yes")
    assert cube.score_bins is not None
    assert cube.score_bins.edges == EDGES
    assert cube.score_bins.tables["race"].sum() == 400
    for ref in (done.cube, done.predictions):
        assert ref.sha256 == digest_file(tmp_path / ref.path)
    again = read_predictions(tmp_path / "predictions.csv", judgement())
    right = (again["prediction"] == described["label"]).mean()
    accuracy, macro_f1, auc = done.performance
    assert (accuracy.name, accuracy.value) == ("accuracy", pytest.approx(right))
    assert cube.rates()["accuracy"][0] == pytest.approx(right)
    assert macro_f1.name == "macro_f1"
    assert (auc.name, auc.low < auc.value < auc.high) == ("auc", True)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        evaluate(*part(), judgement(), EDGES, tmp_path / folder)
    for name in ("cube.json", "predictions.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_several_classes_have_no_auc(tmp_path: Path) -> None:
    predictions, described = part()
    done = evaluate(predictions, described, judgement(("maybe", "no", "yes"), None), EDGES, tmp_path)
    assert [estimate.name for estimate in done.performance] == ["accuracy", "macro_f1"]


def test_what_does_not_agree_is_refused_and_nothing_is_filed(tmp_path: Path) -> None:
    predictions, described = part()
    yes = pl.lit("yes")
    broken = [
        (predictions.head(399), described, EvidenceError, "found 399 for 400 rows"),
        (predictions, described.drop("race"), EvidenceError, "missing: .'race'"),
        (predictions.with_columns(prediction=pl.lit("perhaps")), described, EvidenceError, "found also"),
        (predictions.with_columns(score=pl.lit(2.0)), described, EvidenceError, "400 scores lie outside"),
        (predictions, described.with_columns(label=yes), Refusal, "rows of both"),
    ]
    for guesses, rows, kind, words in broken:
        with pytest.raises(kind, match=words):
            evaluate(guesses, rows, judgement(), EDGES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_units_of_the_plan_are_kept_and_make_a_verdict_harder(tmp_path: Path) -> None:
    """Forty persons of 50 alike rows each: as rows they would be 2,000, as persons they are 40."""
    person = np.repeat(np.arange(40), 50)
    label = np.where(person % 2, "yes", "no")
    described = pl.DataFrame(
        {"sex": np.where(person < 20, "F", "M"), "race": np.where(person % 3, "A", "B"), "label": label}
    ).with_columns(unit=pl.Series(person.astype(str)))
    predictions = part(2000)[0].with_columns(prediction=pl.Series(label))
    evaluate(predictions, described, judgement(unit="person"), EDGES, tmp_path)
    cube = Cube.from_json((tmp_path / "cube.json").read_bytes())
    assert cube.units is not None
    assert cube.units.size == 40
    limits = judgement().limits
    assert judge(cube, limits)[0].verdict is Verdict.INCONCLUSIVE
    rows = count_predictions(predictions, described, judgement(), EDGES)
    assert judge(rows, limits)[0].verdict is Verdict.PASS
    with pytest.raises(EvidenceError, match="columns label, sex, race, unit are expected"):
        count_predictions(predictions, described.drop("unit"), judgement(unit="person"), EDGES)
    holes = described.with_columns(unit=pl.when(pl.col("sex") == "F").then("unit"))
    with pytest.raises(EvidenceError, match="unit"):
        count_predictions(predictions, holes, judgement(unit="person"), EDGES)


def test_training_labels_count_without_predictions() -> None:
    _, described = part()
    cube = count_labels(described, judgement())
    assert cube.rows == 400
    assert cube.rates()["tpr"][0] == 1.0
    assert cube.rates()["selection_rate"][0] == pytest.approx((described["label"] == "yes").mean())


def test_edges_are_quantiles_each_once_and_the_tenths() -> None:
    scores = (np.arange(1, 1001) / 1001).tolist()
    edges = quantile_edges(scores, 8)
    tenths = [i / 10 for i in range(1, 10)]
    assert list(edges) == sorted({*edges, *tenths})
    quantiles = sorted(set(edges) - set(tenths))
    assert np.histogram(scores, [0, *quantiles, 1])[0].tolist() == pytest.approx([125] * 8, abs=1)
    assert quantile_edges([0.5] * 50) == tuple(tenths)


def of_numbers() -> Judgement:
    category = {"type": "category"}
    return Judgement.model_validate(
        {
            "data": {
                "kind": "tabular",
                "sources": [SOURCE],
                "format": {"type": "csv"},
                "columns": {"sex": category, "race": category},
                "label": {"column": "y", "type": "number", "minimum": 0, "maximum": 10},
            },
            "protected": {"sex": {"column": "sex"}, "race": {"column": "race"}},
            "expectations": {"minimum_rows": {"train": 1}},
            "limits": [{"metric": "mae_maximum", "attribute": "sex x race", "limit": 3}],
            "performance": [{"metric": "r2", "minimum": 0.5}],
        }
    )


def numbers(n: int = 400) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 11, n).astype(float)
    told = np.clip(label + rng.normal(0, 1, n), 0, 10).astype(np.float32)
    predictions = part(n)[0].select("row_id", "row_digest").with_columns(prediction=pl.Series(told))
    return predictions, part(n)[1].with_columns(label=pl.Series(label))


def test_numbers_are_filed_and_judged_from_their_cube(tmp_path: Path) -> None:
    predictions, described = numbers()
    done = evaluate(predictions, described, of_numbers(), (2.0, 5.0), tmp_path)
    cube = read_counts((tmp_path / done.cube.path).read_bytes())
    assert isinstance(cube, RegressionCube)
    assert set(cube.tables) == {"sex", "race", "sex x race"}
    assert done.rows == cube.rows == 400
    again = read_predictions(tmp_path / "predictions.csv", of_numbers())
    error = again["prediction"].cast(pl.Float64) - described["label"]
    r2, mae = done.performance
    assert (r2.name, mae.name) == ("r2", "mae")
    assert mae.value == pytest.approx(error.abs().mean())
    (judged,) = judge_regression(cube, of_numbers().limits)
    worst = described.with_columns(error=error.abs()).group_by("sex", "race").agg(pl.col("error").mean())
    assert judged.measurement == pytest.approx(worst["error"].max())
    assert changed_counts(cube, count_predictions(again, described, of_numbers(), (2.0, 5.0))) == []
    other = predictions.with_columns(pl.col("prediction").reverse())
    assert changed_counts(cube, count_predictions(other, described, of_numbers(), (2.0, 5.0)))


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    predictions, described = numbers()
    far = predictions.with_columns(prediction=pl.lit(11.0, pl.Float32))
    with pytest.raises(EvidenceError, match="y_pred: numbers from 0 to 10 are expected, 400 of 400"):
        evaluate(far, described, of_numbers(), (2.0,), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_training_numbers_count_by_bands_that_hold_every_row() -> None:
    cube = count_labels(numbers()[1], of_numbers())
    assert cube.rows == 400
    assert cube.labels[0].startswith("below ")
    assert len(cube.labels) <= 10
    constant = numbers()[1].with_columns(label=pl.lit(4.0))
    assert count_labels(constant, of_numbers()).rows == 400

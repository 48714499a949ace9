"""Figures: drawn from records alone, with the numbers of the records in them, the same bytes each time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from tasks.evaluate.curves import calibration_points, roc_points
from tasks.fairness.cube import Cube
from tasks.fairness.scores import ScoreBins
from tasks.fairness.verdict import GroupRate, Verdict, Verdicts
from tasks.report.curves import scores_by_group
from tasks.report.figures import draw_figures, group_rates, loss_curve, representation
from tasks.report.style import save
from tasks.represent.records import Represented
from tasks.train.records import Trained

from .conftest import limit, rate


def test_every_figure_of_a_whole_run(records: dict[str, Any], tmp_path: Path) -> None:
    drawn = draw_figures(records, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in drawn] == [
        "figures/representation.png",
        "figures/loss.png",
        "figures/rates-sex.png",
        "figures/rates-race.png",
        "figures/scores-race.png",
        "figures/scores-sex.png",
    ]
    for path in drawn:
        picture = imread(path)
        assert picture.shape[0] > 250
        assert picture.shape[1] > 600
        assert (picture[..., :3] < 0.9).any(axis=2).mean() > 0.005, f"{path.name} is blank"


def test_run_that_ended_early_has_what_its_records_allow(records: dict[str, Any], tmp_path: Path) -> None:
    early = {"data": records["data"], "representativeness": records["representativeness"]}
    assert [path.name for path in draw_figures(early, tmp_path)] == ["representation.png"]
    assert draw_figures({}, tmp_path) == []


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_same_records_same_bytes(trained: Trained, tmp_path: Path, suffix: str) -> None:
    first, second = (
        save(loss_curve(trained.history, trained.best_epoch), tmp_path / f"{n}.{suffix}").read_bytes()
        for n in (1, 2)
    )
    assert first == second
    assert len(first) > 5000


def test_rates_show_each_group_its_interval_and_the_limit(verdicts: Verdicts) -> None:
    figure = group_rates(verdicts.judged, "race")
    selection, precision = figure.axes
    texts = {text.get_text() for text in selection.texts}
    assert {"n=13,946", "n=135, not judged"} <= texts
    assert "undefined (n=0)" in {text.get_text() for text in precision.texts}
    assert selection.get_xlabel() == "demographic parity ratio ≥ 0.5: INCONCLUSIVE"
    (band,) = selection.patches
    # The highest judged rate is 0.25: with a ratio of 0.5 every group must lie above 0.125.
    assert band.get_extents().width > 0
    left, right = band.get_x(), band.get_x() + band.get_width()  # type: ignore[attr-defined]
    assert (left, right) == pytest.approx((0.125, 0.25))


def test_difference_band_starts_at_the_lowest_rate(verdicts: Verdicts) -> None:
    (band,) = group_rates(verdicts.judged, "sex").axes[0].patches
    left, right = band.get_x(), band.get_x() + band.get_width()  # type: ignore[attr-defined]
    assert (left, right) == pytest.approx((0.143, 0.143 + 0.14))


def test_nothing_of_a_share_lies_beyond_one() -> None:
    near = [rate("tpr", "Male", 0.97, 3256), rate("tpr", "Female", 0.995, 90)]
    low = [rate("selection_rate", "Male", 0.004, 900), rate("selection_rate", "Female", 0.02, 800)]
    judged = [
        limit("equal_opportunity_difference", "sex", Verdict.PASS, near),
        limit("demographic_parity_difference", "sex", Verdict.PASS, low),
    ]
    figure = group_rates(judged, "sex")
    for axes in figure.axes:
        (band,) = axes.patches
        assert 0 <= band.get_x() <= band.get_x() + band.get_width() <= 1  # type: ignore[attr-defined]
        left, right = axes.get_xlim()
        assert left > -0.01
        assert right < 1.01
    figure.draw_without_rendering()
    assert {"100%", "98%"} <= {tick.get_text() for tick in figure.axes[0].get_xticklabels()}
    assert not {"101%", "102%"} & {tick.get_text() for tick in figure.axes[0].get_xticklabels()}


def test_what_is_shown_of_a_predicted_number_is_no_rate() -> None:
    def mean(name: str, group: str, value: float) -> GroupRate:
        ends = {"low": value - 0.3, "high": value + 0.3}
        return GroupRate(rate_name=name, group=group, events=400, n=400, rate=value, **ends)

    errors = [mean("mae", "Female", 7.2), mean("mae", "Male", 7.5)]
    apart = [mean("parity", "Female", 0.4), mean("parity", "Male", 0.3)]
    judged = [
        limit("mae_difference", "sex", Verdict.PASS, errors, limit=1.0),
        limit("parity_maximum", "sex", Verdict.PASS, apart, limit=0.8),
    ]
    figure = group_rates(judged, "sex")
    figure.draw_without_rendering()
    said = figure.get_suptitle()
    assert said == "Predictions and errors by sex on the test part, with 95% intervals"
    assert group_rates(judged[1:], "sex").get_suptitle() == said
    shown = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes]
    assert not any("%" in text for text in shown[0])
    assert "50%" in shown[1] or "40%" in shown[1]


def test_representation_marks_what_is_outside_the_band(sample: Represented) -> None:
    (axes,) = representation(sample).axes
    points = {
        round(float(line.get_xdata()[0]), 3): line.get_color()  # type: ignore[index]
        for line in axes.lines
        if line.get_marker() in {"o", "s"}
    }
    women, black = 10771 / 32561 / 0.466, 3124 / 32561 / 0.106
    assert points[round(women, 3)] != points[round(black, 3)]
    assert next(tick.get_text() for tick in axes.get_yticklabels()) == "sex: Female  (n=10,771)"


def test_roc_and_calibration_by_hand() -> None:
    positives, negatives = np.array([1, 1, 8]), np.array([6, 3, 1])
    fpr, tpr = roc_points(positives, negatives)
    assert fpr.tolist() == pytest.approx([0, 0.1, 0.4, 1])
    assert tpr.tolist() == pytest.approx([0, 0.8, 0.9, 1])
    bins = ScoreBins((0.2, 0.6), {})
    scores, shares = calibration_points(bins, positives * 10, negatives * 10)
    assert scores.tolist() == pytest.approx([0.1, 0.4, 0.8])
    assert shares.tolist() == pytest.approx([1 / 7, 1 / 4, 8 / 9])
    assert len(calibration_points(bins, positives, np.array([0, 0, 0]))[0]) == 0, "too few rows to show"


def test_group_without_rows_of_a_class_is_named_not_drawn(cube: Cube) -> None:
    figure = scores_by_group(cube, "race")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(label.startswith("Other") and "too few" in label for label in labels)
    (white,) = [label for label in labels if label.startswith("White")]
    assert 0.8 < float(white.rpartition("≈ ")[2]) < 0.87

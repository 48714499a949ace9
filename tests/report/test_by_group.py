"""Results by class and group, and errors by group: right where they can be worked by hand, and shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from tasks.evaluate.records import Opened
from tasks.evidence.records import FileRef
from tasks.fairness.cube import Cube
from tasks.fairness.regression_cube import RegressionCube
from tasks.plan import load_plan
from tasks.report.by_group import ALL, MEASURES, by_class, by_error, markdown, tables
from tasks.report.figures import draw_figures
from tasks.report.front_page import front_page

ROOT = Path(__file__).parents[2]
LABELS = ["hate", "neither", "offensive"]


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth, group = rng.choice(LABELS, 2_000, p=[0.1, 0.2, 0.7]), rng.choice(["F", "M"], 2_000)
    wrong = rng.random(2_000) < np.where(group == "F", 0.3, 0.1)
    return truth, np.where(wrong, rng.choice(LABELS, 2_000), truth), group


@pytest.fixture
def classes(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Cube:
    truth, told, group = rows
    return Cube.from_arrays(truth, told, {"sex": group}, labels=LABELS)


@pytest.fixture
def numbers() -> RegressionCube:
    rng = np.random.default_rng(1)
    truth, group = rng.uniform(1, 99, 1_500), rng.choice(["F", "M"], 1_500)
    told = np.clip(truth + rng.normal(np.where(group == "F", 3, 0), 8), 1, 99)
    return RegressionCube.from_arrays(truth, told, {"sex": group}, ["sex"], [30.0, 60.0], (1, 99))


def test_results_by_class_are_scikit_learns(
    classes: Cube, rows: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    (found,) = by_class(classes)
    assert (found.groups, found.classes) == (("F", "M", ALL), tuple(LABELS))
    truth, told, group = rows
    for g, chosen in enumerate((group == "F", group == "M", group != "")):
        for m, score in enumerate((recall_score, precision_score, f1_score)):
            expected = score(truth[chosen], told[chosen], labels=LABELS, average=None)
            assert found.values[m, g] == pytest.approx(expected), MEASURES[m]
        assert found.rows[g].tolist() == [(truth[chosen] == label).sum() for label in LABELS]


def test_a_class_that_nobody_has_is_undefined_and_two_classes_need_no_table() -> None:
    labels = ["a", "b", "c"]
    (found,) = by_class(
        Cube.from_arrays(["a", "b", "a"], ["a", "b", "b"], {"g": ["x", "y", "x"]}, labels=labels)
    )
    assert np.isnan(found.values[:, :, 2]).all()
    few = Cube.from_arrays(["a", "b"], ["a", "b"], {"g": ["x", "y"]}, labels=labels)
    ((_, table),) = markdown(few)
    assert table[1] == [
        "x",
        "1.00 / 1.00 / 1.00 (n=1)",
        "none / none / none (n=0)",
        "none / none / none (n=0)",
    ]
    two = Cube.from_arrays([0, 1], [0, 1], {"g": ["x", "y"]})
    assert list(markdown(two)) == []


def test_classes_without_groups_have_one_row() -> None:
    counts = np.array([[3, 1, 0], [0, 4, 0], [1, 0, 1]], np.int64)
    (found,) = by_class(Cube({}, ("a", "b", "c"), None, counts))
    assert found.groups == (ALL,)
    assert found.values[0, 0] == pytest.approx([3 / 4, 1, 1 / 2])
    assert found.values[1, 0] == pytest.approx([3 / 4, 4 / 5, 1])


def test_errors_are_those_of_the_metrics(numbers: RegressionCube) -> None:
    table = numbers.tables["sex"]
    found, expected = by_error(table), table.metrics()
    for m, name in enumerate(("mean_prediction", "residual", "mae", "rmse")):
        assert found.values[m, :2] == pytest.approx(expected[name].to_list())
    assert found.groups == ("F", "M", ALL)
    assert found.rows.tolist() == [*expected["n"].to_list(), 1_500]
    assert found.values[1, 0] > found.values[1, 2] > found.values[1, 1]
    assert (found.half[1:3] > 0).all()
    assert np.isnan(found.half[[0, 3]]).all()


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_the_run_shows_them(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    counts: Any = request.getfixturevalue(kind)
    (tmp_path / "cube.json").write_bytes(counts.to_json())
    cube = FileRef.of(tmp_path / "cube.json", tmp_path)
    records = {"opening": Opened(rows=counts.rows, predictions=cube, cube=cube, performance=())}
    assert [path.name for path in draw_figures(records, tmp_path)] == ["groups-sex.png"]
    page = front_page(load_plan("adult", ROOT / "data"), records, tmp_path, tables(records, tmp_path))
    heading = {"classes": "Recall, precision and F1 by class and sex", "numbers": "Errors by sex"}[kind]
    lines = page.splitlines()
    start = lines.index(f"#### {heading}")
    table = [line for line in lines[start + 2 : start + 8] if line.startswith("|")]
    assert len(table) == 5  # the head, its line, two groups and all rows
    assert len({line.count("|") for line in table}) == 1
    assert table[-1].startswith(f"| {ALL} |")

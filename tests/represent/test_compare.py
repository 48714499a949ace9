"""The comparison as a whole: on Adult, and each rule broken once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tasks.fairness.verdict import Verdict
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.represent.compare import compare
from tasks.represent.raking import weights_for

ADULT = Path(__file__).parents[2] / "data" / "adult"
MARGINS = ["sex", "race", "age_band", "sex x race"]


def test_adult_after_raking_keeps_every_limit(
    described: pl.DataFrame, adult_plan: Callable[..., Plan]
) -> None:
    found = compare(described, adult_plan(raking={"margins": MARGINS}).judgement, ADULT)
    assert found.problems == ()
    assert found.raked is not None
    assert found.raked.worst_margin_error < 1e-7
    # As a separate loop over numpy tables gave them.
    assert found.raked.effective_share == pytest.approx(0.9094, abs=5e-5)
    assert found.raked.maximum_weight == pytest.approx(1.6060, abs=5e-5)
    women = next(r for r in found.ratios if (r.attribute, r.level) == ("sex", "Female"))
    assert women.n == 10_771
    assert women.ratio == pytest.approx(0.711, abs=5e-4)
    assert women.raked_share == pytest.approx(women.population_share)
    assert women.verdict is None


def test_adults_raw_ratio_is_a_warning_with_both_sides(
    described: pl.DataFrame, adult_plan: Callable[..., Plan]
) -> None:
    found = compare(described, adult_plan(raking={"margins": MARGINS}).judgement, ADULT)
    women = [warning for warning in found.warnings if warning.startswith("sex: Female")]
    assert len(women) == 1
    for part in (
        "33.1% of the rows",
        "46.5% of the population",
        "0.711",
        "[0.8, 1.25]",
        "46.5% after raking",
    ):
        assert part in women[0]
    assert not any(warning.startswith("age_band") for warning in found.warnings)  # all within the band


def test_adult_without_raking_is_refused_by_limits(
    described: pl.DataFrame, adult_plan: Callable[..., Plan]
) -> None:
    found = compare(described, adult_plan(ratio_limits=[0.8, 1.25]).judgement, ADULT)
    assert found.raked is None
    women = [problem for problem in found.problems if problem.startswith("sex: Female")]
    assert len(women) == 1
    sides = ("33.1% of the rows", "46.5% of the population", "ratio 0.711", "[0.8, 1.25]", "FAIL", "n=10771")
    for part in sides:
        assert part in women[0]
    verdicts = {(r.attribute, r.level): r.verdict for r in found.ratios}
    assert verdicts["sex", "Female"] is Verdict.FAIL
    assert verdicts["sex", "Male"] is Verdict.INCONCLUSIVE  # 1.252, not shown to be beyond 1.25
    assert verdicts["race", "White"] is Verdict.PASS
    assert sum(verdict is not Verdict.PASS for verdict in verdicts.values()) == len(found.problems)


def test_adults_weights_bring_every_margin_to_the_population(
    described: pl.DataFrame, adult_plan: Callable[..., Plan]
) -> None:
    found = compare(described, adult_plan(raking={"margins": MARGINS}).judgement, ADULT)
    assert found.raked is not None
    weights = weights_for(described, found.raked)
    assert weights.mean() == pytest.approx(1)
    for ratio in found.ratios:
        names = ratio.attribute.split(" x ")
        here = pl.concat_str(names, separator=" x ") == ratio.level
        rows = described.select(here).to_series().to_numpy()
        assert weights[rows].sum() / weights.sum() == pytest.approx(ratio.population_share, rel=0.01)


@pytest.mark.parametrize(
    ("raking", "message"),
    [
        ({"minimum_effective_share": 0.95}, "minimum_effective_share 0.95"),
        ({"maximum_weight": 1.5}, "maximum_weight 1.5"),
    ],
)
def test_adults_raking_is_refused_by_tighter_limits(
    described: pl.DataFrame, adult_plan: Callable[..., Plan], raking: dict[str, float], message: str
) -> None:
    found = compare(described, adult_plan(raking={"margins": MARGINS, **raking}).judgement, ADULT)
    assert [problem for problem in found.problems if message in problem]


def test_limits_and_raking_together_hold_both(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    frame = rows({("F", "north"): 3, ("F", "south"): 3, ("M", "north"): 2, ("M", "south"): 2})
    judgement = town(ratio_limits=[0.8, 1.25], raking={"margins": ["sex"]})
    found = compare(frame, judgement, tmp_path)
    assert found.warnings == ()
    # Ten rows with exactly the right shares show nothing yet: not shown is refused.
    assert len(found.problems) == 4
    assert all("is not shown to lie within" in problem for problem in found.problems)


def test_a_sample_that_fits_has_neither_problem_nor_warning(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    frame = rows({("F", "north"): 600, ("F", "south"): 600, ("M", "north"): 400, ("M", "south"): 400})
    for judgement in (town(), town(ratio_limits=[0.8, 1.25])):
        found = compare(frame, judgement, tmp_path)
        assert (found.problems, found.warnings) == ((), ())
        assert set(found.effects) == {"sex", "area"}


@pytest.mark.parametrize("requirement", [{}, {"ratio_limits": [0.1, 9]}])
def test_a_level_unknown_to_the_population_is_refused(
    town: Callable[..., Judgement],
    rows: Callable[..., pl.DataFrame],
    tmp_path: Path,
    requirement: dict[str, object],
) -> None:
    frame = rows({("F", "north"): 600, ("M", "south"): 400, ("unknown", "south"): 7})
    found = compare(frame, town(**requirement), tmp_path)
    assert any("7 rows are 'unknown'" in problem for problem in found.problems)
    assert found.raked is None or found.raked.cells == {}
    unknown = next(ratio for ratio in found.ratios if ratio.level == "unknown")
    assert (unknown.n, unknown.ratio) == (7, None)


def test_a_level_that_the_sample_lacks_is_refused(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    frame = rows({("F", "north"): 600, ("F", "south"): 400})
    raked = compare(frame, town(), tmp_path)
    assert any("40.000% of the population is 'M'" in problem for problem in raked.problems)
    limited = compare(frame, town(ratio_limits=[0.8, 1.25]), tmp_path)
    assert any(problem.startswith("sex: M is 0.00%") and "FAIL" in problem for problem in limited.problems)


def test_a_crossing_only_in_the_sample_is_refused(
    town: Callable[..., Judgement], rows: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    reference = "sex,area,count\nF,north,30\nF,south,30\nM,north,20\n"
    judgement = town(reference, attributes=["sex", "area", "sex x area"])
    frame = rows({("F", "north"): 60, ("F", "south"): 60, ("M", "north"): 40, ("M", "south"): 5})
    assert any(
        "5 rows are 'M x south'" in problem for problem in compare(frame, judgement, tmp_path).problems
    )


def test_without_a_population_the_reader_is_told(town: Callable[..., Judgement], tmp_path: Path) -> None:
    judgement = town().model_copy(update={"population": None})
    found = compare(pl.DataFrame(), judgement, tmp_path)
    assert found.problems == ()
    assert "was not judged" in found.warnings[0]


def test_the_comparison_needs_the_base_install_alone() -> None:
    heavy = ("evidently", "prefect", "pandas", "mlflow", "dvc", "great_expectations", "torch", "sklearn")
    code = f"import sys, tasks.represent.compare; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

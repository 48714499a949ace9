"""The page and the figure of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tasks.evaluate.compare import compare_set, front
from tasks.evaluate.compared import Comparison, Variant
from tasks.evaluate.joint import count_joint
from tasks.evaluate.records import Estimate
from tasks.fairness import Cube, judge
from tasks.fairness.allowance import Allowance
from tasks.report.compare import write_page
from tasks.report.compare_figure import draw
from tests.evaluate.test_compare import drawn_rows, judgement_of


def comparison(rows: pl.DataFrame, metrics: tuple[str, ...], classes: tuple[str, ...]) -> Comparison:
    """`none`, which predicts the column `before`, and `other`, which predicts `after`."""
    judgement = judgement_of(metrics, classes)
    label: Any = judgement.data.label
    cubes = [
        Cube.from_arrays(
            rows["label"], rows[side], {"sex": rows["sex"]}, labels=classes, positive=label.positive
        )
        for side in ("before", "after")
    ]
    before, after = (judge(cube, judgement.limits) for cube in cubes)
    joint = count_joint(rows["before"], rows["after"], rows, judgement)
    shared: dict[str, Any] = {
        "mitigation": (),
        "settings": {},
        "recipe": "",
        "allowance": Allowance(alpha=0.01, number=2, max_judgements=5, rows=len(rows)),
        "performance": (Estimate(name="accuracy", value=0.6, low=0.5, high=0.7, n=len(rows)),),
    }
    changes = (compare_set("test", joint, None, judgement, before, after),)
    variants = (
        Variant(name="none", judged=tuple(before), **shared),
        Variant(name="other", judged=tuple(after), changes=changes, **shared),
    )
    fronts = {f"{metric} by sex": front(variants, metric, "sex") for metric in metrics}
    known = {"plan": "tiny", "judgement": "", "data": "", "code": "", "seed": 1, "test_rows": len(rows)}
    return Comparison(**known, variants=variants, fronts=fronts)


def test_the_page_has_every_groups_rates_of_every_class(tmp_path: Path) -> None:
    found = comparison(drawn_rows(3, ("a", "b", "c")), ("macro_tpr_difference",), ("a", "b", "c"))
    write_page(found, "<svg></svg>", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    (change,) = found.variants[1].changes
    for one in change.groups:
        assert f"{one.change:+.4f} ({one.low:+.4f} to {one.high:+.4f})" in page, (one.group, one.rate)
    assert page.count(", class ") == 9


def test_a_variant_whose_gap_is_undefined_in_the_first_panel_is_named_in_the_legend() -> None:
    """Selecting nobody has no ratio of selection rates; its difference is 0."""
    rows = drawn_rows(3, ("0", "1")).with_columns(after=pl.lit("0"))
    drawn = draw(comparison(rows, ("demographic_parity_ratio", "demographic_parity_difference"), ("0", "1")))
    (legend,) = drawn.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert sorted(named) == ["Pareto front (filled)", "none", "other", "the plan's limit"]

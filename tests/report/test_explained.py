"""What is shown of explanations: the record's own numbers, and an unreliable one as such."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.explain.records import (
    Carried,
    Check,
    Counterfactuals,
    Curves,
    Explained,
    Explanation,
    GroupWeight,
    Recourse,
    Single,
    Skipped,
    Weight,
)
from tasks.report.explained import explained_figures
from tasks.report.explained_page import explained_lines


def explanation(error: float, **own: Any) -> Explanation:
    return Explanation.checked(
        [
            Check.of("completeness", error, "at most", 0.05, ""),
            Check.of("stability", 0.9, "at least", 0.7, ""),
        ],
        part="output",
        method="SHAP",
        of="probability",
        rows=40,
        evaluations=10,
        weights=(
            Weight(feature="hours", value=0.3, low=0.2, high=0.4),
            Weight(feature="age", value=0.1, low=0, high=0.2),
        ),
        curves=Curves(kept=(0, 0.5, 1), deletion=(0, 0.1, 1), insertion=(0, 0.9, 1), random=(0, 0.5, 1)),
        singles=(Single(row_id=7, output=0.2, base=-0.1, weights={"hours": 0.3, "age": -0.0}),),
        groups=tuple(
            GroupWeight(
                attribute="sex",
                group=group,
                feature=feature,
                n=20,
                value=0.2,
                difference=0.1,
                low=0.05,
                high=0.15,
                differs=feature == "hours",
            )
            for group in ("F", "M")
            for feature in ("hours", "age")
        ),
        carried=(
            Carried(
                attribute="sex", own=0.0, proxies={"hours": 0.75}, information={"hours": 0.2}, weighted=0.15
            ),
        ),
        **own,
    )


def of(*explanations: Explanation, **own: Any) -> Explained:
    return Explained(rows_of="validation rows", allowed=100, spent=10, explanations=explanations, **own)


def test_figures_are_drawn_from_the_record() -> None:
    figures = explained_figures(of(explanation(0.01)))
    assert set(figures) == {"explained-shap", "explained-shap-by-sex", "explained-decisions"}
    bars = figures["explained-shap"].axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.3, 0.1]  # type: ignore[attr-defined]
    assert figures["explained-shap"].get_suptitle() == "SHAP: every check holds, 2 of them"


def test_an_unreliable_explanation_says_so_on_every_figure_and_gives_no_number_on_the_page() -> None:
    unsafe = of(explanation(0.4))
    for figure in explained_figures(unsafe).values():
        assert "NOT RELIABLE, fails completeness" in figure.get_suptitle()
    lines = explained_lines(unsafe)
    assert "not reliable, it fails completeness; nothing is to be concluded from it" in lines[0]
    assert "0.3" not in lines[0]
    assert not any("hours" in line for line in lines)


def test_the_page_says_what_carries_for_whom_and_how_it_was_checked() -> None:
    told = Counterfactuals(
        found=(),
        asked=30,
        immutable=("sex",),
        evaluations=5,
        checks=(Check.of("confirmed", 1.0, "at least", 1.0, ""),),
        reliable=True,
        by_group=(Recourse(attribute="sex", group="F", asked=10, turned=4, changes=1.5),),
    )
    page = explained_lines(
        of(explanation(0.01), counterfactuals=told, skipped=(Skipped(part="LIME", because="x"),))
    )
    assert page[0].startswith(
        "SHAP of the output (probability, 40 rows): hours 0.3000, age 0.1000. Checked: "
    )
    assert "hours for sex F +0.1000 (0.0500 to 0.1500)" in page[1]
    assert page[2].startswith(
        "Of all attribution 0.0% is on what says sex itself; weighed by what each column"
    )
    assert "sex F 4 of 10, 1.5 changes" in page[3]
    assert page[4] == "Not made: LIME (x)."


@pytest.mark.parametrize("record", [None, Explained(skipped=(Skipped(part="all", because="not asked for"),))])
def test_nothing_is_drawn_of_nothing(record: Explained | None) -> None:
    assert explained_lines(record) == ([] if record is None else ["Not made: all (not asked for)."])
    assert explained_figures(record or Explained()) == {}

"""The page docs/metrics.md, written from the metric table so that it can't say anything else.

``python -m tasks.fairness.metrics_page`` writes it; a test holds it equal to the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tasks.fairness.table import EVERY, Method, Metric

PAGE = Path("docs/metrics.md")

METHODS: Mapping[Method, str] = {
    "exact": "closed-form limits of a share (MOVER with Clopper-Pearson limits) propose, the exact "
    "unconditional test confirms",
    "linear": "limits of sums of shares: MOVER where the shares have no row in common, else each at its "
    "part of the level",
    "DeLong": "DeLong's variance, on the logit, widened by what the bins hide",
    "normal": "normal limits from the score's histograms, widened by what the bins hide",
    "betting": "limits of a mean within a known range, at every size (Waudby-Smith and Ramdas 2024); "
    "a pair takes each at half of the level",
    "Massart": "the distance of a sample's distribution from the true one, at every size (Massart 1990)",
    "bootstrap": "replicates drawn from the cube of each pair of groups, with a seed from its counts",
}


class Beside(NamedTuple):
    """A metric that no plan limits: it compares persons, not groups."""

    name: str
    formula: str
    undefined: str
    method: str
    source: str


INDIVIDUAL = (
    Beside(
        "`consistency`",
        "1 - mean over rows of |y - mean y of its k nearest other rows|",
        "refused with fewer than k + 1 rows",
        "from the rows, by a k-d tree; a measurement without an interval",
        "Zemel et al. 2013",
    ),
    Beside(
        "`generalized_entropy` (0, 1 Theil, 2)",
        "inequality of b = prediction - truth + 1 over rows: mean((b/m)^a - 1) / (a (a - 1)), m = mean b",
        "no rows, nobody benefits, or order 0 with a false negative",
        "from the cube; a measurement without an interval",
        "Speicher et al. 2018",
    ),
    Beside(
        "`flip_rate`",
        "share of rows whose prediction changes when only the protected attribute does",
        "no row has a counterpart",
        "from two predictions of the rows; Clopper-Pearson interval",
        "Kusner et al. 2017; Garg et al. 2019",
    ),
)
COUNTED = """\
# Metrics

Written by `python -m tasks.fairness.metrics_page` from the metric table (`tasks/fairness/table.py`).

`tp`, `fp`, `fn`, `tn` are a group's rows by true and predicted class, the positive class against the rest;
with several classes and no positive one, each class is held against the rest and the worst counts. A plan
limits a metric by its name. Of a predicted number, `f` is the prediction and `y` the true number, and limits
on means and errors are in its unit. A `difference` or `maximum` must lie below its limit, a `ratio` or
`minimum` above. A metric that is undefined is never 0 and never a pass.
"""


def metrics_page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield COUNTED
    yield "## Between groups\n"
    names = ("metric", "of each group", "over groups", "better", "undefined when", "method", "source")
    yield from _table(names, (_row(metric) for metric in EVERY.values()))
    yield "\n## Methods\n"
    yield "How a method keeps its level is stated in [evidence_format.md](evidence_format.md).\n"
    yield from _table(("method", "limits"), ((name, METHODS[name]) for name in get_args(Method)))
    yield "\n## Between persons\n"
    yield "These stand beside the table (`tasks/fairness/individual.py`): no plan limits them.\n"
    yield from _table(("metric", "formula", "undefined when", "method", "source"), INDIVIDUAL)


def _row(metric: Metric[Any]) -> tuple[str, ...]:
    return (
        f"`{metric.name}`",
        metric.formula,
        metric.aggregation,
        metric.direction,
        metric.undefined,
        metric.method,
        metric.source,
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    PAGE.write_text(metrics_page(), encoding="utf-8")

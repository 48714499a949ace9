"""A comparison for a terminal, and line by line for a page: what was measured and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from tasks.evaluate.compared import Change, Comparison, Variant
from tasks.fairness.verdict import Verdict
from tasks.fairness.words import by, limit_of, number, words

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}
LEVELLING = "levelling down"


@dataclass(frozen=True)
class Line:
    """One number of a variant.

    Attributes:
        what: in words: "accuracy", "equalized odds difference by sex ≤ 0.05".
        value: as measured.
        change: against `none`, with its interval; "" of `none` itself.
        shown: whether the interval lies on one side of 0.
        verdict: of the limit; None of performance.
        levelling_down: whether the gap was closed by making a group worse.
    """

    what: str
    value: str
    change: str
    shown: str
    verdict: Verdict | None
    levelling_down: bool


def lines_of(variant: Variant) -> Iterator[Line]:
    """Accuracy on the test part, flips where texts have frames, then every limit of every set of rows."""
    on_test = variant.on_test
    accuracy = None if on_test is None else on_test.accuracy
    yield Line("accuracy", number(variant.accuracy), changed(accuracy), _shown(accuracy), None, False)  # noqa: FBT003
    for each in variant.changes:
        if (flips := each.flips) is not None:
            what = f"pairs told apart by the term alone, on {each.on} (none: {number(flips.before)})"
            yield Line(what, number(flips.after), changed(flips), _shown(flips), None, False)  # noqa: FBT003
    changes = {(one.on, one.metric, one.attribute): one for each in variant.changes for one in each.limits}
    for judged in variant.judged:
        change = changes.get((judged.on, judged.metric, judged.attribute))
        what = f"{words(judged.metric)} by {by(judged)} {limit_of(judged)}"
        levelled = bool(change and change.levelling_down)
        yield Line(
            what, number(judged.measurement), changed(change), _shown(change), judged.verdict, levelled
        )


def changed(change: Change | None) -> str:
    """A change with its interval: "-0.0512 (-0.0601 to -0.0423)"."""
    if change is None:
        return ""
    if change.change is None:
        return "undefined"
    if change.low is None or change.high is None:
        return f"{change.change:+.4f}"
    return f"{change.change:+.4f} ({change.low:+.4f} to {change.high:+.4f})"


def _shown(change: Change | None) -> str:
    return "" if change is None else change.shown


def comparison_table(found: Comparison) -> Table:
    """The comparison for a terminal: a block of lines for each variant."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant")
    table.add_column("measured", justify="right")
    table.add_column("change against none (95%)", justify="right", no_wrap=True)
    table.add_column("verdict")
    for variant in found.variants:
        steps = "; ".join(variant.mitigation) or "no mitigation"
        table.add_row(f"[bold]{escape(variant.name)}[/]  [dim]{escape(steps)}[/]", "", "", "")
        if variant.refused:
            table.add_row(f"  [red]could not be trained: {escape(variant.refused)}[/]", "", "", "")
            continue
        for line in lines_of(variant):
            verdict = "" if line.verdict is None else f"[{COLOURS[line.verdict]}]{line.verdict}[/]"
            if line.levelling_down:
                verdict += f"\n[bold red]{LEVELLING}[/]"
            table.add_row(f"  {escape(line.what)}", line.value, line.change, verdict)
        table.add_section()
    return table

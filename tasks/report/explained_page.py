"""What explanations found, as lines of the front page: reliable or not is said first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tasks.explain.records import Check, Counterfactuals, Explained, Explanation
from tasks.fairness.words import number

MOST = 5


def failed(checks: Sequence[Check]) -> str:
    """The checks that do not hold, in words."""
    return ", ".join(check.name for check in checks if not check.holds) or "no check was made"


def explained_lines(explained: Any) -> list[str]:
    """Sentences for the front page, none without the step.

    Args:
        explained: the record of the step `explanations`, or None.
    """
    if not isinstance(explained, Explained):
        return []
    lines = [line for each in explained.explanations for line in _of(each)]
    if explained.counterfactuals is not None:
        lines += _turned(explained.counterfactuals)
    lines += [f"Not made: {each.part} ({each.because})." for each in explained.skipped]
    if explained.explanations:
        lines.append(
            f"Of {explained.rows_of}. {explained.spent:,} of {explained.allowed:,} evaluations were spent."
        )
    return lines


def _of(each: Explanation) -> Iterator[str]:
    head = f"{each.method} of the {each.part} ({each.of}, {each.rows:,} rows)"
    if not each.reliable:
        yield f"{head}: not reliable, it fails {failed(each.checks)}; nothing is to be concluded from it."
        return
    checks = ", ".join(f"{check.name} {number(check.value)}" for check in each.checks)
    most = ", ".join(f"{one.feature} {number(one.value)}" for one in each.weights[:MOST])
    yield f"{head}: {most or 'single decisions'}. Checked: {checks}."
    differing = [one for one in each.groups if one.differs]
    if differing:
        named = "; ".join(
            f"{one.feature} for {one.attribute} {one.group} {one.difference:+.4f} "
            f"({number(one.low)} to {number(one.high)})"
            for one in differing[:MOST]
        )
        more = f"; and {len(differing) - MOST} more" if len(differing) > MOST else ""
        yield f"Carries more or less for a group than for all other rows: {named}{more}."
    for one in each.carried:
        proxies = sorted(one.proxies, key=lambda name: -one.proxies[name] * one.information[name])[:3]
        told = f", most of it by {', '.join(proxies)}" if proxies else ""
        yield (
            f"Of all attribution {one.own:.1%} is on what says {one.attribute} itself; weighed by what "
            f"each column tells of it, {one.weighted:.1%}{told}."
        )


def _turned(found: Counterfactuals) -> Iterator[str]:
    if not found.reliable:
        yield "Counterfactuals: not reliable, the served model does not decide as they say."
        return
    groups = [one for one in found.by_group if one.asked]
    by_group = "; ".join(
        f"{one.attribute} {one.group} {one.turned} of {one.asked}"
        + (f", {one.changes:.1f} changes" if one.changes is not None else "")
        for one in groups[:MOST]
    )
    yield (
        f"Counterfactuals, {', '.join(found.immutable)} held fixed, of {found.asked:,} decisions: turned for "
        f"{by_group}. Each confirmed by the served model."
    )

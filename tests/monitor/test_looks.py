"""What looks may spend, and what a look comes to."""

from __future__ import annotations

from math import prod

import pytest

from tasks.evidence.records import FileRef
from tasks.fairness.verdict import Judged, Verdict, Verdicts
from tasks.monitor.ending import Seen, ending_of
from tasks.monitor.looks import allowance_of, look_of
from tasks.monitor.records import Compared, NewRows

ALPHA, WEEKS = 0.05, 520


def test_levels_are_the_series_that_adds_up_to_alpha() -> None:
    levels = []
    before: dict[str, int] = {}
    for week in range(WEEKS):
        look = look_of("labels", f"rows {week}", before, ALPHA)
        before[f"rows {week}"] = look.number
        levels.append(look.alpha)
        assert look.spent == pytest.approx(sum(levels))
    assert levels[:3] == pytest.approx([ALPHA / 2, ALPHA / 6, ALPHA / 12])
    assert sum(levels) < ALPHA
    assert 1 - prod(1 - level for level in levels) < ALPHA  # any false alarm, were the looks independent
    assert 1 - (1 - ALPHA) ** 52 > 0.9  # what a year of looks at alpha each would come to


def test_the_same_rows_are_the_same_look_and_spend_nothing() -> None:
    before = {"a": 1, "b": 2, "c": 3}
    again, new = look_of("rows", "b", before, ALPHA), look_of("rows", "d", before, ALPHA)
    assert (again.number, again.alpha) == (2, pytest.approx(ALPHA / 6))
    assert again.spent == pytest.approx(ALPHA * 3 / 4)
    assert (new.number, new.spent) == (4, pytest.approx(ALPHA * 4 / 5))
    allowed = allowance_of(new, 100)
    assert (allowed.alpha, allowed.problem) == (pytest.approx(ALPHA / 20), "")


def rows(short: str = "", labelled: int = 900) -> NewRows:
    file = FileRef(path="x", sha256="0" * 64, bytes=1)
    return NewRows(
        files=(file,),
        snapshot=file,
        rows=1000,
        labelled=labelled,
        left_out={},
        first="",
        last="",
        digest="d",
        digest_labelled="e",
        short=short,
    )


def compared(crossed: tuple[str, ...] = (), unknown: tuple[str, ...] = ()) -> Compared:
    return Compared(
        drift=(),
        drifted_share=0.0,
        predictions=(),
        ratios=(),
        effects=(),
        crossed=crossed,
        open=unknown,
        notes=(),
        reports=(),
    )


def verdicts(*found: Verdict) -> Verdicts:
    judged = [
        Judged(
            metric="tpr_difference",
            attribute="sex",
            limit=0.1,
            verdict=verdict,
            measurement=None,
            low=None,
            high=None,
            alpha=ALPHA,
            comparisons=1,
            n=1,
            worst=None,
            sentence=f"it is {verdict}",
        )
        for verdict in found
    ]
    return Verdicts(judged=tuple(judged))


PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("seen", "judged", "ending", "because"),
    [
        (compared(), verdicts(PASS), Seen.STABLE, "1 PASS of 1 limits"),
        (compared(), verdicts(PASS, OPEN), Seen.UNDECIDED, "it is INCONCLUSIVE"),
        (compared(), verdicts(), Seen.UNDECIDED, ""),  # a gate without limits shows nothing
        (compared(), None, Seen.UNDECIDED, "900 of 1000 new rows have a label"),
        (compared(unknown=("not shown",)), verdicts(PASS), Seen.UNDECIDED, "not shown"),
        (compared(("age moved",)), verdicts(PASS, OPEN), Seen.DRIFTED, "age moved"),
        (compared(("age moved",)), None, Seen.DRIFTED, "age moved"),
        (compared(("age moved",)), verdicts(FAIL), Seen.ALARMED, "it is FAIL age moved"),
        (None, None, Seen.UNDECIDED, "too few"),
    ],
)
def test_the_worst_that_was_shown_decides_and_nothing_missing_is_fine(
    seen: Compared | None, judged: Verdicts | None, ending: Seen, because: str
) -> None:
    found = ending_of(rows("too few" if seen is None else ""), seen, judged, 950)
    assert found.ending is ending
    assert because in " ".join(found.because)
    assert (ending.exit_code == 0) == (ending is Seen.STABLE)
    assert ending.crossed == (ending in (Seen.DRIFTED, Seen.ALARMED))

"""How often may one look? Every look at a champion spends a share of alpha, and the shares never run out.

A monitor that judges each week at alpha fails a fair model sooner or later. Look number k, from 1, is judged
at alpha / (k (k + 1)). These levels add up to alpha (1/2 + 1/6 + 1/12 + ... = 1), so by the union bound,
however the looks depend on each other and however many there are, the chance that any look at a champion
says FAIL of limits that held at every look is at most alpha; and so is the chance that any says PASS of a
metric that was beyond its limit whenever it was passed. A new champion begins with an alpha of its own.

It is Bonferroni's spending, as a test set's (`tasks.fairness.spending`), over a sequence without an end;
alpha spending over looks: Lan and DeMets 1983, Biometrika 70:659.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tasks.fairness.allowance import Allowance
from tasks.monitor.records import Look


def look_of(of: Literal["rows", "labels"], digest: str, before: Mapping[str, int], alpha: float) -> Look:
    """What a look at these rows may spend.

    Args:
        of: what is judged.
        digest: of the rows looked at.
        before: digest -> number of each look at this champion so far.
        alpha: the plan's.

    Returns:
        The look; the same rows again are the same look, and spend nothing.
    """
    number = before.get(digest) or 1 + max(before.values(), default=0)
    looks = max([number, *before.values()])
    return Look(
        of=of, number=number, alpha=alpha / (number * (number + 1)), spent=alpha * looks / (looks + 1)
    )


def allowance_of(look: Look, rows: int) -> Allowance:
    """The look as the gate takes it: this share of alpha and no other."""
    share = look.number * (look.number + 1)
    return Allowance(alpha=look.alpha, number=look.number, max_judgements=share, rows=rows)

"""Which terms a model of texts never sees."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.plan.data import Text
from tasks.plan.mitigation import Masking, Step


def masked_terms(steps: Sequence[Step], data: Text) -> tuple[str, ...]:
    """The terms of the identities that the recipe masks, and those that it names beside them; in order.

    Args:
        steps: ``recipe.mitigation``.
        data: whose identities they are.
    """
    masking = [step for step in steps if isinstance(step, Masking)]
    of_identities = {
        term
        for step in masking
        for name in step.identities
        for terms in data.identities[name].values()
        for term in terms
    }
    return tuple(sorted(of_identities.union(*(step.also for step in masking))))

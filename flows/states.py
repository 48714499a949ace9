"""How an outcome shows in Prefect: the flow run's final state bears the ending's name."""

from __future__ import annotations

from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.outcome import Outcome


def ended(outcome: Outcome) -> State[Outcome]:
    """The final state of a flow that came to an ending; whoever called the flow gets the outcome."""
    return Completed(name=outcome.title, message=" ".join(outcome.lines)[:1000], data=outcome)

"""Review: two people look at drawn decisions, and the version gets its alias or not."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from prefect.client.schemas.objects import State

from flows.desk import open_desk
from flows.outcome import Outcome
from flows.states import ended
from infra.settings import settings
from tasks.review.task import is_suspended, own_flow_run, release, wait_for_text


@flow(name="review", flow_run_name="review {target}")
def review(target: str) -> State[Outcome]:
    """Make the packet of a version that awaits its review, and wait for two signed answers.

    Started by hand it holds its process; in a deployment it is suspended while it waits, and starts here anew
    with each answer: all that it knows is in the dossier.

    Args:
        target: MODEL@REF, a version without alias.
    """
    with open_desk(settings(), target) as desk:
        waiting = desk.version.tags.get("assay.review_flow_run", "")
        if desk.waits:
            packet = desk.lay_out()
            if is_suspended(waiting) and not desk.standing.asked.overdue:
                line = f"flow run {waiting} waits for the answers on {desk.target}"
                return ended(Outcome(title="Waiting already", exit_code=0, lines=(line,)))
            desk.wait_here(packet, *own_flow_run())
            while desk.waits:
                standing = desk.standing
                number = len(standing.answers) + standing.refused
                text = wait_for_text(desk.target, number, datetime.fromisoformat(packet.deadline))
                if text is None:
                    break
                desk.take(text)
        if desk.standing.reviewed is None:
            desk.close()
        desk.file()
        outcome = desk.outcome
    release(waiting)
    return ended(outcome)

"""A review's waiting and sending; the only file of this room that knows Prefect.

Run by hand the flow holds its process while it waits. In a deployment it is suspended: no process waits, a
text that comes in starts the flow anew from its top, and a run scheduled for the deadline files the time-out.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import FlowPauseTimeout, ObjectNotFound
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running, Scheduled

POLL_SECONDS = 1
PATIENCE = 60.0  # seconds that a flow run may take from one answer to the next
WAKE = timedelta(seconds=5)
FORM = (
    "Paste the line that `assay review {target} --key ... --answers ...` printed. The signature on it says "
    "who answers; this form authenticates nobody."
)


class SignedText(RunInput):
    """The form: one signed text, from whomever."""

    signed: str


def own_flow_run() -> tuple[str, str]:
    """Id of this flow run, and the address of the Prefect API that it waits at."""
    return str(flow_run.id or ""), str(PREFECT_API_URL.value() or "")


def wait_for_text(target: str, number: int, deadline: datetime) -> str | None:
    """Wait for a signed text; None once the time is over.

    Args:
        target: MODEL@VERSION, for the form.
        number: of texts that came before; a flow that starts anew gets the text of this number at once.
        deadline: UTC.
    """
    seconds = (deadline - datetime.now(UTC)).total_seconds()
    form = SignedText.with_initial_data(description=FORM.format(target=target))
    key = f"text-{number}"
    if deployment.id is not None:
        if seconds > 0:
            _wake_at(target, deadline)
        return suspend_flow_run(wait_for_input=form, key=key).signed if seconds > 0 else None
    if seconds <= 0:
        return None
    try:
        return pause_flow_run(
            wait_for_input=form, timeout=math.ceil(seconds), poll_interval=POLL_SECONDS, key=key
        ).signed
    except FlowPauseTimeout:
        with get_client(sync_client=True) as client:  # so that this run may file the time-out, and end
            client.set_flow_run_state(UUID(str(flow_run.id)), Running(), force=True)
        return None


def _wake_at(target: str, deadline: datetime) -> None:
    """Let the same deployment run once the time is over: nobody else would notice."""
    with get_client(sync_client=True) as client:
        client.create_flow_run_from_deployment(
            UUID(str(deployment.id)),
            parameters={"target": target},
            state=Scheduled(scheduled_time=deadline + WAKE),
            idempotency_key=f"review {target} until {deadline.isoformat()}",
        )


def is_suspended(flow_run_id: str) -> bool:
    """Whether another flow run, of a deployment, waits for answers on this Prefect server."""
    found = _read(flow_run_id) if flow_run_id and flow_run_id != str(flow_run.id) else None
    return (
        found is not None
        and found.deployment_id is not None
        and found.state is not None
        and found.state.is_paused()
    )


def send_text(api: str, flow_run_id: str, text: str, patience: float = PATIENCE) -> str:
    """Hand a text to the flow run that waits; "" if it took it, else why not.

    Args:
        api: address of the Prefect API that it waits at.
        flow_run_id: of the run.
        text: signed.
        patience: seconds in which a run that is busy with another text may come back to waiting.
    """
    if not (api and flow_run_id):
        return "no flow run has waited for answers on this version yet"
    deadline = time.monotonic() + patience
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        while True:
            if (run := _read(flow_run_id)) is None or run.state is None:
                return f"Prefect at {api} does not know the flow run {flow_run_id}"
            if run.state.is_paused():
                answer = client.resume_flow_run(UUID(flow_run_id), run_input={"signed": text})
                if answer.status == SetStateStatus.ACCEPT:
                    return ""
            elif run.state.is_final():
                return f"flow run {flow_run_id} waits no more: it is {run.state.name}"
            if time.monotonic() > deadline:
                return f"flow run {flow_run_id} did not come to wait within {patience:g} s"
            time.sleep(POLL_SECONDS / 2)


def release(flow_run_id: str) -> None:
    """Let a suspended run of the same review go on: it finds it closed, and ends."""
    if is_suspended(flow_run_id):
        with get_client(sync_client=True) as client:
            client.resume_flow_run(UUID(flow_run_id), run_input={"signed": ""})


def _read(flow_run_id: str) -> FlowRun | None:
    with get_client(sync_client=True) as client:
        try:
            return client.read_flow_run(UUID(flow_run_id))
        except (ObjectNotFound, ValueError):
            return None

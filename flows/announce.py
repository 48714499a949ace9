"""Telling of a crossed limit: an event that automations listen to, and a retraining where it is deployed."""

from __future__ import annotations

from prefect.events import emit_event

from flows.ask import ask
from tasks.evidence.digest import digest_of
from tasks.evidence.environment import code_digest
from tasks.evidence.records import Record
from tasks.monitor.ending import Found, Seen
from tasks.plan import Plan

EVENTS = {Seen.DRIFTED: "assay.drift", Seen.ALARMED: "assay.alarm"}
LONGEST = 1000  # characters of the reasons in an event


class Announced(Record):
    """What was set going.

    Attributes:
        event: that was emitted.
        retrain: id of the retraining's flow run, "" where none could be started.
        told: in words.
    """

    event: str
    retrain: str
    told: str


def announce(plan: Plan, version: str, found: Found) -> Announced:
    """Emit the event, and ask ``retrain/NAME`` for a run, once for this champion, plan and code.

    A second look at what is still drifted gets the first one's retraining, whether it waits, runs or is done:
    the same plan would train the same model. Where plan or code change, or another champion serves, a new one
    starts.

    Args:
        plan: as it is now.
        version: of the champion.
        found: how the look ended.
    """
    event, reasons = EVENTS[found.ending], " ".join(found.because)[:LONGEST]
    emit_event(
        event=event,
        resource={
            "prefect.resource.id": f"assay.model.{plan.name}",
            "prefect.resource.name": f"{plan.name} version {version}",
        },
        payload={"model": plan.name, "version": version, "ending": found.ending.value, "because": reasons},
    )
    own = {name: digest for name, digest in plan.digests.items() if name != "operations"}
    once = digest_of({**own, "code": code_digest(), "champion": version, "model": plan.name})
    asked = ask(f"retrain/{plan.name}", f"assay retrain {plan.name}", f"monitor {once}")
    return Announced(event=event, retrain=asked.run, told=asked.told)

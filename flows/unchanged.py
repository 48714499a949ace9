"""Whether a run would change anything: asked first, and answered without a server or a step's library."""

from __future__ import annotations

from flows.outcome import Ending, Outcome
from tasks.evidence.environment import code_digest
from tasks.plan import Plan
from tasks.register.client import Connection
from tasks.register.registry import champion


def tags_of(plan: Plan, code: str) -> dict[str, str]:
    """What a version carries to be recognised by; the judgement pins the data by its hashes."""
    digests = plan.digests
    return {"assay.judgement": digests["judgement"], "assay.recipe": digests["recipe"], "assay.code": code}


def unchanged(plan: Plan, connection: Connection) -> Outcome | None:
    """The ending Unchanged, if data, judgement, recipe and code are the champion's."""
    present = champion(connection, plan.name)
    wanted = tags_of(plan, code_digest())
    if present is None or any(present.tags.get(tag) != digest for tag, digest in wanted.items()):
        return None
    line = (
        f"{present} is champion, of the same data, judgement, recipe and code; --force retrains all the same."
    )
    return Outcome(title=Ending.UNCHANGED, exit_code=Ending.UNCHANGED.exit_code, lines=(line,))

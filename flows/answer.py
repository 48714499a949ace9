"""A reviewer's side of a review: answers checked, signed, kept as text, and sent to the run that waits."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flows.outcome import Outcome
from infra.settings import prepare_environment, settings
from tasks.errors import PlanError
from tasks.evidence.digest import write_atomically
from tasks.register.client import connect
from tasks.register.registry import resolve
from tasks.register.verify import download_dossier
from tasks.review.answers import COMMAND, problems_of, read_decisions, sign, target_of, text_of
from tasks.review.keys import new_key, read_key
from tasks.review.records import Wish
from tasks.review.standing import Standing


def make_key(path: Path) -> Outcome:
    """Make a reviewer's key; its public half is for the plan."""
    public = new_key(path)
    lines = (
        f"{path} is yours alone (mode 0600): keep it, and give it to nobody",
        "operations.review.reviewers gets your name with the public key:",
        f"  YOUR-NAME: {public.raw.hex()}",
    )
    return Outcome(title="Key made", exit_code=0, lines=lines)


def answer(target: str, key: Path, answers: Path, verdict: Wish, reason: str) -> Outcome:
    """Sign answers and send them.

    Args:
        target: MODEL@REF.
        key: the reviewer's, a file.
        answers: packet.csv, filled in.
        verdict: on the version.
        reason: why; needed unless it is approved.

    Raises:
        PlanError: naming everything for which the answers would be refused; nothing is signed then.
    """
    here = settings()
    prepare_environment(here)
    from tasks.review.task import send_text  # noqa: PLC0415 - prefect reads its settings at import

    connection = connect(here.mlflow_uri, here.artifact_root)
    version = resolve(connection, *target_of(target))
    signing = read_key(key)
    with tempfile.TemporaryDirectory(prefix="assay-dossier-") as scratch:
        standing = Standing.of(download_dossier(connection, version.run_id, Path(scratch)))
        if (reviewed := standing.reviewed) is not None:
            raise PlanError(COMMAND, [f"{version} was reviewed: {reviewed.outcome}, {reviewed.because}"])
        asked = standing.asked
    signed = sign(asked, signing, read_decisions(answers, asked.packet), verdict, reason)
    if problems := problems_of(signed, asked):
        raise PlanError(COMMAND, problems)
    text, kept = text_of(signed), answers.with_suffix(".signed.json")
    write_atomically(kept, text.encode() + b"\n")
    tags = version.tags
    problem = send_text(tags.get("assay.review_api", ""), tags.get("assay.review_flow_run", ""), text)
    line = f"Signed      {kept.as_posix()}"
    if problem:
        lines = (
            text,
            line,
            f"Not sent    {problem}",
            "Paste the line into the form of the flow run in Prefect",
        )
        return Outcome(title="Signed", exit_code=1, lines=lines)
    return Outcome(
        title="Sent", exit_code=0, lines=(text, line, f"Sent to     flow run {tags['assay.review_flow_run']}")
    )

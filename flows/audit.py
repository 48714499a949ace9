"""Audit anyone's predictions: no training, no server, and nothing of the pipeline is imported."""

from __future__ import annotations

from pathlib import Path

from flows.outcome import VERDICT_EXIT, Outcome
from tasks.audit.audit import Asked, audit
from tasks.audit.page import page
from tasks.audit.places import place_problems, privacy
from tasks.audit.records import Audit
from tasks.audit.replay import replay
from tasks.audit.store import write_audit
from tasks.errors import PlanError
from tasks.evidence.digest import write_atomically
from tasks.fairness.verdict import Verdict, Verdicts


def run_audit(asked: Asked, json: Path | None, html: Path | None, publish: Path | None = None) -> Outcome:
    """Audit a file, and leave the audit as JSON, as a page and as counts fit to publish where asked.

    Raises:
        PlanError: for outputs that would take the place of another file, before anything is counted; with
            every problem of the question, the file or its values.
    """
    outputs = {"--json": json, "--html": html, "--publish": publish}
    if problems := list(place_problems({"FILE": asked.file, "--limits": asked.limits}, outputs)):
        raise PlanError("assay audit", problems)
    found = audit(asked)
    if json is not None:
        write_audit(found, json)
    if html is not None:
        write_atomically(html, page(found).encode())
    published = _published(found, publish) if publish is not None else []
    verdict = found.verdicts.verdict
    lines = [
        f"{found.verdicts.summary}; the limits are {found.limits.origin}",
        f"{found.file.path}: {found.rows:,} rows, SHA-256 {found.file.sha256[:12]}, alpha {found.alpha:g}",
        *found.notes,
        *(one.sentence for one in found.judged if one.verdict is not Verdict.PASS),
    ]
    if html is not None:
        lines.append(f"Page        {html}")
    if json is not None:
        lines += [f"Record      {json}", f"Privacy     {privacy(found)}", f"Replay      assay replay {json}"]
    lines += published
    return Outcome(
        title=verdict.value, exit_code=VERDICT_EXIT[verdict], lines=tuple(lines), judged=found.judged
    )


def _published(found: Audit, path: Path) -> list[str]:
    """Write the counts by each attribute with small ones suppressed; says what is hidden."""
    from tasks.fairness.publication import suppressed  # noqa: PLC0415 - scipy's solver, for this alone

    try:
        publication = suppressed(found.counted)
    except ValueError as error:
        raise PlanError("audit --publish", [str(error)]) from error
    write_atomically(path, publication.model_dump_json(indent=1).encode() + b"\n")
    return [f"Published   {path}: {publication.hidden} counts hidden; {publication.guarantee}"]


def replay_audit(path: Path, data: Path | None) -> Outcome:
    """Rebuild an audit's numbers; exit 3 names each mismatch.

    Raises:
        PlanError: for a path that holds no audit.
        EvidenceError: for an audit whose values can't be what they are called.
    """
    if not path.is_file():
        raise PlanError("replay", [f"there is no file {path}"])
    found = replay(path, data)
    if found.mismatches:
        return Outcome(title="Mismatch", exit_code=3, lines=tuple(found.mismatches), judged=found.judged)
    verdict = Verdicts(judged=found.judged).verdict
    same = (f"same: {line}" for line in found.checked)
    return Outcome(
        title="Every number rebuilt" if found.recounted else "Every verdict rebuilt from the counts",
        exit_code=VERDICT_EXIT[verdict],
        lines=(*same, *found.notes, f"the verdict of {path} is {verdict}"),
        judged=found.judged,
    )

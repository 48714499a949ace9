"""Audit anyone's predictions: no training, no server, and nothing of the pipeline is imported."""

from __future__ import annotations

from pathlib import Path, PurePath

from flows.outcome import VERDICT_EXIT, Outcome
from tasks.audit.audit import Asked, audit
from tasks.audit.page import page
from tasks.audit.places import place_problems, privacy
from tasks.audit.publishing import Subject, Wish, prepare, told, wish_problems, write_publication
from tasks.audit.records import Audit
from tasks.audit.replay import replay
from tasks.audit.store import write_audit
from tasks.errors import PlanError
from tasks.evidence.digest import write_atomically
from tasks.fairness.verdict import Verdict, Verdicts


def run_audit(
    asked: Asked, json: Path | None, html: Path | None, publish: Wish | None = None, var: Path = Path("var")
) -> Outcome:
    """Audit a file, and leave the audit as JSON, as a page and as counts fit to publish where asked.

    Args:
        asked: what is audited.
        json: where the record goes.
        html: where the page goes.
        publish: how the counts are published, and into which folder.
        var: holds the key of published noise, and the list of published rows.

    Raises:
        PlanError: for outputs that would take the place of another file, or a publication that can't be,
            before anything is counted; with every problem of the question, the file or its values. Nothing
            is written then.
    """
    inputs, outputs = {"FILE": asked.file, "--limits": asked.limits}, {"--json": json, "--html": html}
    problems = list(place_problems(inputs, outputs))
    if publish is not None:
        problems += wish_problems(publish, {**inputs, **outputs})
    if problems:
        raise PlanError("assay audit", problems)
    found = audit(asked)
    prepared = prepare(_subject(found), publish, var) if publish is not None else None
    if json is not None:
        write_audit(found, json)
    if html is not None:
        write_atomically(html, page(found).encode())
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
    if publish is not None and prepared is not None:
        write_publication(publish.folder, prepared[1])
        lines.append(told(prepared[0], publish.folder))
    return Outcome(
        title=verdict.value, exit_code=VERDICT_EXIT[verdict], lines=tuple(lines), judged=found.judged
    )


def _subject(found: Audit) -> Subject:
    """What an audit publishes: the file by its name alone, for a path tells of whose machine it is."""
    return Subject(
        cube=found.counted,
        rows=found.file.sha256,
        asked=(found.columns.label, found.columns.prediction),
        of={"file": PurePath(found.file.path).name},
        digests={"data": found.file.sha256},
    )


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

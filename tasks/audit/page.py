"""The audit as one page: self-contained HTML without scripts, made from the audit's record alone."""

from __future__ import annotations

from pathlib import PurePath

from tasks.audit.figures import rate_figures
from tasks.audit.places import privacy
from tasks.audit.records import Audit
from tasks.audit.sections import section, shown_laws
from tasks.audit.template import page_style, page_template
from tasks.fairness.verdict import Judged, Verdict
from tasks.fairness.words import decided_by, headed, limit_of, measured, number
from tasks.plan.base import crossing

MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}


def page(audit: Audit) -> str:
    """HTML, the same bytes for the same audit."""
    cube = audit.counted
    attributes = dict.fromkeys([*audit.columns.groups, *(one.attribute for one in audit.judged)])
    groups = [name for name in attributes if all(part in cube.axes for part in crossing(name))]
    template = page_template(
        "tasks.audit",
        "page.html",
        headed=headed,
        measured=measured,
        limit=limit_of,
        decided=decided_by,
        mark=lambda verdict: MARKS[verdict],
        bounds=_bounds,
    )
    return template.render(
        audit=audit,
        cube=cube,
        title=PurePath(audit.file.path).name,
        verdict=audit.verdicts.verdict,
        judged=[(one, rate_figures(one)) for one in audit.judged],
        sections=[section(cube, name) for name in groups],
        laws=shown_laws(audit.laws),
        privacy=privacy(audit),
        style=page_style(),
    )


def _bounds(one: Judged) -> str:
    return f"{number(one.low)} to {number(one.high)}"

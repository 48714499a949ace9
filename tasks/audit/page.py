"""The audit as one page: self-contained HTML without scripts, made from the audit's record alone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePath

from jinja2 import Environment, StrictUndefined

from tasks.audit.figures import rate_figures
from tasks.audit.places import privacy
from tasks.audit.records import Audit
from tasks.audit.sections import section, shown_laws
from tasks.fairness.verdict import Judged, Verdict
from tasks.fairness.words import decided_by, headed, limit_of, measured, number
from tasks.plan.base import crossing

MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}


def page(audit: Audit) -> str:
    """HTML, the same bytes for the same audit."""
    cube = audit.counted
    attributes = dict.fromkeys([*audit.columns.groups, *(one.attribute for one in audit.judged)])
    groups = [name for name in attributes if all(part in cube.axes for part in crossing(name))]
    rendered: str = (
        _environment()
        .from_string(_text("page.html"))
        .render(
            audit=audit,
            cube=cube,
            title=PurePath(audit.file.path).name,
            verdict=audit.verdicts.verdict,
            judged=[(one, rate_figures(one)) for one in audit.judged],
            sections=[section(cube, name) for name in groups],
            laws=shown_laws(audit.laws),
            privacy=privacy(audit),
            style=_text("page.css"),
        )
    )
    return rendered


def _text(name: str) -> str:
    return files("tasks.audit").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "headed": headed,
        "measured": measured,
        "limit": limit_of,
        "decided": decided_by,
        "mark": lambda verdict: MARKS[verdict],
        "count": lambda value: f"{value:,}",
        "bounds": _bounds,
    }
    return environment


def _bounds(one: Judged) -> str:
    return f"{number(one.low)} to {number(one.high)}"

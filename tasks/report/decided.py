"""What was decided and why, in Markdown: the top of the run's front page, and the version's description."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined

from tasks.fairness.verdict import Judged
from tasks.fairness.words import by, decided_by, limit_of, measured, number, words
from tasks.plan import Plan

SHOWN = 20  # problems and warnings listed; the rest is counted and stands in the dossier
AWAITS = ", awaits its review"
HEADLINE = re.compile(r"(## .+ version \d+, )((?:champion|challenger)[^:]*)(.*)")
"""Of a version that was given an alias: before it, what it is now, and how its review ended."""

# The first lines are all that MLflow shows of a run's description before a click: no line there is spent.
TEMPLATE = """\
## {{ headline }}
{% for line in because %}
> {{ line | cell }}
{% endfor %}

{% if links %}
Read: {% for name, place in links.items() %}[{{ name }}]({{ place }}){{ " · " if not loop.last }}{% endfor %}


{% endif %}
{% if trained and trained.decision %}
**{{ trained.decision.sentence | cell }}.** \
Each decision reads {{ trained.decision.columns | join(" and ") | cell }}. On validation rows \
{{ trained.decision.accuracy | num }} are decided rightly, \
{{ trained.decision.accuracy_before | num }} without it.
{% for line in trained.decision.notes %}
{{ line | cell }}.
{% endfor %}

{% endif %}
{% if judged %}
| verdict | limit | measured | bounds | decided by |
|---|---|---|---|---|
{% for one in judged %}
| **{{ one.verdict }}** | {{ one.metric | words }} by {{ one | by | cell }} {{ one | limit | whole }} \
| {{ one | measured | cell }} | {{ (one.low | num ~ " to " ~ one.high | num) | whole }} \
| {{ one | decided | cell }} |
{% endfor %}

{% for one in judged if one.settles %}
- To settle {{ one.metric | words }} by {{ one | by | cell }}: {{ one.settles | cell }}
{% endfor %}

{% endif %}
{% if paired %}
### Against the champion, version {{ before }}

| {{ paired.metric }} on the same {{ paired.n | count }} rows | version {{ version }} | version {{ before }} \
| difference | limits | worse by at most | better / worse rows |
|---|---|---|---|---|---|---|
| **{{ paired.verdict }}** | {{ values[0] | num }} | {{ values[1] | num }} \
| {{ paired.difference | signed }} | {{ (paired.low | signed ~ " to " ~ paired.high | signed) | whole }} \
| {{ paired.margin }} | {{ paired.better | count }} / {{ paired.worse | count }} |

{% endif %}
"""


def decided(plan: Plan, records: Mapping[str, Any], links: Mapping[str, str] | None = None) -> str:
    """Markdown in GitHub's dialect: the ending and its reason, the verdict table, the champion met.

    Args:
        plan: as carried out.
        records: step -> record, as in the dossier; a run that ended early has fewer.
        links: name -> address of the pages to read next.
    """
    verdicts, opened, registration = (records.get(step) for step in ("verdicts", "opening", "registration"))
    paired = registration.paired if registration else None
    judged: Sequence[Judged] = verdicts.judged if verdicts else ()
    page: str = (
        markdown()
        .from_string(TEMPLATE)
        .render(
            headline=_headline(plan, records),
            because=_because(records),
            links=links or {},
            trained=records.get("freeze"),
            judged=judged,
            paired=paired,
            values=_values(paired, opened),
            version=registration.version if registration else None,
            before=registration.champion_before if registration else None,
        )
    )
    return page


def reviewed(page: str, outcome: str, because: str, alias: str | None) -> str:
    """The same page once the review that it awaited is over; any other page as it is.

    Args:
        page: from :func:`decided`, or one that begins with it.
        outcome: approved, rejected and so on.
        because: in words.
        alias: what the version was given.
    """
    headline, _, rest = page.partition("\n")
    if not headline.endswith(AWAITS):
        return page
    told = f"{outcome} in its review"
    return (
        f"{headline.removesuffix(AWAITS)}, {alias or 'no alias'}: {told}\n"
        f"> **Review: {cell(outcome)}.** {cell(because)}\n>\n{rest}"
    )


def held(page: str) -> str:
    """What a version's page says that it is, "champion" or "challenger until version 3"; else ""."""
    found = HEADLINE.fullmatch(page.partition("\n")[0])
    return found[2] if found else ""


def succeeded(page: str, now: str, because: str = "") -> str:
    """The same page of a version that is something else now; one that never had an alias stays as it is.

    Args:
        page: from :func:`decided` or :func:`reviewed`.
        now: what it is: "champion until version 3".
        because: in words, where somebody said why.
    """
    headline, newline, rest = page.partition("\n")
    found = HEADLINE.fullmatch(headline)
    if found is None:
        return page
    told = f"> **{cell(now.capitalize())}.** {cell(because)}\n>\n" if because else ""
    return f"{found[1]}{now}{found[3]}{newline}{told}{rest}"


def cell(text: object) -> str:
    """Text that stays inside its table cell, and is text to whoever renders it."""
    return str(text).replace("<", "&lt;").replace("|", r"\|").replace("\n", " ")


def markdown() -> Environment:
    """Templates of Markdown pages, with the ways in which values are said."""
    environment = Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, not HTML: `cell` escapes what comes from data
    )
    environment.filters |= {
        "cell": cell,
        "whole": lambda text: text.replace(" ", "\u00a0"),  # a limit or an interval is not broken in two
        "by": by,
        "words": words,
        "num": number,
        "limit": limit_of,
        "decided": decided_by,
        "measured": measured,
        "signed": lambda value: f"{value:+.4f}",
        "percent": lambda value: f"{value:.2%}",
        "count": lambda value: f"{value:,}",
        "atleast": lambda value: "" if value is None else f"≥ {value:g}",
    }
    return environment


def _headline(plan: Plan, records: Mapping[str, Any]) -> str:
    ending, registration = records.get("ending"), records.get("registration")
    word = ending.ending if ending else "Running"
    if registration is None:
        return f"{word}: {plan.name}, no model version"
    waiting = AWAITS if registration.awaits else ", no alias"
    alias = f", {registration.alias}" if registration.alias else waiting
    return f"{word}: {plan.name} version {registration.version}{alias}"


def _values(paired: Any, opened: Any) -> tuple[float | None, float | None]:
    """What the new version and the champion reach on the same rows."""
    found = {one.name: one.value for one in opened.performance} if opened and paired else {}
    own = found.get(paired.metric) if paired else None
    return own, None if own is None else own - paired.difference


def _because(records: Mapping[str, Any]) -> list[str]:
    ending = records.get("ending")
    lines = [line for line in ending.message.splitlines() if line.strip()] if ending else []
    more = [f"... and {len(lines) - SHOWN} more lines, in the dossier."] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more

"""The run's front page: what was decided and why, then what it rests on, from the records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from tasks.fairness.verdict import Judged, Verdict
from tasks.fairness.words import both_pairs, by, limit_of, number, words
from tasks.plan import Plan
from tasks.report.by_group import Tables
from tasks.report.decided import SHOWN, decided, markdown
from tasks.report.explained_page import explained_lines
from tasks.report.made import made

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}

TEMPLATE = """\
{{ decided }}
{% if allowance %}
*{{ (allowance.summary[0] | upper ~ allowance.summary[1:]) | cell }}.*

{% endif %}
{% if loosened and loosened.sentences %}
### Less strict than {{ loosened.since | cell }}

{% for line in loosened.sentences %}
- {{ line | cell }}
{% endfor %}

{% endif %}
{% if performance %}
### Performance on the test part

| metric | value | 95% interval | rows | required of a first champion |
|---|---|---|---|---|
{% for one in performance %}
| {{ one.name }} | {{ one.value | num }} | {{ one.low | num }} to {{ one.high | num }} | {{ one.n | count }} \
| {{ required.get(one.name) | atleast }} |
{% endfor %}
{% for on, found in audits.items() %}
{% for one in found.performance %}
| {{ one.name }} on {{ on }} | {{ one.value | num }} | {{ one.low | num }} to {{ one.high | num }} \
| {{ one.n | count }} | |
{% endfor %}
{% endfor %}

{% endif %}
{% for heading, rows in by_group %}
#### {{ heading | cell }}

| {{ rows[0] | map("cell") | join(" | ") }} |
|{{ "---|" * (rows[0] | length) }}
{% for row in rows[1:] %}
| {{ row | map("cell") | join(" | ") }} |
{% endfor %}

{% endfor %}
{% if made %}
### How it was made

{% for line in made %}
- {{ line | cell }}
{% endfor %}

{% endif %}
{% if explained %}
### What the model looks at

{% for line in explained %}
- {{ line | cell }}
{% endfor %}

{% endif %}
{% if sample %}
### Representativeness

{% for line in sample.warnings[:shown] %}
- {{ line | cell }}
{% else %}
- No warnings.
{% endfor %}
{% if sample.warnings | length > shown %}
- ... and {{ sample.warnings | length - shown }} more, in the dossier.
{% endif %}
{% if sample.raked %}
- Raked to {{ sample.raked.attributes | join(" x ") | cell }}: effective share \
{{ sample.raked.effective_share | num }}, largest weight {{ sample.raked.maximum_weight | num }}, \
worst margin off by {{ sample.raked.worst_margin_error | percent }}.
{% endif %}
{% if sample.drift %}
- Drift ({{ sample.drift_against | cell }}): {{ drifted | length }} of {{ sample.drift | length }} columns \
beyond their limit{% if drifted %}: {{ drifted | join(", ") | cell }}{% endif %}.
{% endif %}
{% for one in sample.proxies if one.auc is not none %}
- The other columns tell {{ one.attribute | cell }} with an AUC of {{ one.auc | num }}\
{% if one.information %}, most by {{ (one.information | list | first) | cell }}{% endif %}.
{% endfor %}

{% endif %}
{% if unjudged %}
### Groups not judged

Too few rows to judge, by the plan's rule; listed, never merged or dropped.

| by | group | rate | events / n |
|---|---|---|---|
{% for attribute, rate in unjudged %}
| {{ attribute | cell }} | {{ rate.group | cell }} | {{ rate.rate_name | words }} {{ rate.rate | num }} \
| {{ rate.events | count }} / {{ rate.n | count }} |
{% endfor %}

{% endif %}
### Where to look

| | |
|---|---|
| replay | `assay replay {{ target }}` |
| dossier | `{{ folder }}`, and `dossier/` among this run's artifacts |
{% if data %}
| data | {{ data.name }}, {{ data.rows }}, `{{ data.digest[:12] }}` |
{% endif %}
{% for block, digest in digests.items() %}
| {{ block }} | `{{ digest[:12] }}` |
{% endfor %}
{% if trained %}
| model | {{ trained.parameters | count }} parameters, frozen as `{{ trained.digest[:12] }}` |
{% endif %}
"""


def front_page(
    plan: Plan,
    records: Mapping[str, Any],
    folder: Path,
    tables: Tables = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Markdown for the run's description, in GitHub's dialect.

    Args:
        plan: as carried out.
        records: step -> record, as in the dossier; a run that ended early has fewer.
        folder: the dossier.
        tables: how each group fares, from :func:`tasks.report.by_group.tables`.
        links: name -> address of the pages to read next.
    """
    verdicts, sample = records.get("verdicts"), records.get("representativeness")
    opened, registration = records.get("opening"), records.get("registration")
    judged: Sequence[Judged] = verdicts.judged if verdicts else ()
    page: str = (
        markdown()
        .from_string(TEMPLATE)
        .render(
            decided=decided(plan, records, links).rstrip() + "\n",
            performance=opened.performance if opened else (),
            audits=opened.audits if opened else {},
            required={each.metric: each.minimum for each in plan.judgement.performance},
            by_group=tables,
            allowance=records.get("spending"),
            loosened=records.get("loosened"),
            sample=sample,
            drifted=[column.column for column in sample.drift if column.drifted] if sample else [],
            unjudged=_unjudged(judged),
            target=f"{plan.name}@{registration.version}" if registration else folder.as_posix(),
            folder=folder.as_posix(),
            data=records.get("data"),
            trained=records.get("freeze"),
            made=made(plan, records),
            explained=explained_lines(records.get("explanations")),
            digests=plan.digests,
            shown=SHOWN,
        )
    )
    return page


def terminal_table(judged: Sequence[Judged]) -> Table:
    """The verdicts for a terminal of 80 columns: two lines a limit, with both sides."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("verdict", "limit and the groups that decide"):
        table.add_column(name)
    table.add_column("measured", justify="right")
    table.add_column("bounds", justify="right", no_wrap=True)
    for one in judged:
        colour = COLOURS[one.verdict]
        what = f"{words(one.metric)} by {by(one)} {limit_of(one)}"
        table.add_row(
            f"[bold {colour}]{one.verdict}[/]",
            f"{escape(what)}\n[dim]{escape(both_pairs(one))}[/]",
            number(one.measurement),
            f"{number(one.low)} to {number(one.high)}",
        )
    return table


def _unjudged(judged: Sequence[Judged]) -> list[tuple[str, Any]]:
    found = {
        (one.attribute, rate.rate_name, rate.group): (one.attribute, rate)
        for one in judged
        for rate in one.groups
        if not rate.judged
    }
    return list(found.values())

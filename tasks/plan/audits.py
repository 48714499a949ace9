"""What must fit between a plan and its audit sets: kind, inputs, classes, and the names they use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.plan.data import Audio, Image, Number
from tasks.plan.judgement import AuditSet, Judgement
from tasks.plan.names import column_problems, limit_problems


def audit_problems(judgement: Judgement, excluded: Sequence[str] = ()) -> Iterator[str]:
    """Audit sets that the model can't take, or whose limits name what they lack.

    Args:
        judgement: of the plan.
        excluded: columns that the model never sees.
    """
    yield from _shared_names(judgement)
    for name, audit in judgement.audits.items():
        at = f"judgement.audits.{name}"
        if audit.data.kind != judgement.data.kind:
            yield f"{at}.data.kind: {judgement.data.kind!r} is expected, found {audit.data.kind!r}"
            continue
        yield from _inputs(judgement, audit, at, excluded)
        yield from _answers(judgement, audit, at)
        yield from column_problems(judgement.sets[name], at)
        yield from limit_problems(judgement.sets[name], at)


def _shared_names(judgement: Judgement) -> Iterator[str]:
    """Files of one name stand in one folder, so they must be one file."""
    pinned = {source.name: source.sha256 for source in judgement.sources}
    listed = {"judgement.data": judgement.data}
    listed |= {f"judgement.audits.{name}.data": audit.data for name, audit in judgement.audits.items()}
    for at, data in listed.items():
        for i, source in enumerate(data.sources):
            if pinned[source.name] != source.sha256:
                yield f"{at}.sources[{i}]: another file is called {source.name!r}, with other bytes"


def _inputs(judgement: Judgement, audit: AuditSet, at: str, excluded: Sequence[str]) -> Iterator[str]:
    own, plan = audit.data, judgement.data
    if plan.payload is None:
        columns = own.described()
        for name, column in plan.described().items():
            found = columns[name].type if name in columns else "no such column"
            if name not in excluded and found != column.type:
                yield f"{at}.data.columns.{name}: the model takes it as {column.type}, found {found}"
    shape = {Image: ("height", "width", "channels"), Audio: ("rate",)}.get(type(plan), ())
    for setting in shape:
        expected, found = getattr(plan, setting), getattr(own, setting)
        if expected != found:
            yield f"{at}.data.{setting}: {expected} as the plan's is expected, found {found}"


def _answers(judgement: Judgement, audit: AuditSet, at: str) -> Iterator[str]:
    """Every class of the plan means one of the set's, and every class of the set can be the answer."""
    plan, own = judgement.data.label, audit.data.label
    if isinstance(plan, Number) or isinstance(own, Number):
        if type(plan) is not type(own):
            yield f"{at}.data.label: classes, or a number, as the plan's label is expected"
        return
    if strange := sorted(set(audit.answers) - set(plan.values)):
        known = ", ".join(plan.values)
        yield f"{at}.answers: {', '.join(strange)}: no class of the plan (there are: {known})"
    meant = dict(zip(plan.values, audit.means(plan.values), strict=True))
    for name, answer in meant.items():
        if answer not in own.values:
            classes = ", ".join(own.values)
            yield f"{at}.answers.{name}: a class of the set is expected ({classes}), found {answer!r}"
    if unheard := [name for name in own.values if name not in meant.values()]:
        yield f"{at}.answers: no class of the plan means {', '.join(unheard)}: the model can't answer so"

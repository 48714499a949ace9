"""The comparison as a record, as a page, and in a few lines for MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from tasks.audit.template import page_style, page_template
from tasks.evaluate.compare import front, is_gap
from tasks.evaluate.compared import Comparison, GroupChange, Variant
from tasks.evidence.digest import digest_of, write_atomically
from tasks.evidence.records import Dataset
from tasks.fairness.words import number, words
from tasks.plan import Plan
from tasks.plan.judgement import TEST
from tasks.report.compare_figure import write_figure
from tasks.report.compare_table import LEVELLING, changed, lines_of

__all__ = ["comparison_of", "note", "write_figure", "write_page"]

SHORT = {"selection_rate": "selection rate", "tpr": "TPR", "fpr": "FPR", "accuracy": "accuracy"}


def comparison_of(plan: Plan, dataset: Dataset, code: str, variants: Sequence[Variant]) -> Comparison:
    """Everything that was found, with the front of each gap.

    Args:
        plan: without mitigation.
        dataset: that all variants learned from and were judged on.
        code: its digest.
        variants: `none` first.
    """
    finished = [one for one in variants if not one.refused]
    gaps = [limit for limit in plan.judgement.limits if is_gap(limit.metric)]
    return Comparison(
        plan=plan.name,
        judgement=plan.digests["judgement"],
        data=dataset.digest,
        code=code,
        seed=plan.recipe.seed,
        test_rows=dataset.test.rows,
        variants=tuple(variants),
        fronts={
            f"{limit.metric} by {limit.attribute}": front(finished, limit.metric, limit.attribute)
            for limit in gaps
        },
    )


def write_page(found: Comparison, figure: str, path: Path) -> None:
    """Write the comparison as one page of HTML: self-contained, without scripts, the same bytes each time.

    Args:
        found: the record.
        figure: as SVG.
        path: of the page.
    """
    sets = [one.on for one in found.finished[1].changes] if len(found.finished) > 1 else []
    template = page_template(
        "tasks.report",
        "compare.html",
        lines=lines_of,
        changed=changed,
        number=number,
        words=words,
        short=lambda one: SHORT[_parts(one)[0]],
    )
    rendered = template.render(
        found=found,
        figure=Markup(figure),  # noqa: S704 - drawn here, of names that matplotlib escapes
        style=page_style(),
        groups=[
            (on, attribute, _by_group(found, on, attribute))
            for on in sets
            for attribute in _attributes(found, on)
        ],
        spent=next(one.allowance for one in found.finished if one.allowance),
        digest=digest_of(found.model_dump(mode="json")),
        test=TEST,
        levelling=LEVELLING,
    )
    write_atomically(path, rendered.encode())


def note(found: Comparison) -> str:
    """The comparison as Markdown, for the run's description."""
    lines = [
        f"# {found.plan}: {len(found.finished)} variants on the same {found.test_rows:,} test rows",
        "",
        "`compare.html` among the artifacts has every group. Nothing was registered.",
        "",
        "| variant | mitigation | | measured | change against none (95%) | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for variant in found.variants:
        steps = _cell("; ".join(variant.mitigation) or "no mitigation")
        if variant.refused:
            lines.append(
                f"| **{variant.name}** | {steps} | could not be trained | | {_cell(variant.refused)} | |"
            )
            continue
        for i, line in enumerate(lines_of(variant)):
            head = f"| **{variant.name}** | {steps} " if i == 0 else "| | "
            verdict = f"{line.verdict or ''}{f', **{LEVELLING}**' if line.levelling_down else ''}"
            lines.append(f"{head}| {_cell(line.what)} | {line.value} | {line.change} | {verdict} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", r"\|").replace("\n", " ")


def _attributes(found: Comparison, on: str) -> list[str]:
    changes = next(one for one in found.finished[1].changes if one.on == on)
    return list(dict.fromkeys(one.attribute for one in changes.groups))


def _by_group(
    found: Comparison, on: str, attribute: str
) -> list[tuple[Variant, list[tuple[str, int, list[GroupChange]]]]]:
    """Of each variant, each group with its rows and the changes of its rates."""
    tables = []
    for variant in found.finished:
        changes = [one for each in variant.changes if each.on == on for one in each.groups]
        own: dict[str, list[GroupChange]] = {}
        for one in changes:
            if one.attribute == attribute:
                own.setdefault(one.group, []).append(one)
        if own:
            lines = [line for group, rates in own.items() for line in _lines(group, rates)]
            tables.append((variant, [(name, max(one.n for one in rates), rates) for name, rates in lines]))
    return tables


def _lines(group: str, rates: Sequence[GroupChange]) -> Iterator[tuple[str, list[GroupChange]]]:
    """A group's rates; where each class is held against the rest a line for each, accuracy in every one."""
    classes = dict.fromkeys(_parts(one)[1] for one in rates)
    for label in [one for one in classes if one] or [""]:
        name = f"{group}, class {label}" if label else group
        yield name, [one for one in rates if _parts(one)[1] in ("", label)]


def _parts(one: GroupChange) -> tuple[str, str]:
    """The rate, and the class that is held against the rest, "" where none is."""
    rate, _, label = one.rate.partition(" (")
    return rate, label.removesuffix(")")

"""Check every part against the plan, and say all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import great_expectations as gx
import polars as pl
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.expectation import Expectation as Rule

from tasks.errors import Refusal
from tasks.evidence.digest import write_atomically
from tasks.evidence.records import Dataset, FileRef
from tasks.ingest.described import ROW_DIGEST, ROW_ID
from tasks.ingest.parts import read_raw_part
from tasks.plan.judgement import TEST, Judgement
from tasks.plan.plan import Plan
from tasks.validate.page import render, words_of
from tasks.validate.records import Expectation, Validated
from tasks.validate.suite import REMEDY, rules_of
from tasks.validate.table import form_of, hidden_columns, table_of

ROWS_SHOWN = 20
VALUES_SHOWN = 5
# Never COMPLETE, which collects every failing value of every rule; and details of rules that hold
# cost more than half of the time.
QUICK: dict[str, Any] = {"result_format": "BOOLEAN_ONLY"}
DETAILED: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": ROWS_SHOWN}


def validate(dataset: Dataset, plan: Plan, folder: Path) -> Validated:
    """Check every part, audit sets included, against every rule of the plan and write a page about it.

    Args:
        dataset: the pinned version.
        plan: its judgement holds the rules.
        folder: the dossier's folder; ``validation.html`` is written there.

    Returns:
        Every rule as it was found, with failing rows by their position in the part (at most
        20), and a sentence for each that isn't met. Values of columns that are personal,
        protected or the unit are not shown.

    Raises:
        SourceError: if a prepared file is not the one that was pinned.
        Refusal: if a rule could not be evaluated at all, or none was.
    """
    judgement = plan.judgement
    learnt = read_raw_part(dataset, "train")
    training = table_of(learnt, judgement, None)
    expectations = _evaluate(training, learnt, plan, "train", None)
    for part, own in judgement.sets.items():
        raw = read_raw_part(dataset, part)
        table = table_of(raw, own, learnt if part == TEST else None)
        expectations += _evaluate(table, raw, plan, part, training)
    problems = tuple(_sentence(e) for e in expectations if not e.met)
    page = folder / "validation.html"
    write_atomically(page, render(plan.name, dataset, expectations, problems).encode())
    reports = (FileRef.of(page, relative_to=folder),)
    return Validated(expectations=tuple(expectations), problems=problems, reports=reports)


def _evaluate(
    table: pl.DataFrame,
    raw: pl.DataFrame,
    plan: Plan,
    part: str,
    training: pl.DataFrame | None,
) -> list[Expectation]:
    """Check one part: every rule quickly at first, then whatever has more to tell in detail."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas(part).add_dataframe_asset(part)
    batch = asset.add_batch_definition_whole_dataframe(part).get_batch({"dataframe": table.to_pandas()})
    rules = rules_of(plan, part, table, training)
    results = _run(batch, rules, QUICK)
    unclear = [rule for rule in rules if not results[_key(rule.meta)].success or not _is_strict(rule)]
    results |= _run(batch, unclear, DETAILED)
    judgement = plan.judgement.sets.get(part, plan.judgement)
    return [_expectation(results[key], part, raw, table, judgement) for key in sorted(results)]


def _run(batch: Batch, rules: list[Rule], result_format: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Evaluate rules; one that was not evaluated is not one that was kept.

    Raises:
        Refusal: unless each rule has one result.
    """
    suite = gx.ExpectationSuite(name="rules", expectations=rules)
    evaluated: list[Any] = batch.validate(suite, result_format=result_format).results
    results = {_key(result.expectation_config.meta): result for result in evaluated}
    failed = [" ".join(key) for key, r in results.items() if r.exception_info.get("raised_exception", True)]
    if not rules or len(results) != len(rules) or failed:
        raise Refusal(f"{len(results)} of {len(rules)} rules could be evaluated; not: {'; '.join(failed)}")
    return results


def _key(meta: Any) -> tuple[str, str]:
    """What tells rules apart: the column (none for the part as a whole) and the rule in words."""
    return meta["column"] or "", meta["rule"]


def _is_strict(rule: Rule) -> bool:
    """Whether no row at all may break it, so that nothing is left to tell when it holds."""
    return isinstance(rule, ColumnMapExpectation) and rule.mostly == 1


def _expectation(
    result: Any, part: str, raw: pl.DataFrame, table: pl.DataFrame, judgement: Judgement
) -> Expectation:
    """Read one result of Great Expectations into the record."""
    meta, details, met = result.expectation_config.meta, result.result, bool(result.success)
    column, checked = meta["column"], result.expectation_config.kwargs.get("column")
    listed = details.get("partial_unexpected_index_list") or []
    rows = () if met else tuple(int(row) for row in listed[:ROWS_SHOWN])
    found = _found(details, raw, judgement)
    if rows and column in raw.columns and column not in hidden_columns(judgement):
        found += f": {_listed(raw[column], rows)}"
    elif rows and checked == form_of(column or ""):
        found += f": {_listed(table[checked], rows)}"
    return Expectation(
        part=part,
        rule=meta["rule"],
        column=column,
        met=met,
        found=found,
        failing_rows=rows,
        remedy="" if met else meta[REMEDY],
    )


def _listed(values: pl.Series, rows: tuple[int, ...]) -> str:
    """The first few different values of some rows."""
    different = values.gather(list(rows)).unique(maintain_order=True).head(VALUES_SHOWN)
    return ", ".join("nothing" if value is None else repr(value) for value in different)


def _found(details: Mapping[str, Any], raw: pl.DataFrame, judgement: Judgement) -> str:
    """Say in words what was found, without any value of a column."""
    mismatched = details.get("details", {}).get("mismatched", {})
    observed = details.get("observed_value")
    if not details:
        found = f"none of {raw.height} rows breaks it"
    elif "unexpected_count" in details:
        found = f"{details['unexpected_count']} of {details['element_count']} rows break it"
    elif mismatched:
        found = _columns_found(mismatched, judgement)
    elif details.get("partial_missing_list"):
        found = f"no row is {', '.join(map(str, details['partial_missing_list']))}"
    elif isinstance(observed, list):
        found = f"{len(set(raw.columns) - {ROW_ID, ROW_DIGEST})} columns"
    elif observed is None:
        found = "each of them"
    elif isinstance(observed, float):  # Great Expectations tells the share of rows that stand alone
        found = f"{1 - observed:.2%} of rows"
    else:
        found = f"{observed:.6g}"
    return found


def _columns_found(mismatched: Mapping[str, list[str]], judgement: Judgement) -> str:
    """Name the columns that are missing and those that are extra, and what hangs on them."""
    roles = {protected.column: f"protected attribute {n}" for n, protected in judgement.protected.items()}
    roles |= {judgement.data.label.column: "the label"}
    missing = [f"{c} ({roles[c]})" if c in roles else c for c in mismatched.get("missing", [])]
    found = {"missing": missing, "extra": mismatched.get("unexpected", [])}
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in found.items() if names)


def _sentence(expectation: Expectation) -> str:
    """One problem, with both sides, where it is and, where the rule does not tell, what to do."""
    where = words_of(expectation.part)
    if expectation.column is not None:
        where += f", column {expectation.column}"
    rows = ", ".join(str(row) for row in expectation.failing_rows)
    shown = f" (rows {rows}{', ...' if len(expectation.failing_rows) == ROWS_SHOWN else ''})" if rows else ""
    remedy = f"; {expectation.remedy}" if expectation.remedy else ""
    return f"{where}: expected {expectation.rule}, found {expectation.found}{shown}{remedy}"

"""Rows that stand more than once: within a part, and in both, where a model is asked what it learnt."""

from __future__ import annotations

import polars as pl

from tasks.plan.judgement import Judgement
from tasks.represent.records import Repeats


def find_repeats(train: pl.DataFrame, test: pl.DataFrame, judgement: Judgement) -> Repeats:
    """Count equal rows of both parts: equal in every input, missing values included.

    The label only settles whether equal inputs are labelled alike; no rate of it is taken.

    Args:
        train: the training part: the plan's columns and the label.
        test: the test part, likewise.
        judgement: names the columns, and the limit on leakage.
    """
    label = judgement.data.label.column
    inputs = [name for name in judgement.data.inputs if name in train.columns and name in test.columns]
    names = [*inputs, label]
    known, labelled = train.select(inputs).unique(), train.select(names).unique()
    leaked = test.join(known, on=inputs, how="semi", nulls_equal=True)
    identical = leaked.join(labelled, on=names, how="semi", nulls_equal=True)
    return Repeats(
        train_rows=train.height,
        train_repeated=train.height - known.height,
        train_identical=train.height - labelled.height,
        train_conflicting=_conflicting(train, inputs, label),
        test_rows=test.height,
        test_repeated=test.height - test.select(inputs).n_unique(),
        test_identical=test.height - test.select(names).n_unique(),
        test_conflicting=_conflicting(test, inputs, label),
        leaked=leaked.height,
        leaked_identical=identical.height,
        leaked_share=leaked.height / test.height if test.height else 0.0,
        limit=judgement.expectations.maximum_leakage_share,
    )


def _conflicting(part: pl.DataFrame, inputs: list[str], label: str) -> int:
    groups = part.group_by(inputs).agg(pl.len().alias("\0rows"), pl.col(label).n_unique().alias("\0labels"))
    return int(groups.filter(pl.col("\0labels") > 1)["\0rows"].sum())


def repeat_warnings(found: Repeats) -> list[str]:
    """What a reader should know of, where the plan sets no limit or keeps it."""
    lines = []
    if found.leaked:
        lines.append(
            f"leakage: the inputs of {found.leaked:,} of {found.test_rows:,} test rows "
            f"({found.leaked_share:.2%}) also stand in the training part, "
            f"{found.leaked_identical:,} with the same label"
        )
    for part, rows, repeated, conflicting in (
        ("training", found.train_rows, found.train_repeated, found.train_conflicting),
        ("test", found.test_rows, found.test_repeated, found.test_conflicting),
    ):
        if repeated:
            lines.append(
                f"duplicates: {repeated:,} of {rows:,} {part} rows ({repeated / rows:.2%}) repeat another's "
                f"inputs, and {conflicting:,} rows have the inputs of a row with another label"
            )
    return lines


def repeat_problems(found: Repeats) -> list[str]:
    """Leakage beyond the plan's limit, with both sides."""
    if found.limit is None or found.leaked_share <= found.limit:
        return []
    message = (
        f"leakage: the inputs of {found.leaked:,} of {found.test_rows:,} test rows "
        f"({found.leaked_share:.2%}) also stand in the training part > expectations.maximum_leakage_share "
        f"{found.limit:.2%}; remove them from one part, or divide the data by the unit that they share"
    )
    return [message]

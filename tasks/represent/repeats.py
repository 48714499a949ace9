"""Rows that stand more than once: within a part, and in both, where a model is asked what it learnt."""

from __future__ import annotations

import polars as pl

from tasks.plan.judgement import Judgement
from tasks.represent.records import Leak, Repeats


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


def find_leak(on: str, train: pl.DataFrame, rows: pl.DataFrame, judgement: Judgement) -> Leak:
    """Count the rows of an audit set whose inputs also stand in the training part.

    Args:
        on: the set's name.
        train: the training part.
        rows: the set, in the plan's types.
        judgement: of the plan.
    """
    taken = judgement.data.inputs
    own = judgement.sets[on].data.inputs if judgement.data.payload else taken
    names = {there: here for there, here in zip(own, taken, strict=True) if there in rows.columns}
    inputs = [here for here in names.values() if here in train.columns]
    found = rows.rename(names).join(train.select(inputs).unique(), on=inputs, how="semi", nulls_equal=True)
    return Leak(
        on=on,
        rows=rows.height,
        leaked=found.height,
        leaked_share=found.height / rows.height if rows.height else 0.0,
        limit=judgement.expectations.maximum_leakage_share,
    )


def leak_warnings(found: Leak) -> list[str]:
    """What a reader should know of where the plan sets no limit or keeps it."""
    return [_leaked(found)] if found.leaked else []


def leak_problems(found: Leak) -> list[str]:
    """Leakage beyond the plan's limit, with both sides."""
    if found.limit is None or found.leaked_share <= found.limit:
        return []
    most = f"expectations.maximum_leakage_share {found.limit:.2%}"
    return [f"{_leaked(found)} > {most}; remove them from the training part, or from the set"]


def _leaked(found: Leak) -> str:
    return (
        f"leakage: the inputs of {found.leaked:,} of {found.rows:,} rows of audit set {found.on} "
        f"({found.leaked_share:.2%}) also stand in the training part"
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

"""k-anonymity and l-diversity: how well a row hides among those that look like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from tasks.ingest.described import describe
from tasks.plan.data import Classes
from tasks.plan.judgement import Judgement
from tasks.represent.records import Anonymity

SMALL_CLASS = 5


def anonymity(rows: pl.DataFrame, quasi: Sequence[str], sensitive: str | None) -> Anonymity | None:
    """Count the rows that share every quasi-identifier, and the sensitive values among them.

    A table is k-anonymous if each of its rows shares its quasi-identifiers with at least k - 1 others
    (Sweeney 2002), and (distinct) l-diverse if each such class has at least l sensitive values
    (Machanavajjhala et al. 2007). A missing value is a value like any other.

    Args:
        rows: of the table.
        quasi: columns by which somebody might know a row.
        sensitive: the column that should not be learned so; None leaves l-diversity out.

    Returns:
        None without rows or quasi-identifiers: then nothing tells a row.
    """
    if rows.is_empty() or not quasi:
        return None
    diversity = pl.lit(None, pl.UInt32) if sensitive is None else pl.col(sensitive).n_unique()
    classes = rows.group_by(list(quasi)).agg(pl.len().alias("\0k"), diversity.alias("\0l"))
    sizes = classes["\0k"]
    return Anonymity(
        quasi_identifiers=tuple(quasi),
        rows=rows.height,
        classes=classes.height,
        smallest_k=int(sizes.min()),  # type: ignore[arg-type] # a count of at least one class
        small_share=float(sizes.filter(sizes < SMALL_CLASS).sum()) / rows.height,
        smallest_l=None if sensitive is None else int(classes["\0l"].min()),  # type: ignore[arg-type]
    )


def anonymity_of(parts: Iterable[pl.DataFrame], judgement: Judgement) -> Anonymity | None:
    """Of the described table: protected attributes, and further columns that the plan names.

    Args:
        parts: of the data, typed.
        judgement: of the plan. Where a number is predicted, l-diversity is left out: numbers differ.
    """
    privacy = judgement.privacy
    # A banded attribute's own column tells more than the band, so a plan may name it beside.
    taken = {protected.column for protected in judgement.protected.values() if protected.bins is None}
    further = [] if privacy is None else [name for name in privacy.quasi_identifiers if name not in taken]
    # An attribute may be called like another column, so they are told apart.
    named = [f"column {name}" for name in further]
    table = pl.concat(
        describe(part, judgement)
        .select(*judgement.protected, "label")
        .with_columns(pl.Series(new, part[name]) for new, name in zip(named, further, strict=True))
        for part in parts
    )
    sensitive = "label" if isinstance(judgement.data.label, Classes) else None
    return anonymity(table, [*judgement.protected, *named], sensitive)


def anonymity_warnings(found: Anonymity | None, judgement: Judgement) -> list[str]:
    """What a reader should know of where the plan asks for de-identification."""
    if found is None or judgement.privacy is None or found.smallest_k >= SMALL_CLASS:
        return []
    line = (
        f"k-anonymity: by {', '.join(found.quasi_identifiers)} the smallest class has {found.smallest_k} "
        f"rows, and {found.small_share:.2%} of {found.rows:,} rows are in classes below {SMALL_CLASS}"
    )
    diverse = "" if found.smallest_l is None else f"; l-diversity: smallest {found.smallest_l}"
    return [f"{line}{diverse}. Wider bands, or fewer columns, hide them better"]

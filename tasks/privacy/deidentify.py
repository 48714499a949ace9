"""De-identify a table: rules by column, and recognisers in its texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

import polars as pl

from tasks.errors import Refusal
from tasks.plan.deidentification import Band, Privacy
from tasks.privacy.keys import Key
from tasks.privacy.recognise import find, merged, replace
from tasks.privacy.tokens import MADE, token

YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")


def deidentify(
    frame: pl.DataFrame, privacy: Privacy, key: Key, names: frozenset[str] = frozenset()
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Put tokens, years and bands in place of what names a person.

    Args:
        frame: rows as a source has them; columns that the plan does not name stay as they are.
        privacy: the plan's rules.
        key: of the tokens.
        names: for the recogniser of names, folded.

    Returns:
        The same rows in their order, without the removed columns; and how many values, or places in
        texts, were replaced, by column rule (``column age: band``) and by kind (``EMAIL``).

    Raises:
        Refusal: a text could not be searched whole; with its column and row.
    """
    counted: Counter[str] = Counter()
    changed = []
    for name in frame.columns:
        if name in privacy.texts:
            changed.append(_searched(frame[name], privacy, key, names, counted))
        elif (rule := privacy.columns.get(name)) is not None and rule != "remove":
            changed.append(_by_rule(frame[name], rule, key, counted))
    kept = frame.with_columns(changed)
    return kept.drop([name for name in kept.columns if privacy.columns.get(name) == "remove"]), {
        name: counted[name] for name in sorted(counted)
    }


def raw_columns(frame: pl.DataFrame, privacy: Privacy) -> list[str]:
    """Columns that hold a value which de-identification would have replaced; names of a list are not sought.

    Args:
        frame: rows, of which columns without a rule are not looked at.
        privacy: the plan's rules.
    """
    return [name for name in frame.columns if _is_raw(frame[name].drop_nulls(), privacy)]


def _is_raw(values: pl.Series, privacy: Privacy) -> bool:
    rule, texts = privacy.columns.get(values.name), values.cast(pl.String).unique()
    if isinstance(rule, Band):
        number = values.cast(pl.Float64, strict=False)
        away = ((number / rule.band).round() * rule.band - number).abs()
        return not away.le(1e-9 * number.abs()).fill_null(value=False).all()
    if rule == "token":
        return not texts.str.contains(f"^{MADE}$").all()
    if rule == "year":
        return any(year_of(text) != text.removesuffix(".0") for text in texts)  # of a column of numbers
    return values.name in privacy.texts and any(find(text, privacy, frozenset()) for text in texts)


def _by_rule(values: pl.Series, rule: str | Band, key: Key, counted: Counter[str]) -> pl.Series:
    """A column by its rule; a missing value stays one, and what the rule can't read becomes one."""
    name, texts = values.name, values.cast(pl.String)
    if isinstance(rule, Band):
        width = rule.band
        number = values.cast(pl.Float64, strict=False)
        made = (number.fill_nan(None) / width).floor() * width
        whole = width.is_integer()
        counted[f"column {name}: band"] += values.count()
        return made.cast(pl.Int64, strict=False).cast(pl.String) if whole else made.cast(pl.String)
    made_of: Callable[[str], str | None] = year_of if rule == "year" else lambda one: token(key, name, one)
    counted[f"column {name}: {rule}"] += values.count()
    return _mapped(texts, {one: made_of(one) for one in texts.unique().drop_nulls()})


def year_of(value: str) -> str | None:
    """The one year that a date names, from 1800 to 2099, or None."""
    found = set(YEAR.findall(value))
    return found.pop() if len(found) == 1 else None


def _searched(
    values: pl.Series, privacy: Privacy, key: Key, names: frozenset[str], counted: Counter[str]
) -> pl.Series:
    """Texts with a token in place of every recognised span."""
    made: dict[str, str | None] = {}
    for text, times in values.cast(pl.String).drop_nulls().value_counts().iter_rows():
        try:
            spans = merged(find(text, privacy, names))
        except Refusal as error:
            row = values.cast(pl.String).to_list().index(text) + 1
            raise Refusal(f"column {values.name}, row {row}: {error}") from None
        for span in spans:
            counted[span.kind] += times
        made[text] = replace(text, spans, lambda kind, value: token(key, kind, value))
    return _mapped(values.cast(pl.String), made)


def _mapped(values: pl.Series, made: Mapping[str, str | None]) -> pl.Series:
    return pl.Series(values.name, [None if one is None else made[one] for one in values], dtype=pl.String)

"""Decisions that a change alone would turn: of the person's group, or of the one column that is nearest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from tasks.explain.records import Counterfactual, Counterfactuals
from tasks.plan.data import Audio, Data, Image, Tabular
from tasks.review.changed import GROUPS, Opened, turns_of
from tasks.review.draw import Rows
from tasks.review.records import Flips

MOST_ASKED = 5000
"""Decisions asked about, each once for every other level of each attribute."""
NEAREST = 100
"""Decisions of which the nearest counterfactual is looked for: hundreds of copies of each."""
INSTEAD = "random ones are drawn in their place"
Nearest = Callable[[Rows], Counterfactuals | str]
"""positions of rows -> what would have turned each, or why that can't be said."""


class Pool(NamedTuple):
    """What may be drawn as a counterfactual flip.

    Attributes:
        record: how they were found, or why there are none.
        rows: row_id of some, in a random order, of each attribute in turn; as many as any draw may need.
        nearest: of the same rows, the change that turns each; empty where a protected attribute does.
    """

    record: Flips
    rows: tuple[int, ...]
    nearest: tuple[Counterfactual, ...] = ()


def find_flips(opened: Opened, recorded: pl.Series, nearest: Nearest, seed: int, most: int) -> Pool:
    """Look for decisions that turn when a protected attribute alone changes.

    Where the model reads none, of a table those that turn by another value of a single other column.

    Args:
        opened: the test part.
        recorded: the predictions on record; an answer with noise that is not the decision is no flip.
        nearest: asked where the model of a table reads no protected attribute.
        seed: of the order in which decisions are looked at.
        most: rows that are kept.
    """
    order = np.random.default_rng(seed).permutation(opened.frame.height)
    data = opened.plan.judgement.data
    if isinstance(data, Tabular) and not opened.read:
        return _by_nearest(nearest, order[:NEAREST], most)
    if not opened.read and not opened.words:
        return Pool(_nothing(data), ())
    rows = opened.can_change(order)[:MOST_ASKED]
    turns = turns_of(opened, rows)
    flips = [row for row in rows.tolist() if any(turns.get(row, {}).values())]
    own = opened.decided(opened.frame[flips]) if flips else []
    turned = [row for row, decided in zip(flips, own, strict=True) if recorded[row] == decided]
    of = {
        name: [row for row in turned if turns[row].get(name)]
        for name in dict.fromkeys([*opened.read, *(name for name, _ in opened.words)])
    }
    # In turn, so that an attribute that turns half of all decisions, as age may, leaves room for the others.
    pool = dict.fromkeys(row for each in zip_longest(*of.values()) for row in each if row is not None)
    how: Literal["own value", "words"] = "own value" if opened.read else "words"
    told = _told(how, {name: len(rows) for name, rows in of.items()}, len(turns), len(turned))
    return Pool(Flips(by=how, asked=len(turns), turned=len(turned), told=told), tuple(pool)[:most])


def unturned(opened: Opened, rows: Sequence[int], nearest: Sequence[Counterfactual]) -> list[int]:
    """Those of some rows that no changed copy turns: each is tried again.

    Args:
        opened: the test part.
        rows: row_id of them.
        nearest: the change that turns each, of a pool that was found so.
    """
    if nearest:
        told = {one.row_id: one for one in nearest}
        return [row for row in rows if row not in told or not _turns(opened, told[row])]
    turns = turns_of(opened, np.array(rows, np.int64))
    return [row for row in rows if not any(turns.get(row, {}).values())]


def _turns(opened: Opened, one: Counterfactual) -> bool:
    row = opened.frame[[one.row_id]]
    changes = [pl.lit(each.to).cast(row.schema[each.column]).alias(each.column) for each in one.changes]
    before, after = opened.decided(pl.concat([row, row.with_columns(changes)]))
    return after == one.otherwise != before


def sentence(turns: dict[str, str | None]) -> str:
    """What other levels of the attributes do to a decision; none is named, since it tells the row's own.

    Args:
        turns: attribute -> the class that it would be, None where the decision stays.
    """
    turned = [f"{told} with another {_one(name)}" for name, told in turns.items() if told is not None]
    if turned:
        return f"It would be {', and '.join(turned)} and all else as it is."
    return f"With another {' or '.join(_one(name) for name in turns)} alone it would be the same."


def _one(name: str) -> str:
    return "group" if name == GROUPS else name.replace("_", " ")


def _by_nearest(nearest: Nearest, rows: Rows, most: int) -> Pool:
    found = nearest(rows)
    why = "the model reads no protected attribute"
    if isinstance(found, str):
        return Pool(Flips(by="nothing", asked=0, turned=0, told=f"{why}, and {found}; {INSTEAD}"), ())
    asked = len(found.found)
    single = [one for one in found.found if one.otherwise is not None and len(one.changes) == 1]
    if single and not found.reliable:
        told = f"{why}, and what is nearest to turning a decision fails its check; {INSTEAD}"
        return Pool(Flips(by="nothing", asked=asked, turned=0, told=told), ())
    told = f"{why}; of {asked:,} decisions {_count(len(single))} by another value of a single other column"
    told += "" if single else f"; {INSTEAD}"
    flips = Flips(by="nearest counterfactual", asked=asked, turned=len(single), told=told)
    kept = tuple(single[:most])
    return Pool(flips, tuple(one.row_id for one in kept), kept)


def _told(how: str, of: Mapping[str, int], asked: int, turned: int) -> str:
    """In words; with several attributes how many decisions each of them turns."""
    names = " or ".join(map(_one, of))
    if how == "own value":
        told = f"of {asked:,} decisions {_count(turned)} when {names} alone is another"
    else:
        told = f"of {asked:,} texts with words for a {names} {_count(turned)} when these words are swapped"
    each = ", ".join(f"{_one(name)} {count:,}" for name, count in of.items())
    several = f": {each}" if len(of) > 1 else ""
    return f"{told}{several}" if turned else f"{told}; {INSTEAD}"


def _count(turned: int) -> str:
    return f"{turned:,} turn{'s' if turned == 1 else ''}" if turned else "none turns"


def _nothing(data: Data) -> Flips:
    if isinstance(data, Image | Audio):
        what = "an image" if isinstance(data, Image) else "a recording"
        why = (
            f"the model reads no column of a protected attribute, and {what} of the same with another person "
            "can't be made by changing a value"
        )
    else:
        why = (
            "the plan lists no words that name a group (judgement.data.identities of a protected attribute, "
            "or swaps of a step `counterfactual`)"
        )
    return Flips(by="nothing", asked=0, turned=0, told=f"{why}; {INSTEAD}")

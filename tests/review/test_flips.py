"""Counterfactual flips: found on a real table and on texts, and an empty pool that says why."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.explain.records import Check, Counterfactuals
from tasks.review.changed import Opened, turns_of
from tasks.review.explained import nearest
from tasks.review.flips import find_flips, unturned

from .packets import Table, changed, no_table


@pytest.fixture(scope="module")
def table(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    return Table(mirror, tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def blind(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The same, which sees no protected attribute."""
    return Table(mirror, tmp_path_factory.mktemp("blind"), "recipe.features.exclude=[sex, race, age]")


def test_a_tables_flips_turn_by_a_protected_attribute_alone(table: Table) -> None:
    pool, seen = table.pool(), table.opened
    assert pool.record.by == "own value"
    assert 0 < pool.record.turned < pool.record.asked == seen.frame.height
    assert f"of {seen.frame.height} decisions {pool.record.turned} turn" in pool.record.told
    turns = turns_of(seen, np.arange(seen.frame.height))
    of = {name: {row for row, own in turns.items() if own[name]} for name in ("sex", "race", "age_band")}
    sex, race, age = (len(rows) for rows in of.values())
    assert pool.record.told.endswith(f"is another: sex {sex}, race {race}, age band {age}")
    # However many ages turn, the others have their share of what may be drawn, as far as there are some.
    assert all(len(rows & set(pool.rows)) >= min(6, len(rows)) for rows in of.values())
    assert len(pool.rows) == min(20, pool.record.turned)
    assert pool == table.pool()
    # By hand: each sex and race and the middle of each band of ages, one at a time, through the front door.
    ages = [
        seen.frame["age"].filter(seen.described["age_band"] == band).quantile(0.5, "lower")
        for band in seen.described["age_band"].unique().sort()
    ]
    for row in pool.rows[:5]:
        own = seen.frame[row]
        tried = [
            seen.decided(own.with_columns(pl.lit(value).cast(own.schema[name]).alias(name)))[0]
            for name, values in {
                "sex": ["Female", "Male"],
                "race": seen.frame["race"].unique().to_list(),
                "age": ages,
            }.items()
            for value in values
        ]
        assert set(tried) == {"<=50K", ">50K"}


def test_a_row_that_does_not_turn_is_found_when_flips_are_tried_again(table: Table) -> None:
    recorded = pl.Series(table.opened.decided(table.opened.frame))
    pool = find_flips(table.opened, recorded, no_table, seed=1, most=1000)
    other = next(row for row in range(table.opened.frame.height) if row not in pool.rows)
    assert unturned(table.opened, [*pool.rows, other], ()) == [other]


def test_an_answer_that_is_not_the_models_decision_is_no_flip(table: Table) -> None:
    """Answers with noise: what is on record may be the other class by chance."""
    decided = table.opened.decided(table.opened.frame)
    noisy = pl.Series(["<=50K" if told == ">50K" else ">50K" for told in decided])
    assert find_flips(table.opened, noisy, no_table, seed=1, most=20).record.turned == 0


def test_of_a_model_that_sees_no_group_the_nearest_counterfactual_is_drawn(blind: Table) -> None:
    pool = blind.pool()
    assert blind.opened.read == {}
    assert pool.record.by == "nearest counterfactual"
    assert pool.record.told.startswith("the model reads no protected attribute; of 100 decisions")
    assert pool.rows
    assert [one.row_id for one in pool.nearest] == list(pool.rows)
    other = next(row for row in range(blind.opened.frame.height) if row not in pool.rows)
    assert unturned(blind.opened, [*pool.rows, other], pool.nearest) == [other]
    same = blind.opened.frame[pool.nearest[0].changes[0].column][pool.rows[0]]
    idle = pool.nearest[0].changes[0].model_copy(update={"to": same})
    unmoved = pool.nearest[0].model_copy(update={"changes": (idle,)})
    assert unturned(blind.opened, pool.rows, (unmoved, *pool.nearest[1:])) == [pool.rows[0]]
    found = nearest(blind.opened, np.array(pool.rows), lambda: blind.train, blind.folder)
    assert isinstance(found, Counterfactuals)
    assert all(
        len(one.changes) == 1 and one.changes[0].column not in ("sex", "race", "age") for one in found.found
    )
    unsafe = found.model_copy(
        update={"checks": (Check.of("confirmed", 0.5, "at least", 1, ""),), "reliable": False}
    )
    pool = find_flips(blind.opened, pl.Series([""]), lambda _: unsafe, seed=1, most=20)
    assert (pool.record.turned, pool.rows) == (0, ())
    assert "fails its check; random ones are drawn in their place" in pool.record.told


def test_what_can_not_be_looked_for_is_said(blind: Table) -> None:
    operations = blind.plan.operations.model_copy(update={"explanations": None})
    silent = replace(blind.opened, plan=blind.plan.model_copy(update={"operations": operations}))
    near = partial(nearest, silent, train=lambda: blind.train, folder=blind.folder)
    pool = find_flips(silent, pl.Series([""]), near, seed=1, most=20)
    assert pool.rows == ()
    assert "the plan asks for no explanations" in pool.record.told


def test_texts_flips_turn_when_words_for_a_group_are_swapped(texts: Opened) -> None:
    recorded = pl.Series(texts.decided(texts.frame))
    pool = find_flips(texts, recorded, no_table, seed=1, most=200)
    named = texts.frame["tweet"].str.contains(r"\b(?:woman|man)\b")
    assert (pool.record.by, pool.record.asked) == ("words", int(named.sum()))
    assert pool.rows
    assert named[list(pool.rows)].all()
    swapped = texts.frame[list(pool.rows)].with_columns(
        pl.Series(
            "tweet",
            [
                re.sub(r"\b(wo)?man\b", lambda found: "man" if found[1] else "woman", text)
                for text in texts.frame["tweet"][list(pool.rows)]
            ],
        )
    )
    assert all(
        before != after
        for before, after in zip(recorded[list(pool.rows)], texts.decided(swapped), strict=True)
    )


def test_an_empty_pool_says_why(texts: Opened, pictures: Opened, recordings: Opened) -> None:
    data = texts.plan.judgement.data.model_copy(update={"identities": {}})
    nameless = replace(texts, plan=changed(texts.plan, data=data))
    for why, rows in {
        "lists no words": nameless,
        "an image of the same with another person can't be made": pictures,
        "a recording of the same with another person can't be made": recordings,
    }.items():
        pool = find_flips(rows, pl.Series([""]), no_table, seed=1, most=20)
        assert (pool.record.by, pool.record.turned, pool.rows) == ("nothing", 0, ())
        assert why in pool.record.told
        assert "random ones are drawn in their place" in pool.record.told
    unmoved = replace(texts, frame=texts.frame.with_columns(pl.lit("the day").alias("tweet")))
    pool = find_flips(unmoved, pl.Series([""] * 160), no_table, seed=1, most=20)
    assert pool.record.told.startswith("of 0 texts with words for a gender none turns")

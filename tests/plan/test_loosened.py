"""What a newer judgement asks less strictly is named; what it asks more strictly is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.plan.judgement import Judgement
from tasks.plan.loosened import loosened

DOCUMENT = yaml.safe_load(Path("data/adult/plan.yaml").read_text())["judgement"]


def changed(*changes: tuple[str, Any]) -> Judgement:
    document = yaml.safe_load(yaml.safe_dump(DOCUMENT))
    for path, value in changes:
        place, *rest = (int(key) if key.isdecimal() else key for key in path.split("."))
        inner = document
        for key in rest:
            inner, place = inner[place], key
        if value is None:
            del inner[place]
        else:
            inner[place] = value
    return Judgement.model_validate(document)


BEFORE = changed(("test_set", {"max_judgements": 20}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("limits.0.limit", 0.19)], "the limit on demographic_parity_difference by sex is 0.19"),
        ([("limits.1", None)], "the limit on equalized_odds_difference by sex (0.15) was dropped"),
        (
            [("data.columns.sex.spellings", {"F": "Female"})],
            "groups of sex are made otherwise: other spellings, table or terms",
        ),
        (
            [("data.columns.race.looked_up", {"column": "native-country", "values": {"Cuba": "Other"}})],
            "groups of race are made otherwise",
        ),
        ([("protected.age_band", None), ("population", None)], "protected attribute age_band was dropped"),
        (
            [("protected.age_band.bins", [17, 35, 65])],
            "groups of age_band were merged: no edge at 25, 45, 55",
        ),
        ([("alpha", 0.1)], "alpha is 0.1, it was 0.05"),
        ([("performance.0.minimum", 0.5)], "the minimum accuracy is 0.5, it was 0.83"),
        ([("performance.1", None)], "the minimum auc is gone"),
        ([("test_set", {"max_judgements": 1})], "max_judgements is 1, it was 20"),
        ([("data.sources.1.sha256", "0" * 64)], "the test set changed"),
        ([("champion.margin", 0.05)], "a champion may be 0.05 worse"),
        ([("on_inconclusive", "review")], "a model of which a limit can't be shown may get an alias"),
        ([("population", None)], "the reference population was dropped"),
        (
            [("population.raking", None), ("population.ratio_limits", [0.5, 2])],
            "raking to the reference population",
        ),
        ([("protected.sex.column", "race")], "protected attribute sex is read from race"),
    ],
)
def test_what_became_looser_is_named(changes: list[tuple[str, Any]], told: str) -> None:
    after = changed(("test_set", {"max_judgements": 20}), *changes)
    assert any(sentence.startswith(told) for sentence in loosened(BEFORE, after)), loosened(BEFORE, after)


def test_groups_no_longer_judged_are_named() -> None:
    strict = changed(("too_small", {"policy": "inconclusive"}))
    assert any("not judged any more" in each for each in loosened(strict, changed()))
    lower = changed(("too_small", {"policy": "report", "smallest_denominator": 50}))
    assert any("it was 50" in each for each in loosened(lower, changed()))


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("limits.0.limit", 0.05)],
        [("alpha", 0.01)],
        [("performance.0.minimum", 0.9)],
        [("protected.age_band.bins", [17, 25, 30, 35, 45, 55, 65])],
    ],
)
def test_what_became_stricter_is_not(changes: list[tuple[str, Any]]) -> None:
    assert loosened(changed(), changed(*changes)) == ()


@pytest.mark.parametrize("metric", ["demographic_parity_ratio", "tpr_minimum"])
def test_a_limit_from_below_is_looser_when_it_is_lower(metric: str) -> None:
    limit = {"metric": metric, "attribute": "sex", "limit": 0.8}
    before = changed(("limits.0", limit))
    assert loosened(before, changed(("limits.0", {**limit, "limit": 0.7})))
    assert not loosened(before, changed(("limits.0", {**limit, "limit": 0.9})))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("population.raking.maximum_weight", 20, "the limit on the largest raking weight is 20, it was 10"),
        ("population.raking.minimum_effective_share", 0.3, "the least effective share after raking is 0.3"),
        ("expectations.maximum_null_share", 0.5, "the limit on the share of nulls is 0.5, it was 0.1"),
        ("drift", {"maximum_drifted_share": 0.9}, "the limit on drift's maximum_drifted_share is 0.9"),
    ],
)
def test_looser_demands_on_the_data_are_named(path: str, value: Any, told: str) -> None:
    (sentence,) = loosened(changed(), changed((path, value)))
    assert sentence.startswith(told)


def test_limits_that_are_gone_are_named() -> None:
    before = changed(("expectations.maximum_leakage_share", 0.01), ("population.effect_limits", {"psi": 0.1}))
    assert [sentence.partition(" is gone")[0] for sentence in loosened(before, changed())] == [
        "the limit on psi from the reference population",
        "the limit on the share of test rows leaked",
    ]


def test_a_test_set_chosen_otherwise_is_told() -> None:
    women, men = (changed(("test_set", {"where": {"sex": [sex]}})) for sex in ("Female", "Male"))
    assert loosened(women, men) == ("the test set changed: other files, bytes, share or values",)
    share, stratified = (
        changed(("test_set", {"fraction": 0.2, "stratified": flag})) for flag in (False, True)
    )
    assert loosened(share, stratified) == ("the test set changed: other files, bytes, share or values",)


def test_identity_terms_that_changed_are_told() -> None:
    document = yaml.safe_load(Path("data/hate-speech/plan.yaml").read_text())["judgement"]
    before = Judgement.model_validate(document)
    document["data"]["identities"]["gender"]["women"] = ["woman"]
    (told,) = loosened(before, Judgement.model_validate(document))
    assert told == "groups of gender are made otherwise: other spellings, table or terms"

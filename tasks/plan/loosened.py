"""What a newer judgement asks less strictly than an earlier one, in words for whoever signs."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.evidence.records import Record
from tasks.plan.data import Text
from tasks.plan.judgement import Judgement, Limit
from tasks.plan.metrics import METRICS


class Loosened(Record):
    """What the judgement in force asks less strictly than the champion's.

    Attributes:
        since: the champion compared with, "" when there is none.
        sentences: each difference; empty when there is none.
    """

    since: str
    sentences: tuple[str, ...]


def loosened(before: Judgement, now: Judgement) -> tuple[str, ...]:
    """Loosened limits, dropped attributes, merged groups, a changed test set: each as a sentence.

    What became stricter is not listed.

    Args:
        before: the judgement of the version compared with.
        now: the judgement in force.
    """
    return (
        *_attributes(before, now),
        *_limits(before, now),
        *_levels(before, now),
        *_test_set(before, now),
        *_performance(before, now),
        *_population(before, now),
        *_data(before, now),
        *_audits(before, now),
        *_privacy(before, now),
    )


def _privacy(before: Judgement, now: Judgement) -> Iterator[str]:
    if before.privacy is None:
        return
    if now.privacy is None:
        yield "personal data is pinned as it is: it was de-identified"
        return
    for name in sorted(before.privacy.columns.keys() - now.privacy.columns.keys()):
        yield f"column {name} is not de-identified any more"
    if fewer := sorted({*before.privacy.texts} - {*now.privacy.texts, *now.privacy.columns}):
        yield f"texts are not searched for personal data any more: {', '.join(fewer)}"
    if fewer := sorted({*before.privacy.recognise} - {*now.privacy.recognise}):
        yield f"not recognised in texts any more: {', '.join(fewer)}"
    if now.privacy.minimum_score > before.privacy.minimum_score:
        yield (
            f"personal data is recognised from score {now.privacy.minimum_score:g} on, it was "
            f"{before.privacy.minimum_score:g}"
        )


def _attributes(before: Judgement, now: Judgement) -> Iterator[str]:
    for name, was in before.protected.items():
        present = now.protected.get(name)
        if present is None:
            yield f"protected attribute {name} was dropped"
        elif present.column != was.column:
            yield f"protected attribute {name} is read from {present.column}, it was {was.column}"
        elif merged := sorted(set(was.bins or []) - set(present.bins or [])):
            yield f"groups of {name} were merged: no edge at {', '.join(f'{edge:g}' for edge in merged)}"
        elif _making(before, was.column) != _making(now, was.column):
            yield f"groups of {name} are made otherwise: other spellings, table or terms"
    if before.unit is not None and now.unit != before.unit:
        yield f"the sampling unit is {now.unit or 'the row'}, it was {before.unit}"


def _making(judgement: Judgement, column: str) -> tuple[object, ...]:
    """What decides the levels of a column: its spellings, its table, or the terms that are looked for."""
    data = judgement.data
    made = data.described()[column]
    terms = data.identities.get(column) if isinstance(data, Text) else None
    return made.spellings, made.looked_up, terms


def _limits(before: Judgement, now: Judgement) -> Iterator[str]:
    present = {(limit.metric, limit.attribute): limit for limit in now.limits}
    for was in before.limits:
        same = present.get((was.metric, was.attribute))
        what = f"{was.metric} by {was.attribute}"
        if same is None:
            yield f"the limit on {what} ({was.limit:g}) was dropped"
        elif _looser(was, same):
            yield f"the limit on {what} is {same.limit:g}, it was {was.limit:g}"


def _looser(was: Limit, now: Limit) -> bool:
    from_below = METRICS[was.metric].kind in ("ratio", "minimum")
    return now.limit < was.limit if from_below else now.limit > was.limit


def _levels(before: Judgement, now: Judgement) -> Iterator[str]:
    if now.alpha > before.alpha:
        yield f"alpha is {now.alpha:g}, it was {before.alpha:g}"
    was, present = before.too_small, now.too_small
    if (was.policy, present.policy) == ("inconclusive", "report"):
        yield f"groups with fewer than {present.smallest_denominator} rows are listed and not judged any more"
    elif present.policy == "report" and present.smallest_denominator > was.smallest_denominator:
        yield (
            f"groups with fewer than {present.smallest_denominator} rows are not judged, "
            f"it was {was.smallest_denominator}"
        )
    if (before.on_inconclusive, now.on_inconclusive) == ("undecided", "review"):
        yield "a model of which a limit can't be shown may get an alias, by two reviewers' approval"
    if now.champion.margin > before.champion.margin:
        yield f"a champion may be {now.champion.margin:g} worse, it was {before.champion.margin:g}"


def _test_set(before: Judgement, now: Judgement) -> Iterator[str]:
    def tested(judgement: Judgement) -> tuple[object, ...]:
        part = {(source.name, source.sha256) for source in judgement.data.sources if source.part != "train"}
        chosen = judgement.test_set
        return part, chosen.fraction, chosen.stratified, chosen.where

    if tested(before) != tested(now):
        yield "the test set changed: other files, bytes, share or values"
    if now.test_set.max_judgements < before.test_set.max_judgements:
        yield (
            f"max_judgements is {now.test_set.max_judgements}, it was {before.test_set.max_judgements}: "
            "each judgement is made at a larger level"
        )
    if before.data.label != now.data.label:
        yield "the label, its classes or their spellings changed"


def _performance(before: Judgement, now: Judgement) -> Iterator[str]:
    present = {required.metric: required.minimum for required in now.performance}
    for was in before.performance:
        if present.get(was.metric, 0.0) < was.minimum:
            found = f"{present[was.metric]:g}" if was.metric in present else "gone"
            yield f"the minimum {was.metric} is {found}, it was {was.minimum:g}"


def _population(before: Judgement, now: Judgement) -> Iterator[str]:
    was, present = before.population, now.population
    if was is None:
        return
    if present is None:
        yield "the reference population was dropped"
        return
    if dropped := sorted(set(was.attributes) - set(present.attributes)):
        yield f"the reference population is no longer compared by {', '.join(dropped)}"
    if was.sha256 != present.sha256:
        yield "the reference population has other figures"
    if was.ratio_limits is not None and (
        present.ratio_limits is None
        or present.ratio_limits[0] < was.ratio_limits[0]
        or present.ratio_limits[1] > was.ratio_limits[1]
    ):
        found = list(present.ratio_limits or ()) or "none"
        yield f"the limits of representation ratios are {found}, they were {list(was.ratio_limits)}"
    if was.raking is not None and present.raking is None:
        yield "raking to the reference population was dropped"
    elif was.raking is not None and present.raking is not None:
        yield from _raised(
            "a raked margin's distance", was.raking.margin_tolerance, present.raking.margin_tolerance
        )
        yield from _raised(
            "the largest raking weight", was.raking.maximum_weight, present.raking.maximum_weight
        )
        share, least = was.raking.minimum_effective_share, present.raking.minimum_effective_share
        if least < share:
            yield f"the least effective share after raking is {least:g}, it was {share:g}"
    for name in ("cohen_w", "psi", "js_distance"):
        before_, now_ = (getattr(each.effect_limits, name, None) for each in (was, present))
        yield from _raised(f"{name} from the reference population", before_, now_)


def _data(before: Judgement, now: Judgement) -> Iterator[str]:
    was, present = before.expectations, now.expectations
    yield from _raised(
        "the share of test rows leaked", was.maximum_leakage_share, present.maximum_leakage_share
    )
    yield from _raised("the share of nulls", was.maximum_null_share, present.maximum_null_share)
    yield from _raised(
        "the share of duplicates", was.maximum_duplicate_share, present.maximum_duplicate_share
    )
    for name in ("maximum_category_distance", "maximum_number_distance", "maximum_drifted_share"):
        yield from _raised(f"drift's {name}", getattr(before.drift, name), getattr(now.drift, name))


def _audits(before: Judgement, now: Judgement) -> Iterator[str]:
    """Audit sets that were dropped, that hold other rows, or that ask less of them."""
    for name, was in before.audits.items():
        present = now.audits.get(name)
        if present is None:
            limits = ", ".join(f"{limit.metric} by {limit.attribute}" for limit in was.limits)
            yield f"audit set {name} was dropped, with its limits on {limits}"
            continue
        rows, found = ((each.data.sources, each.data.label, each.where) for each in (was, present))
        if rows != found:
            yield f"audit set {name} has other rows: other files, labels or `where`"
        if was.answers != present.answers:
            yield f"audit set {name} takes the model's classes for other answers"
        sets = before.sets[name], now.sets[name]
        yield from (f"audit set {name}: {line}" for line in (*_attributes(*sets), *_limits(*sets)))


def _raised(what: str, was: float | None, now: float | None) -> Iterator[str]:
    """A largest value that was raised or is no longer limited."""
    if was is not None and (now is None or now > was):
        yield f"the limit on {what} is {'gone' if now is None else format(now, 'g')}, it was {was:g}"

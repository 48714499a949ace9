"""The sample against the reference population: ratios, effects and raking, with what does not hold.

Pure: needs the described rows, the plan's judgement and the reference file, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tasks.fairness.verdict import Verdict
from tasks.plan.base import crossing
from tasks.plan.judgement import Judgement, Population
from tasks.represent.effects import effect_problems, effects, judge_effects
from tasks.represent.population import compared_attributes, read_reference, uncovered
from tasks.represent.raking import rake, weighted
from tasks.represent.ratios import Limits, ratios
from tasks.represent.records import Effect, Ratio, Represented
from tasks.represent.table import JOINER, Table, effective_rows, tabulate

CONVENTION: Limits = (0.8, 1.25)  # the four-fifths band: a convention, not a law of sampling


def compare(described: pl.DataFrame, judgement: Judgement, folder: Path) -> Represented:
    """Compare the training part with the plan's reference population.

    Args:
        described: one row per sample: a String column per protected attribute, and `unit` if any.
        judgement: what must hold; without `population` nothing is compared.
        folder: the plan's folder, in which the reference lies.

    Returns:
        the step's record, without drift.

    Raises:
        SourceError: the reference is absent or has other bytes than the plan pins.
        Refusal: the reference can't be read as counts.
    """
    population = judgement.population
    if population is None:
        return _without_population()
    attributes = compared_attributes(population)
    reference = read_reference(population, judgement, folder)
    found = {name: described[name].unique().to_list() for name in reference.attributes}
    reference = reference.widened(found)
    sample = tabulate(described, reference.levels)
    rows = effective_rows(described)
    raked = None if population.raking is None else rake(sample, reference, population.raking)
    after = None if raked is None or not raked.cells else weighted(sample, raked)
    limits = population.ratio_limits
    # A raked margin is shown even if the plan compares only its parts.
    every = ratios(sample, reference, attributes, limits, alpha=judgement.alpha, rows=rows, raked=after)
    judged = _judged_effects(sample, reference, judgement, rows)
    gated = {JOINER.join(crossing(name)) for name in population.attributes}
    problems = [
        *uncovered(sample, reference, attributes),
        *ratio_problems([ratio for ratio in every if ratio.attribute in gated], population, described.height),
        *effect_problems(judged),
        *(raked.problems if raked else ()),
    ]
    return Represented(
        ratios=every,
        effects={JOINER.join(names): effects(sample, reference, names, rows) for names in attributes},
        raked=raked,
        drift=(),
        drift_against="nothing",
        warnings=() if limits else tuple(ratio_warnings(every)),
        problems=tuple(dict.fromkeys(problems)),
        judged_effects=judged,
    )


def _judged_effects(sample: Table, reference: Table, judgement: Judgement, rows: float) -> tuple[Effect, ...]:
    population = judgement.population
    if population is None or population.effect_limits is None:
        return ()
    names = tuple(dict.fromkeys(crossing(name) for name in population.attributes))
    return judge_effects(sample, reference, names, population.effect_limits, alpha=judgement.alpha, rows=rows)


def _without_population() -> Represented:
    return Represented(
        ratios=(),
        effects={},
        raked=None,
        drift=(),
        drift_against="nothing",
        warnings=("the plan names no reference population: whom the data represents was not judged",),
        problems=(),
    )


def ratio_problems(judged: Sequence[Ratio], population: Population, rows: int) -> list[str]:
    """Ratios that are not shown to lie within the plan's limits, each with both sides."""
    if population.ratio_limits is None:
        return []
    low, high = population.ratio_limits
    return [
        f"{ratio.attribute}: {_sides(ratio)}; {_found(ratio)} "
        f"{'lies outside' if ratio.verdict is Verdict.FAIL else 'is not shown to lie within'} "
        f"ratio_limits [{low:g}, {high:g}]: {ratio.verdict} (n={ratio.n} of {rows}); "
        "collect rows that bring the shares together"
        for ratio in judged
        if ratio.verdict is not Verdict.PASS
    ]


def ratio_warnings(compared: Sequence[Ratio]) -> list[str]:
    """Ratios outside the conventional band, where the plan sets no limits of its own."""
    low, high = CONVENTION
    return [
        f"{ratio.attribute}: {_sides(ratio)}; {_found(ratio)} is outside the conventional four-fifths band "
        f"[{low:g}, {high:g}]"
        + (f"; {_share(ratio.raked_share)} after raking" if ratio.raked_share is not None else "")
        for ratio in compared
        if ratio.ratio is None or not low <= ratio.ratio <= high
    ]


def _sides(ratio: Ratio) -> str:
    rows, persons = _share(ratio.sample_share), _share(ratio.population_share)
    return f"{ratio.level} is {rows} of the rows and {persons} of the population"


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.01 else f"{share:.2%}"


def _found(ratio: Ratio) -> str:
    if ratio.ratio is None:
        return "the undefined ratio"
    return f"ratio {ratio.ratio:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"

"""Federated learning: clients that keep their rows, and what leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tasks.plan.base import Member
from tasks.plan.data import Classes
from tasks.plan.model import Pretrained
from tasks.plan.training import Plateau

if TYPE_CHECKING:
    from tasks.plan.judgement import Judgement
    from tasks.plan.recipe import Recipe

SUMMED = ("audio", "image")
"""Kinds of data whose features are means and deviations, so that sums over the clients suffice."""
MOST_CELLS = 2_000_000
"""Of an audit cube that clients add under masks: each sends 8 bytes for every cell, filled or not."""
PUBLIC = "tabular"
"""The kind whose features the plan can state: every level of a category, both bounds of a number."""


class FedAvg(Member):
    """The mean of the clients' weights, by their rows (McMahan et al. 2017)."""

    kind: Literal["fedavg"] = "fedavg"


class FedProx(Member):
    """Likewise, each client held near the weights that it was sent (Li et al. 2020)."""

    kind: Literal["fedprox"]
    proximal: Annotated[float, Field(gt=0)] = Field(
        description="mu: half of it times the squared distance is added to a client's loss"
    )


Strategy = Annotated[FedAvg | FedProx, Field(discriminator="kind")]


class Federated(Member):
    """Training by clients that keep their rows: only sums over several of them can be read."""

    clients: str = Field(description="a protected attribute or a described column: a client for each level")
    rounds: Annotated[int, Field(ge=1)]
    local_epochs: Annotated[int, Field(ge=1)] = Field(1, description="passes over its rows, a round")
    strategy: Strategy = FedAvg()
    mode: Literal["simulation", "processes"] = Field(
        "simulation",
        description="all clients in this process, or a process for each, which holds its own rows alone",
    )
    minimum_clients: Annotated[int, Field(ge=3)] = Field(
        3, description="fewer end the run; of two, each could subtract its own from the sum"
    )
    wait_seconds: Annotated[float, Field(gt=0)] = Field(
        600.0, description="after which a round goes on without a client that has not answered"
    )


def with_epochs(recipe: Any) -> Any:
    """The recipe as written, with the epochs that follow from the rounds where they are left unsaid."""
    federated = recipe.get("federated")
    training = recipe.get("training") or {}
    if not isinstance(federated, dict) or not isinstance(training, dict) or "epochs" in training:
        return recipe
    rounds, local = federated.get("rounds"), federated.get("local_epochs", 1)
    if not isinstance(rounds, int) or not isinstance(local, int):
        return recipe  # the types refuse it
    return {**recipe, "training": {**training, "epochs": rounds * local}}


def federated_problems(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """What needs rows of several clients in one place, and so can't be done."""
    federated = recipe.federated
    if federated is None:
        return
    data, training, at = judgement.data, recipe.training, "recipe.federated"
    known = dict.fromkeys([*judgement.protected, *data.described()])
    if federated.clients not in known:
        told = ", ".join(known)
        yield f"{at}.clients: {federated.clients!r} is neither protected nor described (there are: {told})"
    if data.kind == PUBLIC:
        yield from (f"{at}: {problem}" for problem in _unstated(judgement, recipe))
    elif data.kind not in SUMMED:
        yield f"{at}: the vocabulary of {data.kind} is learned of rows in one place"
    if not isinstance(data.label, Classes):
        yield f"{at}: classes are expected; the scale of a label that is a number is learned of all rows"
    wanted = federated.rounds * federated.local_epochs
    if training.epochs != wanted:
        found = training.epochs
        yield f"recipe.training.epochs: rounds x local_epochs = {wanted}, found {found}; leave it out"
    yield from _uncounted(judgement)
    yield from (f"{at}: {problem}" for problem in _apart(judgement, recipe))


def levels_of(judgement: Judgement, attribute: str) -> list[str] | None:
    """Every level that a protected attribute may have, as the plan declares them; None where it does not."""
    protected = judgement.protected[attribute]
    column = judgement.data.described().get(protected.column)
    return protected.levels() or (None if column is None else column.values)


def _uncounted(judgement: Judgement) -> Iterator[str]:
    """What keeps the clients' cubes from being added, under masks, in cells that all of them know."""
    if judgement.unit is not None:
        yield (
            "judgement.unit: with recipe.federated it must be null: counts by unit are on record, and "
            f"those of a unit of {judgement.unit!r} would tell a single client's own"
        )
    cells = len(getattr(judgement.data.label, "values", ())) ** 2
    for name in judgement.protected:
        levels = levels_of(judgement, name)
        cells *= 1 + len(levels or ())
        if levels is None:
            yield (
                f"judgement.protected.{name}: its levels must be declared, by `values` of the column or by "
                "`bins`: clients add their counts in cells that the plan names"
            )
    if cells > MOST_CELLS:
        yield (
            f"judgement.protected: the declared levels make {cells} cells, at most {MOST_CELLS} are summed "
            "over clients; leave out an attribute, or take wider bins"
        )


def _unstated(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """Columns of a table of which quantiles or levels would have to be learned of rows in one place."""
    excluded = getattr(recipe.features, "exclude", [])
    for name, column in judgement.data.described().items():
        stated = column.values if column.type == "category" else None not in (column.minimum, column.maximum)
        if name not in excluded and not stated:
            what = "its `values`" if column.type == "category" else "its `minimum` and `maximum`"
            yield (
                f"judgement.data.columns.{name}: {what} are learned of rows in one place: state them, or "
                "leave the column out by recipe.features.exclude"
            )


def _apart(judgement: Judgement, recipe: Recipe) -> Iterator[str]:
    """Members of the plan that federated training leaves no room for."""
    training = recipe.training
    if recipe.privacy is not None:
        yield "recipe.privacy: its budget is accounted for rows in one place; leave one of both out"
    if recipe.mitigation:
        kinds = ", ".join(step.kind for step in recipe.mitigation)
        yield f"recipe.mitigation ({kinds}) looks at rows of all clients; leave it out"
    if judgement.population is not None and judgement.population.raking is not None:
        yield "judgement.population.raking weighs rows of all clients; leave it out"
    if recipe.tuning is not None:
        yield "recipe.tuning is not done over clients; leave it out"
    if training.workers > 1:
        yield f"recipe.training.workers: clients do the training, 1 is expected, found {training.workers}"
    if training.compile:
        yield "recipe.training.compile: each client would compile its own; false is expected"
    if isinstance(training.schedule, Plateau):
        yield "recipe.training.schedule: a plateau is seen by the server alone; another kind is expected"
    if isinstance(recipe.model, Pretrained):
        yield "recipe.model: a pretrained model thaws by epochs, which clients do not keep"

"""Registration as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.errors import Refusal
from tasks.evaluate.records import Evaluated
from tasks.evidence.records import Dataset
from tasks.fairness.allowance import Allowance
from tasks.fairness.verdict import Verdicts
from tasks.plan import Plan
from tasks.privacy.records import Drawn
from tasks.register import register as room
from tasks.register.client import Connection
from tasks.register.records import Registration
from tasks.register.register import Filing


@task(name="draw on the test set's ledger", cache_policy=NO_CACHE)
def spend(filing: Filing, plan: Plan, dataset: Dataset, weights: str) -> Allowance:
    """Draw one judgement of the frozen ``weights``; see :func:`tasks.register.ledger.spend`."""
    from tasks.register import ledger  # noqa: PLC0415 - as below

    return ledger.spend(filing.connection, plan, filing.run_id, _digests(dataset, plan), weights)


@task(name="look into the test set's ledger", cache_policy=NO_CACHE)
def require_room(
    connection: Connection, plan: Plan, dataset: Dataset, wanted: Sequence[Mapping[str, str]]
) -> None:
    """Refuse to judge more models than the ledger has room for; see :func:`tasks.register.ledger.lacking`.

    Raises:
        Refusal: naming both numbers.
    """
    from tasks.register import ledger  # noqa: PLC0415 - as below

    if problem := ledger.lacking(connection, plan, _digests(dataset, plan), wanted):
        raise Refusal(problem)


def _digests(dataset: Dataset, plan: Plan) -> dict[str, list[str]]:
    """Digests of the rows of every set that is judged on."""
    from tasks.ingest.parts import read_part  # noqa: PLC0415 - as below

    sets = plan.judgement.sets
    return {on: read_part(dataset, on, own)["row_digest"].to_list() for on, own in sets.items()}


@task(name="draw on the privacy budget", cache_policy=NO_CACHE)
def draw_private(filing: Filing, plan: Plan, dataset: Dataset, checkpoints: Path) -> Drawn:
    """Draw the training on its rows' budget; see :func:`tasks.register.private_ledger.draw_private`."""
    from tasks.ingest.parts import read_part  # noqa: PLC0415 - as below
    from tasks.privacy.accountant import planned  # noqa: PLC0415
    from tasks.privacy.budget import origin_of  # noqa: PLC0415
    from tasks.register import private_ledger  # noqa: PLC0415
    from tasks.train.private import begun_of, fit_rows  # noqa: PLC0415 - torch

    member, training = plan.recipe.privacy, plan.recipe.training
    assert member is not None  # noqa: S101 - the flow has looked
    frame = read_part(dataset, "train", plan.judgement)
    rows, begun = fit_rows(frame, plan), begun_of(frame, plan, checkpoints)
    drawn = private_ledger.draw_private(
        private_ledger.Training(
            rows=rows,
            mechanism=planned(member, len(rows), training.batch, training.epochs),
            key=begun.key,
            goes_on=begun.left,
            origin=origin_of(plan.judgement, dataset.privacy),
        ),
        member,
        filing,
    )
    if not drawn.problem and not begun.left:
        begun.write(0)
    return drawn


@task(name="register", cache_policy=NO_CACHE)
def register(
    filing: Filing, plan: Plan, dataset: Dataset, evaluated: Evaluated, verdicts: Verdicts, folder: Path
) -> Registration:
    """Register the model of the dossier in ``folder``; see :func:`tasks.register.register.register`."""
    # polars and scipy: only a run that comes this far pays for their import.
    from tasks.evaluate.predictions import read_predictions  # noqa: PLC0415
    from tasks.ingest.described import describe  # noqa: PLC0415
    from tasks.ingest.parts import read_part  # noqa: PLC0415
    from tasks.ingest.rows import source_rows  # noqa: PLC0415

    judgement = plan.judgement
    described = describe(read_part(dataset, "test", judgement), judgement)
    return room.register(
        filing,
        plan,
        source_rows(dataset, "test", judgement),
        described["label"],
        read_predictions(folder / "predictions.csv", judgement),
        evaluated,
        verdicts,
        folder / "model",
    )

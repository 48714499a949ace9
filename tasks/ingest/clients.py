"""Who holds a row: the client of federated training that it belongs to."""

from __future__ import annotations

import polars as pl

from tasks.errors import Refusal
from tasks.ingest.described import UNKNOWN, level_of
from tasks.plan.federated import Federated
from tasks.plan.judgement import Judgement


def clients_of(frame: pl.DataFrame, judgement: Judgement, federated: Federated) -> pl.Series:
    """Name of each row's client (n,): the level of a protected attribute, or what a described column says.

    Args:
        frame: typed rows (n).
        judgement: says which attributes are protected.
        federated: names the attribute or column.
    """
    protected = judgement.protected.get(federated.clients)
    own = pl.col(federated.clients).cast(pl.String).fill_null(UNKNOWN)
    return frame.select((own if protected is None else level_of(protected)).alias("client")).to_series()


def rows_of_clients(
    frame: pl.DataFrame, judgement: Judgement, federated: Federated, part: str
) -> dict[str, pl.Series]:
    """Which rows (n,) are each client's, by its name, in order.

    Args:
        frame: typed rows (n).
        judgement: says which attributes are protected.
        federated: names the attribute or column, and the fewest clients.
        part: "training" or "test", for the message.

    Raises:
        Refusal: fewer clients have rows than the plan asks for.
    """
    clients = clients_of(frame, judgement, federated)
    names = clients.unique().sort().to_list()
    if len(names) < federated.minimum_clients:
        raise Refusal(
            f"{part} part: at least {federated.minimum_clients} clients with rows are expected "
            f"(recipe.federated.minimum_clients), {federated.clients!r} has {', '.join(names)}"
        )
    return {name: clients == name for name in names}

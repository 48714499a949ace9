"""Who holds a row: the client of federated training that it belongs to."""

from __future__ import annotations

import polars as pl

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

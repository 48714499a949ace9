"""A look at a champion's new rows as Prefect tasks; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.errors import SourceAltered
from tasks.evidence.digest import digest_file
from tasks.evidence.records import FileRef
from tasks.monitor.records import Compared, Look, NewRows
from tasks.plan import Plan
from tasks.plan.monitoring import Monitoring

if TYPE_CHECKING:
    import polars as pl


@task(name="read new rows", cache_policy=NO_CACHE)
def read_new_rows(
    monitoring: Monitoring, champion: Plan, version: str, dossier: Path, snapshot: Path
) -> NewRows:
    """Read what is new since the champion serves; see :func:`tasks.monitor.rows.read_new`.

    Args:
        monitoring: of the plan as it is now.
        champion: the plan that the champion was made by.
        version: of the champion.
        dossier: of the champion.
        snapshot: gets the rows, for as long as the look takes.
    """
    from tasks.monitor.rows import read_new  # noqa: PLC0415 - polars and torch: this task alone pays for them

    return read_new(monitoring, champion.judgement, version, dossier / "model", snapshot)


@task(name="compare with the champion", cache_policy=NO_CACHE)
def compare_with_champion(
    rows: NewRows, train: FileRef, champion: Plan, dossier: Path, look: Look, folder: Path
) -> Compared:
    """Compare the new rows with the champion's; see :func:`tasks.monitor.looking.compare_rows`."""
    from tasks.ingest.described import type_frame  # noqa: PLC0415 - scipy and polars: as above
    from tasks.monitor.looking import compare_rows  # noqa: PLC0415

    before = type_frame(_read(train), champion.judgement)
    return compare_rows(_read(rows.snapshot), before, champion.judgement, dossier, folder, look.alpha)


@task(name="count labelled rows", cache_policy=NO_CACHE)
def count_rows(rows: NewRows, champion: Plan, dossier: Path, folder: Path) -> Path:
    """File the audit cube of what has labels; see :func:`tasks.monitor.looking.count_labelled`."""
    from tasks.monitor.looking import count_labelled  # noqa: PLC0415 - scipy and polars: as above

    return count_labelled(_read(rows.snapshot), champion.judgement, dossier, folder)


def _read(file: FileRef) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - as above

    path = Path(file.path)
    if not path.is_file() or digest_file(path) != file.sha256:
        raise SourceAltered(f"{path}: other bytes than were read a moment ago, or none; look again")
    return pl.read_parquet(path)

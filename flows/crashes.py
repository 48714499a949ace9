"""Runs that were killed: filed as Crashed by the next start, in MLflow, in their dossier and in Prefect."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.outcome import Ending
from tasks.evidence.dossier import Dossier
from tasks.evidence.keys import SigningKey
from tasks.evidence.records import Record
from tasks.evidence.signature import sign_dossier
from tasks.register.client import Connection
from tasks.register.runs import CrashedRun, file_crashed, upload_folder


class Killed(Record):
    """The ending of a run that could not file its own."""

    ending: str = Ending.CRASHED
    message: str


def file_crashed_runs(connection: Connection, key: SigningKey) -> None:
    """File every run whose process is gone, signed by who found it; none stays RUNNING for ever."""
    for crashed in file_crashed(connection):
        if crashed.dossier is not None and crashed.dossier.is_dir():
            Dossier(crashed.dossier).add("ending", Killed(message=crashed.why))
            sign_dossier(crashed.dossier, key)
            upload_folder(connection, crashed.run_id, crashed.dossier, "dossier")
        _file_in_prefect(crashed)


def _file_in_prefect(crashed: CrashedRun) -> None:
    if not crashed.prefect_run:
        return
    with get_client(sync_client=True) as client:
        try:
            client.set_flow_run_state(UUID(crashed.prefect_run), Crashed(message=crashed.why), force=True)
        except ObjectNotFound:
            return  # it ran on another Prefect server, which files its own

"""How a command of the line runs its flow, and leaves with the outcome's exit code. Imports are lazy."""

from __future__ import annotations

import errno
import gc
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from flows.outcome import Outcome


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}


def remedy_of(error: OSError) -> str:
    """What to do about an error of the machine's, which is then told without a traceback; else empty."""
    if error.errno in NO_ROOM:
        return f"\nFree some space on the disk of {Path.cwd()} and start again."
    if error.errno in NO_RIGHT:
        return (
            "\nThis user has no right to it, or the disk is read-only. Runs are kept in `var`, or the folder "
            "that ASSAY_VAR names; plans and their data in `data`, or ASSAY_DATA."
        )
    return ""


def leave(outcome: Outcome) -> NoReturn:
    """Print an outcome and leave with its exit code."""
    from flows.outcome import show

    show(outcome)
    raise typer.Exit(outcome.exit_code)


def stop_if_unchanged(name: str, changes: list[str]) -> None:
    """Leave at once where the flow would find nothing to do: it needs no server to say so."""
    from flows.outcome import show
    from flows.unchanged import unchanged
    from infra.settings import prepare_environment, settings
    from tasks.errors import RegistryError
    from tasks.plan import load_plan
    from tasks.register.client import connect

    prepare_environment(settings())
    plan = load_plan(name, settings().data, changes)
    with suppress(RegistryError):  # the flow meets it again, and files the crash
        outcome = unchanged(plan, connect(settings().mlflow_uri, settings().artifact_root))
        if outcome is not None:
            show(outcome)
            raise typer.Exit(outcome.exit_code)


def run(name: str, **parameters: object) -> None:
    """Run ``flows.NAME:NAME`` on a Prefect server, print its outcome and leave with its exit code."""
    from infra.embedded import prefect_server, without_heartbeats
    from infra.settings import settings

    # An error is told once, by `main`: Prefect's log of it stays in Prefect. Read when prefect is imported.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    with prefect_server(settings()) as server:
        # The server starts while the flow's libraries are imported.
        flow: Callable[..., Outcome] = getattr(import_module(f"flows.{name}"), name)
        from flows.outcome import show

        _quieten()
        gc.freeze()  # what is imported stays: no need to search it for cycles again and again
        server.ready()
        with without_heartbeats():
            outcome = flow(**parameters)
    show(outcome)
    raise typer.Exit(outcome.exit_code)


def _quieten() -> None:
    """Leave the terminal to the run's own lines; what libraries log stays in Prefect."""
    for name in ("dvc", "great_expectations", "evidently", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)  # it raises what it logs

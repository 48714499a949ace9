"""`assay` without its start: a process that has imported it once, and forks for every command.

``python tests/flows/warm.py FOLDER`` starts a Prefect server, then reads requests from standard input, a JSON
list of objects a line (``arguments``, ``folder``, ``environment``, ``output``, ``errors``), runs the console
script's own ``main`` in a child for each of them at once, and answers with their exit codes. Six seconds of
imports are saved a command; what a test wants of the start itself, it gets from the real console script.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from infra.embedded import prefect_server
from infra.garbage import collect_seldom
from infra.settings import Settings, settings
from tasks.explain.library import shap

IMPORTED = (
    "captum.attr",
    "great_expectations",
    "evidently",
    "flows.cli",
    "flows.check",
    "flows.compare",
    "flows.monitor",
    "flows.replay",
    "flows.retrain",
    "flows.review",
    "flows.rollback",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "networkx",  # of DVC's graph
    "tasks.evaluate.predict",
    "tasks.explain.explain",
    "tasks.fairness.spending",
    "tasks.ingest.pin",
    "tasks.monitor.looking",
    "tasks.monitor.rows",
    "tasks.register.ledger",
    "tasks.report.compare",
    "tasks.report.figures",
    "tasks.report.monitoring",
    "tasks.represent.drift",
    "tasks.train.part",
    "torch._dynamo",  # which the first optimiser imports
)


def serve(folder: Path) -> None:
    """Answer requests until standard input ends."""
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"  # as flows.cli sets it before prefect
    collect_seldom()  # as flows.cli does
    with prefect_server(Settings(var=folder)) as server:
        for module in IMPORTED:
            import_module(module)
        shap()
        import_module("mlflow.utils.requirements_utils")._init_modules_to_packages_map()  # once, not a model
        # Half of what a figure takes; tests/report looks at figures as they are laid out.
        import_module("matplotlib.layout_engine").ConstrainedLayoutEngine.execute = lambda *_: None
        assert threading.active_count() == 1, threading.enumerate()  # a fork keeps no other thread
        server.ready()
        database = folder / "empty.db"
        assert _ended(_fork(lambda: _migrate(database))) == 0
        gc.freeze()  # a child searches nothing of this for cycles, and so copies none of it
        _say({"api": server.url})
        for line in sys.stdin:
            children = [_fork(partial(_run, request, database)) for request in json.loads(line)]
            _say({"codes": [_ended(child) for child in children]})


def _fork(what: Callable[[], None]) -> int:
    """Do something in a child, which ends with it."""
    child = os.fork()
    if child == 0:
        try:
            what()
        finally:
            os._exit(1)
    return child


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _migrate(database: Path) -> None:
    """Let MLflow make its tables once: it takes two seconds."""
    from tasks.register.client import connect

    connect(f"sqlite:///{database}", None)
    os._exit(0)


def _run(request: dict[str, Any], database: Path) -> None:
    """Be the command; never returns, so that the server of the parent is not stopped."""
    from flows.cli import main

    for number, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(request["folder"])
    if not Path("var/mlflow.db").exists():
        Path("var").mkdir(exist_ok=True)
        shutil.copy(database, "var/mlflow.db")
    os.environ |= request["environment"]
    settings.cache_clear()
    sys.argv = ["assay", *request["arguments"]]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter itself does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _say(answer: dict[str, Any]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
    os._exit(0)  # taking apart what was imported takes seconds

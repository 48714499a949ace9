"""`assay serve`: the schedules of all plans, and a form for each flow, for as long as it runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console

from flows.ui import noted, prefect_ui_server, require_free_ports, serving, stopped_by_signals, wait_for
from infra.embedded import LOCAL_API, known_server
from infra.settings import Settings, prepare_environment
from infra.settings import settings as settings_of_process
from tasks.errors import PlanError
from tasks.plan import Plan, load_plan, plan_names

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment


def serve(settings: Settings | None = None) -> None:
    """Run what the plans schedule, and what a person starts in Prefect's UI, until Ctrl-C or SIGTERM.

    One run at a time: those that come meanwhile wait. When this ends, the schedules are paused.

    Raises:
        PlanError: a plan is bad, there is none, or the port for Prefect's server is in use.
        ServerError: Prefect's server did not start.
    """
    settings = settings or settings_of_process()
    prepare_environment(settings)
    plans = load_plans(settings)
    with suppress(KeyboardInterrupt), stopped_by_signals(), _scheduler(settings):
        _run(deployments(plans))


def load_plans(settings: Settings) -> list[Plan]:
    """Load every plan below the data folder, and name the problems of all at once.

    Raises:
        PlanError: a plan is bad, or there is none.
    """
    plans: list[Plan] = []
    problems: list[str] = []
    for name in plan_names(settings.data):
        try:
            plans.append(load_plan(name, settings.data))
        except PlanError as error:
            problems.extend(f"{error.where}: {problem}" for problem in error.problems)
    if not plans and not problems:
        problems.append(
            f"no plan found: {settings.data}/NAME/plan.yaml makes one (ASSAY_DATA names the folder)"
        )
    if problems:
        raise PlanError("assay serve", problems)
    return plans


def deployments(plans: Sequence[Plan]) -> list[RunnerDeployment]:
    """Return deployments: `retrain` of each plan, `monitor` of those scheduled, one of each other flow."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig  # noqa: PLC0415
    from prefect.deployments.runner import RunnerDeployment  # noqa: PLC0415
    from prefect.schedules import Cron  # noqa: PLC0415

    from flows.check import check  # noqa: PLC0415
    from flows.compare import compare  # noqa: PLC0415
    from flows.monitor import monitor  # noqa: PLC0415
    from flows.replay import replay  # noqa: PLC0415
    from flows.retrain import retrain  # noqa: PLC0415
    from flows.review import review  # noqa: PLC0415
    from flows.rollback import rollback  # noqa: PLC0415

    served: list[RunnerDeployment] = []
    for plan in plans:
        schedule = plan.operations.schedule
        served.append(
            RunnerDeployment.from_flow(
                retrain,
                plan.name,
                parameters={"plan": plan.name},
                schedule=None if schedule is None else Cron(schedule.cron, timezone="UTC"),
                concurrency_limit=ConcurrencyLimitConfig(limit=1),  # those that come meanwhile wait
            )
        )
        watched = plan.operations.monitoring
        if watched is not None and watched.cron is not None:
            watching = RunnerDeployment.from_flow(
                monitor,
                plan.name,
                parameters={"plan": plan.name},
                schedule=Cron(watched.cron, timezone="UTC"),
                concurrency_limit=ConcurrencyLimitConfig(limit=1),
            )
            served.append(watching)
    others = (replay, check, compare, monitor, review, rollback)
    return [*served, *(RunnerDeployment.from_flow(flow, "manual") for flow in others)]


def _run(served: Sequence[RunnerDeployment]) -> None:
    from prefect.runner import Runner  # noqa: PLC0415

    class Interruptible(Runner):
        """Takes SIGTERM as Ctrl-C: Prefect's own handler drops a coroutine, with a warning."""

        def handle_sigterm(self, *_args: object, **_kwargs: object) -> None:
            signal.raise_signal(signal.SIGINT)

    runner = Interruptible(pause_on_shutdown=True, limit=1)
    for deployment in served:
        runner.add_deployment(deployment)
    asyncio.run(runner.start())


@contextmanager
def _scheduler(settings: Settings) -> Iterator[None]:
    """Make sure of a Prefect server that schedules: the one at hand, or a whole one with its UI."""
    console = Console()
    with ExitStack() as stack:
        url, named = known_server(settings), "PREFECT_API_URL" in os.environ
        if url is None:
            server = prefect_ui_server(settings)
            require_free_ports("assay serve", settings.ui_host, (server,))
            process = stack.enter_context(serving(server, settings))
            with console.status("Starting Prefect"):
                wait_for(server, process, settings)
            stack.enter_context(noted(settings))
            url = settings.prefect_address.read_text(encoding="utf-8")
        os.environ |= {"PREFECT_API_URL": url} if named else {"PREFECT_API_URL": url, LOCAL_API: url}
        console.print(f"Serving the schedules on {url.removesuffix('/api')}. Ctrl-C ends it and pauses them.")
        yield

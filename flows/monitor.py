"""Monitoring: whether a champion in service still sees, says and does what it was judged on."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State

from flows.announce import announce
from flows.look import open_look
from flows.outcome import Outcome
from flows.states import ended
from infra.settings import settings
from tasks.errors import PlanError
from tasks.evaluate.records import TRAINING_CUBE
from tasks.fairness.task import judge_cubes
from tasks.monitor.ending import ending_of
from tasks.monitor.looks import allowance_of
from tasks.monitor.task import compare_with_champion, count_rows, read_new_rows
from tasks.plan import load_plan
from tasks.plan.judgement import TEST
from tasks.register.client import connect
from tasks.register.monitoring import spend_look


@flow(name="monitor", flow_run_name="monitor {plan}")
def monitor(plan: str = "adult") -> State[Outcome]:
    """Look at the champion's new rows; it ends as Stable, Drifted, Alarmed, Undecided, Refused or Crashed.

    Where a limit of the plan is crossed, an event says so and a retraining is started.

    Args:
        plan: a folder below data/ that holds a plan.yaml with operations.monitoring.
    """
    environment = settings()
    wanted = load_plan(plan, environment.data)
    watching = wanted.operations.monitoring
    if watching is None:
        problem = "operations.monitoring is absent: say there where new rows come from (docs/monitoring.md)"
        raise PlanError(f"monitor {plan}", [problem])
    connection = connect(environment.mlflow_uri, environment.artifact_root)
    with open_look(wanted, environment, connection) as look:
        champion = look.find_champion()
        made_by, judged, folder = champion.plan, champion.folder, look.folder
        rows = look.add(
            "rows", read_new_rows(watching, made_by, champion.version.version, judged, look.snapshot)
        )
        compared = verdicts = None
        if not rows.short:
            alpha, least = made_by.judgement.alpha, watching.minimum_rows
            spent = spend_look(connection, look.run_id, champion.version, rows, alpha, least)
            looks = look.add("looks", spent)
            train = champion.watched.train
            compared = look.add(
                "comparison", compare_with_champion(rows, train, made_by, judged, looks.rows, folder)
            )
            if looks.labels is not None:
                cubes = {TEST: count_rows(rows, made_by, judged, folder)}
                judgement = made_by.gate.model_copy(update={"audits": {}})
                allowed = allowance_of(looks.labels, rows.labelled)
                verdicts = look.add(
                    "verdicts", judge_cubes(cubes, judged / TRAINING_CUBE, judgement, allowed)
                )
        found = ending_of(rows, compared, verdicts, watching.minimum_rows)
        if found.ending.crossed:
            look.add("announcement", announce(wanted, champion.version.version, found))
        look.finish(found.ending, found.because, found.ending.exit_code)
    return ended(look.outcome)

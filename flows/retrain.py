"""Retraining: the sentence that the project is about, read top to bottom."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State

from flows.champion import champion_training_part, loosened_since_champion
from flows.outcome import Outcome
from flows.run import crashed_without_mlflow, open_run
from flows.states import ended
from flows.unchanged import unchanged
from infra.settings import settings
from tasks.evaluate.records import TRAINING_CUBE
from tasks.evaluate.task import open_test_part
from tasks.evidence.environment import describe_environment
from tasks.explain.task import explain
from tasks.fairness.task import judge_cubes
from tasks.ingest.task import pin
from tasks.plan import load_plan, lock, require_packages
from tasks.register.client import connect
from tasks.register.task import draw_private, register, spend
from tasks.represent.task import represent
from tasks.review.standing import require_reviewers
from tasks.train.task import train, tune
from tasks.validate.task import validate


@flow(name="retrain", flow_run_name="retrain {plan}")
def retrain(plan: str = "adult", force: bool = False, changes: list[str] | None = None) -> State[Outcome]:  # noqa: FBT001, FBT002 - Prefect draws its form from this
    """Retrain one model; it ends as Registered, Undecided, Refused, Unchanged or Crashed.

    Args:
        plan: a folder below data/ that holds a plan.yaml.
        force: run even if data, judgement, recipe and code are the champion's.
        changes: of the recipe, ``recipe.training.epochs=3``.
    """
    environment = settings()
    wanted = load_plan(plan, environment.data, changes or [])
    require_packages(wanted)
    require_reviewers(wanted, environment.starter)
    with crashed_without_mlflow(wanted, environment):
        connection = connect(environment.mlflow_uri, environment.artifact_root)
    if not force and (same := unchanged(wanted, connection)):
        return ended(same)
    with open_run(wanted, environment, connection) as run:
        here, folder = environment.data / plan, run.folder
        run.add("plan", lock(wanted, changes or [], environment.data, folder))
        run.add("environment", describe_environment(folder))
        dataset = run.add("data", pin(wanted, Path.cwd()))
        run.require("validation", validate(dataset, wanted, folder))
        earlier = champion_training_part(wanted, dataset, connection, environment)
        sample = run.require("representativeness", represent(dataset, wanted, here, folder, earlier))
        tuned = run.add("tuning", tune(dataset, sample.raked, wanted, run.trials, run.file_trial))
        chosen = wanted.changed(tuned.changes)
        if chosen.recipe.privacy is not None:
            run.require("privacy", draw_private(run.filing, chosen, dataset, run.checkpoints))
        frozen = run.add_costly("freeze", *train(dataset, sample.raked, chosen, folder, run.checkpoints))
        run.add("explanations", explain(dataset, sample, chosen, frozen, folder, run.elapsed))
        allowance = run.add("spending", spend(run.filing, wanted, dataset, frozen.digest))
        opened = run.add_costly("opening", *open_test_part(dataset, wanted, folder))
        cubes, learnt = opened.cubes(folder), folder / TRAINING_CUBE
        verdicts = run.require("verdicts", judge_cubes(cubes, learnt, wanted.gate, allowance))
        run.add("loosened", loosened_since_champion(wanted, connection))
        run.add("registration", register(run.filing, wanted, dataset, opened, verdicts, folder))
    return ended(run.outcome)

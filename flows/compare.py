"""Comparing: the same data with and without each step against bias; nothing is registered."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows.comparison import open_run
from flows.outcome import Outcome
from flows.states import ended
from infra.settings import settings
from tasks.evaluate.records import TRAINING_CUBE
from tasks.evaluate.task import compare_variant, open_test_part
from tasks.fairness.task import judge_cubes
from tasks.ingest.task import pin
from tasks.plan import require_packages
from tasks.plan.comparing import read_variants
from tasks.register.client import connect
from tasks.register.ledger import WEIGHTS
from tasks.register.task import draw_private, require_room, spend
from tasks.represent.task import represent
from tasks.train.task import train
from tasks.validate.task import validate


@flow(name="compare", flow_run_name="compare {plan}")
def compare(plan: str = "adult") -> State[Outcome]:
    """Train a plan without mitigation, with each step and with all, and say what each step changed.

    Every variant is judged on the same test rows, once all are frozen, and spends one of their judgements.

    Args:
        plan: a folder below data/ that holds a plan.yaml, and compare.yaml if further variants are wanted.
    """
    environment = settings()
    variants = read_variants(plan, environment.data)
    for variant in variants:
        require_packages(variant.plan)
    connection = connect(environment.mlflow_uri, environment.artifact_root)
    with open_run(variants, environment, connection, {"assay.prefect_run": str(flow_run.id or "")}) as run:
        judgement, folder = run.plan.gate, run.folder
        dataset = pin(run.plan, Path.cwd())
        run.require("validation", validate(dataset, run.plan, folder))
        sample = represent(dataset, run.plan, environment.data / plan, folder)
        run.require("representativeness", sample)
        require_room(connection, run.plan, dataset, [run.tags(variant, dataset) for variant in variants])
        for variant in variants:
            attempt = run.begin(variant, dataset)
            with run.trying(attempt):
                checkpoints = run.checkpoints(variant)
                if variant.plan.recipe.privacy is not None:
                    run.require("privacy", draw_private(attempt.filing, variant.plan, dataset, checkpoints))
                attempt.frozen, _ = train(dataset, sample.raked, variant.plan, attempt.folder, checkpoints)
        require_room(connection, run.plan, dataset, [{WEIGHTS: each.weights} for each in run.frozen])
        for each in run.frozen:  # all are frozen: now, and once, the test part is opened for all
            each.allowance = spend(each.filing, run.plan, dataset, each.weights)
            each.opened, _ = open_test_part(dataset, each.variant.plan, each.folder)
            cubes = each.opened.cubes(each.folder)
            each.verdicts = judge_cubes(cubes, folder / TRAINING_CUBE, judgement, each.allowance)
            run.clock(f"judge {each.variant.name}")
        none, *others = run.frozen
        for each in others:
            both = none.verdicts, each.verdicts
            each.changes = compare_variant(dataset, run.plan, (none.folder, each.folder), both, folder)
        run.finish(dataset)
    return ended(run.outcome)

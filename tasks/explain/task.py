"""Explaining, as a Prefect task; the only file of this room that knows Prefect."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.evidence.records import Dataset
from tasks.explain.budget import Budget
from tasks.explain.records import Explained, Skipped
from tasks.plan import Plan
from tasks.represent.records import Represented
from tasks.train.records import Trained


@task(name="explain", cache_policy=NO_CACHE)
def explain(
    dataset: Dataset,
    sample: Represented,
    plan: Plan,
    trained: Trained,
    folder: Path,
    seconds: float,
) -> Explained:
    """Explain the model frozen in the dossier, on validation rows, within the plan's share of the run.

    Before the test part is opened: a run that its verdicts refuse is explained too, a step that crashes here
    has spent no judgement, and the order of the records shows that no test row was looked at.

    Args:
        dataset: pinned.
        sample: what the check of representativeness found of proxies.
        plan: as carried out, with the settings that a search chose.
        trained: what training took, of which explaining may take a share.
        folder: the dossier's.
        seconds: that the run took so far.
    """
    settings = plan.operations.explanations
    if settings is None:
        return Explained(skipped=(Skipped(part="all", because="the plan asks for no explanations"),))
    if plan.recipe.federated is not None:
        because = "federated: the rows to explain stay with their clients"
        return Explained(skipped=(Skipped(part="all", because=because),))
    # torch, shap and captum: only a run that comes this far pays for their import.
    from tasks.explain.explain import context_of  # noqa: PLC0415
    from tasks.explain.explain import explain as explain_all  # noqa: PLC0415
    from tasks.model.device import deterministic  # noqa: PLC0415
    from tasks.train.part import training_rows  # noqa: PLC0415

    budget = Budget.of(
        made=trained.evaluations
        + trained.validation_rows * len(trained.history)
        + dataset.test.rows
        + sum(part.rows for part in dataset.audits.values()),
        parameters=max(1, trained.parameters),
        seconds=seconds,
        share=settings.share,
    )
    rows = training_rows(dataset, None, plan)
    with deterministic(plan.operations.compute.threads):
        context = context_of(rows.frame, rows.described, plan, settings, folder, budget, sample.proxies)
        return explain_all(context)

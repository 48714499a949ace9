"""Check: plan and data only; nothing is trained and nothing is registered."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State

from flows.outcome import Outcome
from flows.states import ended
from infra.settings import settings
from tasks.ingest.task import pin
from tasks.plan import load_plan, require_packages
from tasks.represent.task import represent
from tasks.validate.task import validate


@flow(name="check", flow_run_name="check {plan}")
def check(plan: str = "adult") -> State[Outcome]:
    """Say whether a plan's data would be refused, and what its test set can show; exit 3 if either fails.

    Args:
        plan: a folder below data/ that holds a plan.yaml.
    """
    environment = settings()
    wanted = load_plan(plan, environment.data)
    require_packages(wanted)
    folder = environment.var / "checks" / plan
    dataset = pin(wanted, Path.cwd())
    validated = validate(dataset, wanted, folder)
    if validated.problems:
        return ended(_refused(validated.problems))
    sample = represent(dataset, wanted, environment.data / plan, folder)
    if sample.problems:
        return ended(_refused(sample.problems))
    if hopeless := tuple(one.problem for one in sample.coverage if one.problem):
        return ended(
            Outcome(title="The plan asks for what its test set can't show", exit_code=3, lines=hopeless)
        )
    met = f"{len(validated.expectations)} expectations met"
    lines = (
        f"{dataset.rows}, {met}",
        *(f"warning: {warning}" for warning in sample.warnings),
        *(one.sentence for one in sample.coverage),
        f"Reports     {folder.as_posix()}",
    )
    return ended(Outcome(title=f"{plan} can be retrained", exit_code=0, lines=lines))


def _refused(problems: tuple[str, ...]) -> Outcome:
    return Outcome(title="The data would be refused", exit_code=3, lines=problems)

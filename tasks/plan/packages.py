"""What few plans need and the usual installation leaves out: told before any work."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from tasks.errors import PlanError
from tasks.plan.plan import Plan


def require_packages(plan: Plan) -> None:
    """Refuse a plan whose packages are not installed.

    Raises:
        PlanError: naming each key that needs one, and how it is installed.
    """
    install = "pip install --constraint requirements.lock --editable"
    problems = [
        f"{key} needs the package {name}, which is not installed: {install} '.[{extra}]'"
        for key, name, extra in _needed(plan)
        if find_spec(name) is None
    ]
    if problems:
        raise PlanError(f"plan {plan.name}", problems)


def _needed(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Key of the plan, module and extra of each such package."""
    if plan.recipe.privacy is not None:
        yield "recipe.privacy", "opacus", "privacy"
    if plan.recipe.federated is not None:
        yield "recipe.federated", "flwr", "federated"
    if any(step.kind == "synthesis" for step in plan.recipe.mitigation):
        yield "recipe.mitigation: synthesis", "imblearn", "mitigation"
    if plan.judgement.privacy is not None and plan.judgement.privacy.texts:
        yield "judgement.privacy.texts", "presidio_analyzer", "privacy"

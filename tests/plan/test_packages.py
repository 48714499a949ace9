"""A plan whose packages are not installed is refused before any work, with the way to install them."""

from pathlib import Path

import pytest

from tasks.errors import PlanError
from tasks.plan import load_plan, packages, require_packages

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("adult-private", "recipe.privacy needs the package opacus, which is not installed: pip install "),
        ("spoken-digits-federated", "recipe.federated needs the package flwr, which is not installed: "),
    ],
)
def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    plan = load_plan(name, DATA)
    require_packages(plan)
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(PlanError) as raised:
        require_packages(plan)
    (problem,) = raised.value.problems
    assert problem.startswith(told)


def test_a_plan_that_needs_none_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    require_packages(load_plan("adult", DATA))

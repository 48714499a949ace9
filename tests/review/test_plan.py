"""What a plan may ask of a review: each bad wish is refused before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tasks.errors import PlanError
from tasks.evidence.keys import SigningKey
from tasks.plan import load_plan
from tasks.plan.plan import Plan
from tasks.plan.review import Review
from tasks.review.standing import require_reviewers

DATA = Path(__file__).parents[2] / "data"


def adult(name: str = "adult", **changes: Any) -> Plan:
    document = yaml.safe_load((DATA / name / "plan.yaml").read_text())
    for block, members in changes.items():
        document[block] |= members
    return Plan.model_validate({"name": name, **document})


def test_a_plan_that_asks_for_no_review_keeps_its_digests() -> None:
    plan = load_plan("adult", DATA)
    assert "on_inconclusive" not in plan.judgement.model_dump(mode="json")
    assert "review" not in plan.operations.model_dump(mode="json")


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"reviewers": {"ada": "00" * 32}}, "at least 2 items"),
        ({"reviewers": {"ada": "00" * 32, "berta": "00" * 32}}, "ada and berta have one key"),
        ({"reviewers": {"ada": "00" * 32, "Ada": "01" * 32}}, "differ in more than capitals"),
        ({"reviewers": {"ada": "00" * 32, "berta": "no key"}}, "berta: an Ed25519 public key is expected"),
        ({"decisions": 20, "wrong_share": 0.2}, "4 wrong recommendations, at least 5"),
        ({"hours": 0}, "greater than 0"),
    ],
)
def test_a_review_that_shows_nothing_is_refused(wish: dict[str, Any], told: str) -> None:
    reviewers = {"reviewers": {"ada": "00" * 32, "berta": "01" * 32}}
    with pytest.raises(ValidationError, match=told):
        Review.model_validate(reviewers | wish)


def test_undecided_runs_are_reviewed_by_somebody() -> None:
    with pytest.raises(ValidationError, match=r"on_inconclusive: `review` needs operations\.review"):
        adult(judgement={"on_inconclusive": "review"})


def test_numbers_are_not_reviewed(review: Review) -> None:
    with pytest.raises(ValidationError, match="this plan predicts a number"):
        adult("adult-hours", operations={"review": review.model_dump()})


def test_a_run_that_nobody_could_review_does_not_start(keys: dict[str, SigningKey], review: Review) -> None:
    require_reviewers(adult(operations={"review": review.model_dump()}), "ada")
    two = {name: keys[name].public.raw.hex() for name in ("ada", "berta")}
    plan = adult(operations={"review": {"reviewers": two}})
    require_reviewers(plan, "somebody")
    with pytest.raises(PlanError, match="Ada starts it, which leaves berta: name another reviewer"):
        require_reviewers(plan, "Ada")

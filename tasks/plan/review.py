"""Human review: who looks at which decisions before a version gets its alias."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from tasks.evidence.keys import PublicKey
from tasks.plan.base import Member
from tasks.plan.data import Number
from tasks.plan.judgement import Judgement, Name

LEAST_WRONG = 5
"""Recommendations known to be wrong, below which accepting them says nothing about a reviewer."""
KeyText = Annotated[str, Field(description="Ed25519, as `assay review --new-key` prints it")]


class Review(Member):
    """Two people look at drawn decisions, and approve the version or not, before it gets its alias.

    Its presence is the demand: every version without a FAIL then waits for its review.
    """

    reviewers: Annotated[dict[Name, KeyText], Field(min_length=2)] = Field(
        description="name -> public key; two of them answer, neither of whom started the run"
    )
    decisions: Annotated[int, Field(ge=20, le=1000)] = Field(40, description="drawn for review")
    wrong_share: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.2, description="share of the drawn decisions shown with a recommendation known to be wrong"
    )
    hours: Annotated[float, Field(gt=0, le=2160)] = Field(
        168.0, description="how long answers are waited for"
    )
    minimum_kappa: Annotated[float, Field(ge=-1, lt=1)] = Field(
        0.4, description="Cohen's kappa of the two reviewers, below which the review does not count"
    )
    maximum_wrong_accepted: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5,
        description="share of the wrong recommendations that a reviewer may accept; beyond it the reviewer "
        "is taken to rubber-stamp, and the review does not count",
    )

    @property
    def wrong(self) -> int:
        """How many of the drawn decisions are shown with a wrong recommendation."""
        return round(self.decisions * self.wrong_share)

    @field_validator("reviewers")
    @classmethod
    def _keys_differ(cls, reviewers: dict[str, str]) -> dict[str, str]:
        known: dict[str, str] = {}
        for name, text in reviewers.items():
            try:
                key_id = PublicKey.parse(text).key_id
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            if key_id in known:
                raise ValueError(f"{known[key_id]} and {name} have one key: each reviewer has their own")
            known[key_id] = name
        if len({name.casefold() for name in reviewers}) < len(reviewers):
            raise ValueError(
                f"names that differ in more than capitals are expected, found {sorted(reviewers)}"
            )
        return reviewers

    @model_validator(mode="after")
    def _enough_are_wrong(self) -> Review:
        if self.wrong < LEAST_WRONG:
            raise ValueError(
                f"{self.wrong_share:g} of {self.decisions} decisions are {self.wrong} wrong recommendations, "
                f"at least {LEAST_WRONG} are needed to tell a reviewer who accepts whatever is shown"
            )
        return self


def review_problems(judgement: Judgement, review: Review | None) -> list[str]:
    """Whether what is asked of a review can be done with this judgement."""
    if review is None:
        if judgement.on_inconclusive == "review":
            return ["judgement.on_inconclusive: `review` needs operations.review, which names the reviewers"]
        return []
    if isinstance(judgement.data.label, Number):
        return ["operations.review: decisions are reviewed, and this plan predicts a number: leave it out"]
    return []

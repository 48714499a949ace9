"""Monitoring: where the champion's new rows come from, and how often they are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from tasks.plan.base import Member
from tasks.plan.judgement import Judgement

_ONE = r"(\*|L|\d{1,2}|[A-Za-z]{3})(-(\d{1,2}|[A-Za-z]{3}))?(/\d{1,2}|#[1-5])?"
_FIELD = re.compile(f"{_ONE}(,{_ONE})*")
_STEP = re.compile(r"[/#]\d+")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _five_fields(cron: str) -> str:
    """Tell with the plan what `assay serve` would meet months later; Prefect reads it there."""
    fields = cron.split()
    if len(fields) != 5 or not all(map(_fits, fields, _RANGES)):
        raise ValueError(f"minute hour day month weekday are expected, as '0 3 * * 1', found {cron!r}")
    return cron


def _fits(field: str, ends: tuple[int, int]) -> bool:
    numbers = map(int, re.findall(r"\d+", _STEP.sub("", field)))
    return bool(_FIELD.fullmatch(field)) and all(ends[0] <= number <= ends[1] for number in numbers)


Cron = Annotated[str, AfterValidator(_five_fields)]


class Monitoring(Member):
    """What is watched of a champion in service; the limits are the judgement's own.

    Exactly one of ``log`` and ``rows`` says where the new rows come from.
    """

    cron: Cron | None = Field(
        None, description="five fields, UTC: minute hour day month weekday; by hand alone when absent"
    )
    log: str | None = Field(
        None,
        description="files of the predictions log, a pattern: Parquet, CSV or JSON lines",
    )
    labels: str | None = Field(
        None, description="files of labels that came later, likewise: `row_key` and `label`"
    )
    rows: str | None = Field(
        None, description="files of new rows in the data's own format, a pattern; the champion predicts them"
    )
    minimum_rows: Annotated[int, Field(ge=1)] = Field(
        500, description="fewer new rows, or fewer labels, show nothing and are not judged"
    )
    window_days: Annotated[int, Field(ge=1)] | None = Field(
        None, description="of the log, only rows of so many days are looked at; all when absent"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Monitoring:
        if (self.log is None) == (self.rows is None):
            raise ValueError("give `log` (logged predictions) or `rows` (new files), one of the two")
        if self.rows is not None and (self.labels is not None or self.window_days is not None):
            raise ValueError("`labels` and `window_days` are of a log; files of rows have their own labels")
        return self


def monitoring_problems(judgement: Judgement, monitoring: Monitoring | None) -> Iterator[str]:
    """What can't be watched of such a plan."""
    if monitoring is not None and monitoring.rows is not None and judgement.privacy is not None:
        yield (
            "operations.monitoring.rows: files are read as they are, and `judgement.privacy` de-identifies "
            "what the champion learned from; log its predictions and name them under `log`"
        )

"""De-identification: what stands in the data instead of what names a person. Part of the judgement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from tasks.plan.base import Member
from tasks.plan.data import Data, Tabular, Text
from tasks.plan.source import CsvFormat, Sha256

if TYPE_CHECKING:
    from tasks.plan.judgement import Judgement

FORGOTTEN = "forgotten.json"
"""The file beside a plan that says, by keyed hashes alone, whose rows are left out."""

Kind = Literal["email", "phone", "card", "iban", "ip", "national", "date", "address", "name"]
KINDS: tuple[Kind, ...] = ("email", "phone", "card", "iban", "ip", "national", "date", "address")
"""What is recognised in texts unless the plan says otherwise; names need a list."""


class Band(Member):
    """A number becomes the lower edge of its band: with 10, 37 becomes 30."""

    band: Annotated[float, Field(gt=0, description="width of a band; bands start at 0")]


Rule = Literal["remove", "token", "year"] | Band


class Names(Member):
    """Words that are names of persons: given names and surnames, one a line, in any case."""

    file: str = Field(description="text file in the plan's folder")
    sha256: Sha256


class Privacy(Member):
    """De-identification, before anything is pinned: raw bytes enter neither DVC nor `var/` nor MLflow.

    With it, the ``sha256`` of each source is a keyed hash of the raw file (see docs/privacy.md), and columns
    that the plan names nowhere are left out.
    """

    columns: dict[str, Rule] = Field(
        default_factory=dict,
        description="column -> `remove`, `token` (a keyed random-looking token, the same for equal values), "
        "`year` (of a date) or `{band: WIDTH}` (of a number)",
    )
    texts: list[str] = Field(default_factory=list, description="columns of free text that are searched")
    recognise: Annotated[list[Kind], Field(min_length=1)] = Field(
        default_factory=lambda: list(KINDS), description="what is replaced by tokens in the texts"
    )
    minimum_score: Annotated[float, Field(gt=0, le=1)] = Field(
        0.4, description="of presidio's recognisers; a lower one replaces more"
    )
    names: Names | None = Field(None, description="what `name` under `recognise` looks for")
    quasi_identifiers: list[str] = Field(
        default_factory=list,
        description="columns that, with the protected attributes, might tell who a row is: k-anonymity",
    )
    forgotten: Sha256 | None = Field(
        None, description=f"SHA-256 of {FORGOTTEN} beside the plan; filled in when the plan is read"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Privacy:
        if ("name" in self.recognise) != (self.names is not None):
            raise ValueError("`names` (a list of names) and `name` under `recognise` go together")
        if self.names is not None and not self.texts:
            raise ValueError("`names` are looked for in `texts`, of which there are none")
        if both := sorted(set(self.texts) & set(self.columns)):
            raise ValueError(f"{', '.join(both)}: either a rule under `columns` or one of `texts`")
        return self


def deidentification_problems(judgement: Judgement) -> Iterator[str]:
    """What de-identification can't be carried out as asked, each with the key's path."""
    privacy = judgement.privacy
    if privacy is None:
        return
    at = "judgement.privacy"
    datas = [own.data for own in judgement.sets.values()]
    if any(not isinstance(data, Tabular | Text) for data in datas):
        yield f"{at}: only tables and texts can be de-identified, found kind {judgement.data.kind}"
        return
    yield from _column_problems(judgement, privacy, at)
    described = judgement.data.described()
    for name in privacy.quasi_identifiers:
        if name not in described:
            yield f"{at}.quasi_identifiers: no column {name!r} under judgement.data.columns"
    for unit in sorted({own.unit for own in judgement.sets.values() if own.unit is not None}):
        if privacy.columns.get(unit) != "token":
            yield f"{at}.columns.{unit}: the sampling unit names a person: give it the rule `token`"


def _column_problems(judgement: Judgement, privacy: Privacy, at: str) -> Iterator[str]:
    """Rules for columns that the data has not, needs, or predicts."""
    datas = [own.data for own in judgement.sets.values()]
    known = {name for data in datas for name in source_columns(data)}
    labels = {data.label.column for data in datas}
    for name, rule in privacy.columns.items():
        if rule == "remove" and name in known:
            yield f"{at}.columns.{name}: it is removed, so the plan can't use it: take its name out of `data`"
        if rule != "remove" and name not in known:
            yield f"{at}.columns.{name}: no such column under judgement.data.columns; `remove` leaves it out"
        if name in labels:
            yield f"{at}.columns.{name}: the label is predicted as it is"
    for name in privacy.texts:
        if name not in known - labels:
            yield f"{at}.texts: no column {name!r} of the data"
    for name in sorted(
        {data.text for data in datas if isinstance(data, Text)} - {*privacy.texts, *privacy.columns}
    ):
        yield f"{at}.texts: {name!r} is expected among them: texts would be pinned as they are, unsearched"


def source_columns(data: Data) -> tuple[str, ...]:
    """Columns of the raw file that the plan reads, in its order."""
    if isinstance(data, Tabular) and isinstance(data.format, CsvFormat) and data.format.names:
        return tuple(data.format.names)
    if not isinstance(data, Tabular | Text):
        return ()
    texts = (data.text,) if isinstance(data, Text) else ()
    read = (made.column if (made := c.looked_up) else name for name, c in data.columns.items())
    return tuple(dict.fromkeys([*texts, *read, data.label.column]))

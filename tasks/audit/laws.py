"""The tables that laws ask for, beside the verdicts: each under the name of its law and its place."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.evidence.records import Record
from tasks.fairness.cube import Cube
from tasks.fairness.four_fifths import FourFifths, four_fifths
from tasks.fairness.regulators import ImpactTable, local_law_144

SEX = ("sex", "gender")
RACE = ("race", "ethnicity", "race_ethnicity", "race/ethnicity")
"""Names by which the attributes of Local Law 144 are known, in lower case."""


class Laws(Record):
    """Tables in the shape of a law; none of them is a verdict of the audit.

    Attributes:
        four_fifths: one table an attribute; empty where no class is positive.
        local_law_144: by sex, race and sex x race, where the groups hold both; then by score.
    """

    four_fifths: tuple[FourFifths, ...] = ()
    local_law_144: tuple[ImpactTable, ...] = ()


def law_tables(cube: Cube, groups: Sequence[str]) -> Laws:
    """Tables of a cube whose positive class counts as selected."""
    if cube.positive is None:
        return Laws()
    sex, race = (_known(groups, names) for names in (SEX, RACE))
    return Laws(
        four_fifths=tuple(four_fifths(cube, [name]) for name in groups),
        local_law_144=local_law_144(cube, sex, race) if sex is not None and race is not None else (),
    )


def _known(groups: Sequence[str], names: Sequence[str]) -> str | None:
    return next((group for group in groups if group.lower() in names), None)

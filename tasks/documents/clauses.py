"""Annex IV of the EU AI Act (Regulation (EU) 2024/1689), clause by clause, with what a dossier holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.documents.sourced import Evidence, Sourced


class Held(StrEnum):
    """How much of a clause the documentation holds."""

    COMPLETE = "complete"
    PARTLY = "partly"
    MISSING = "missing"


@dataclass(frozen=True)
class Clause:
    """A clause of the annex.

    Attributes:
        number: as the annex counts, ``2(g)``.
        asks: what it asks for, shortened.
        steps: steps of the run whose records answer it; all are needed.
        stated: key of the provider's statements that answers it; "" where records are enough.
        blocks: parts of the page that show those records.
    """

    number: str
    asks: str
    steps: tuple[str, ...] = ()
    stated: str = ""
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A clause with what there is of it.

    Attributes:
        clause: of the annex.
        lacking: steps whose records the run does not have.
        statement: the provider's; None where none was made.
    """

    clause: Clause
    lacking: tuple[str, ...]
    statement: Sourced | None

    @property
    def held(self) -> Held:
        """Complete only with every record and the statement that the clause asks for."""
        wanted = [*self.clause.steps, *([self.clause.stated] if self.clause.stated else [])]
        absent = [*self.lacking, *([self.clause.stated] if self.clause.stated and not self.statement else [])]
        if not absent:
            return Held.COMPLETE
        return Held.MISSING if len(absent) == len(wanted) else Held.PARTLY


ANNEX_IV: Sequence[Clause] = (
    Clause(
        "1(a)",
        "intended purpose, provider, version and how it relates to those before",
        ("registration",),
        "intended_purpose",
        ("version",),
    ),
    Clause(
        "1(b)", "how the system interacts with hardware or software that is not part of it", (), "interaction"
    ),
    Clause("1(c)", "versions of relevant software", ("environment",), "", ("software",)),
    Clause("1(d)", "forms in which it is placed on the market or put into service", (), "forms"),
    Clause("1(e)", "hardware on which it is intended to run", ("environment",), "hardware", ("machine",)),
    Clause("1(f)", "where it is part of a product: external features, marking, layout", (), "product"),
    Clause("1(g)", "the user interface provided to the deployer", (), "user_interface"),
    Clause("1(h)", "instructions for use for the deployer", (), "instructions"),
    Clause(
        "2(a)",
        "methods and steps of development, third-party and pre-trained parts",
        ("plan", "tuning", "freeze"),
        "",
        ("recipe", "training"),
    ),
    Clause(
        "2(b)",
        "design: logic, key choices and trade-offs, what it optimises for, for whom",
        ("plan", "freeze"),
        "design",
        ("recipe", "limits"),
    ),
    Clause(
        "2(c)",
        "architecture, and resources used to develop, train, test and validate",
        ("freeze", "environment"),
        "",
        ("network", "machine"),
    ),
    Clause(
        "2(d)",
        "data: provenance, scope, characteristics, selection, labelling, cleaning",
        ("data", "validation", "representativeness"),
        "",
        ("data", "validation", "representation", "card"),
    ),
    Clause(
        "2(e)",
        "human oversight, and means to interpret outputs",
        ("explanations",),
        "oversight",
        ("explanations",),
    ),
    Clause(
        "2(f)",
        "changes that are determined beforehand, and how compliance is kept",
        ("plan",),
        "predetermined_changes",
        ("limits",),
    ),
    Clause(
        "2(g)",
        "validation and testing: data, metrics, discriminatory impacts, dated and signed reports",
        ("opening", "verdicts"),
        "responsible",
        ("performance", "verdicts"),
    ),
    Clause("2(h)", "cybersecurity", ("freeze",), "cybersecurity", ("digests",)),
    Clause(
        "3",
        "performance, accuracy for groups, foreseeable risks, oversight, input data",
        ("opening", "verdicts"),
        "risks",
        ("performance", "groups"),
    ),
    Clause("4", "why the performance metrics are appropriate", ("plan",), "metrics", ("limits",)),
    Clause("5", "the risk management system of Article 9", (), "risk_management"),
    Clause("6", "changes through the lifecycle", ("registration", "loosened"), "", ("version", "loosened")),
    Clause("7", "harmonised standards applied, or other solutions", (), "standards"),
    Clause("8", "the EU declaration of conformity", (), "declaration"),
    Clause("9", "post-market monitoring of Article 72", (), "monitoring"),
)


def answers(evidence: Evidence, statements: Sourced | None) -> list[Answer]:
    """Every clause with what this dossier holds of it.

    Args:
        evidence: the dossier.
        statements: the provider's; None where the plan has none.
    """
    return [
        Answer(
            clause,
            tuple(step for step in clause.steps if step not in evidence),
            statements[clause.stated] if statements and statements.plain.get(clause.stated) else None,
        )
        for clause in ANNEX_IV
    ]

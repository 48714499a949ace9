"""What only the provider can say of a model: ``data/NAME/statements.yaml``, quoted as it stands."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.plan.base import Member

STATEMENTS = "statements.yaml"
Said = Annotated[str, Field(min_length=1)] | None


class Statements(Member):
    """The provider's statements; what is left out is shown as missing.

    The clauses are those of Annex IV of Regulation (EU) 2024/1689.
    """

    intended_purpose: Said = Field(None, description="1(a): purpose, provider, for whom and for whom not")
    interaction: Said = Field(None, description="1(b): hardware and software that it interacts with")
    forms: Said = Field(None, description="1(d): package, API, download")
    hardware: Said = Field(None, description="1(e): what it is intended to run on")
    product: Said = Field(None, description="1(f): the product that it is part of")
    user_interface: Said = Field(None, description="1(g): what the deployer sees")
    instructions: Said = Field(None, description="1(h): instructions for use")
    design: Said = Field(None, description="2(b): key choices, assumptions and trade-offs, with reasons")
    oversight: Said = Field(None, description="2(e): who oversees decisions, by which means")
    predetermined_changes: Said = Field(None, description="2(f): what may change without a new assessment")
    responsible: Said = Field(None, description="2(g): who is responsible for tests and reports")
    cybersecurity: Said = Field(None, description="2(h): measures in place")
    risks: Said = Field(None, description="3: foreseeable unintended outcomes, and specifications of inputs")
    metrics: Said = Field(None, description="4: why these metrics and limits are appropriate")
    risk_management: Said = Field(None, description="5: the system of Article 9")
    standards: Said = Field(None, description="7: harmonised standards, or other solutions")
    declaration: Said = Field(None, description="8: the declaration of conformity")
    monitoring: Said = Field(None, description="9: the plan of Article 72")
    distributed: Said = Field(None, description="Local Law 144: when the tool was or will be put into use")

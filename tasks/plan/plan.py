"""The plan as a whole: three blocks, a digest each, and the rules that hold between them."""

from __future__ import annotations

import hashlib

from pydantic import Field, model_validator

from tasks.evidence.digest import ordered_json
from tasks.plan.base import Member, crossing
from tasks.plan.judgement import Judgement
from tasks.plan.operations import Operations
from tasks.plan.recipe import Recipe


class Plan(Member):
    """A plan, read from ``data/NAME/plan.yaml``.

    Attributes:
        name: the plan's folder, and the model's name.
        judgement: what the data must be, what is measured and what must hold.
        recipe: how the model is made.
        operations: when runs start and where they are filed.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    judgement: Judgement
    recipe: Recipe
    operations: Operations = Operations()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each block as JSON, defaults written out.

        Keys keep their order: that of ``columns`` is the order of a file without a header.
        """
        blocks = ("judgement", "recipe", "operations")
        dumped = {block: ordered_json(getattr(self, block).model_dump(mode="json")) for block in blocks}
        return {block: hashlib.sha256(content).hexdigest() for block, content in dumped.items()}

    @model_validator(mode="after")
    def _blocks_fit(self) -> Plan:
        problems = [*self._unknown_columns(), *self._unknown_attributes(), *self._parts()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unknown_columns(self) -> list[str]:
        columns = self.judgement.data.columns
        wanted = {f"judgement.protected.{k}.column": v.column for k, v in self.judgement.protected.items()}
        if self.judgement.unit is not None:
            wanted["judgement.unit"] = self.judgement.unit
        wanted |= {f"recipe.model.exclude[{i}]": c for i, c in enumerate(self.recipe.model.exclude)}
        problems = [
            f"{path}: no column {column!r} under judgement.data.columns"
            for path, column in wanted.items()
            if column not in columns
        ]
        for name, protected in self.judgement.protected.items():
            column = columns.get(protected.column)
            if column is not None and (column.type == "category") != (protected.bins is None):
                need = "takes no `bins`" if column.type == "category" else "needs `bins`"
                problems.append(
                    f"judgement.protected.{name}: column {protected.column!r} is {column.type}: it {need}"
                )
        return problems

    def _unknown_attributes(self) -> list[str]:
        judgement = self.judgement
        wanted = {
            f"judgement.limits[{i}].attribute": limit.attribute for i, limit in enumerate(judgement.limits)
        }
        wanted |= {
            f"recipe.mitigation[{i}].attribute": m.attribute for i, m in enumerate(self.recipe.mitigation)
        }
        if judgement.population is not None:
            compared = judgement.population.attributes
            wanted |= {f"judgement.population.attributes[{i}]": a for i, a in enumerate(compared)}
            if judgement.population.raking is not None:
                margins = judgement.population.raking.margins
                wanted |= {f"judgement.population.raking.margins[{i}]": a for i, a in enumerate(margins)}
        known = ", ".join(judgement.protected) or "none"
        return [
            f"{path}: {part!r} is no protected attribute (there are: {known})"
            for path, attribute in wanted.items()
            for part in crossing(attribute)
            if part not in judgement.protected and not (part == "label" and ".limits[" in path)
        ]

    def _parts(self) -> list[str]:
        parts = {source.part for source in self.judgement.data.sources}
        divided = parts != {"all"}
        fraction = self.judgement.test_set.fraction
        if not divided and fraction is None:
            return ["judgement.test_set.fraction: no source is marked `part: test`, so a share is needed"]
        if divided and "all" in parts:
            return ["judgement.data.sources: either every source is `part: all`, or none is"]
        if divided and parts != {"train", "test"}:
            return [f"judgement.data.sources: both a train and a test part are needed, found {sorted(parts)}"]
        if divided and fraction is not None:
            return ["judgement.test_set.fraction: the data has its own division; leave this out"]
        return []

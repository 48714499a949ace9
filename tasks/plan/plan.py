"""The plan as a whole: three blocks, a digest each, and the rules that hold between them."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import Field, model_validator

from tasks.evidence.digest import ordered_json
from tasks.plan.base import Member, crossing
from tasks.plan.features import TabularFeatures
from tasks.plan.fitting import label_problems, recipe_problems, with_defaults
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

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, document: Any) -> Any:
        return with_defaults(document)

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
        problems = [
            *self._unknown_columns(),
            *self._unknown_attributes(),
            *self._parts(),
            *label_problems(self.judgement, self.recipe),
            *recipe_problems(self.judgement.data.kind, self.recipe),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unknown_columns(self) -> list[str]:
        columns = self.judgement.data.described()
        wanted = {f"judgement.protected.{k}.column": v.column for k, v in self.judgement.protected.items()}
        if self.judgement.unit is not None:
            wanted["judgement.unit"] = self.judgement.unit
        features = self.recipe.features
        if isinstance(features, TabularFeatures):
            wanted |= {f"recipe.features.exclude[{i}]": c for i, c in enumerate(features.exclude)}
        wanted |= {f"judgement.test_set.where.{c}": c for c in self.judgement.test_set.where}
        made = "" if self.judgement.data.payload is None else f" (there are: {', '.join(columns)})"
        problems = [
            f"{path}: no column {column!r} under judgement.data.columns{made}"
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
        test_set = self.judgement.test_set
        chosen = test_set.fraction is not None or bool(test_set.where)
        if not divided and not chosen:
            return [
                "judgement.test_set: no source is marked `part: test`, so `fraction` or `where` is needed"
            ]
        if divided and "all" in parts:
            return ["judgement.data.sources: either every source is `part: all`, or none is"]
        if divided and parts != {"train", "test"}:
            return [f"judgement.data.sources: both a train and a test part are needed, found {sorted(parts)}"]
        if divided and chosen:
            return ["judgement.test_set: the data has its own division; leave `fraction` and `where` out"]
        return []

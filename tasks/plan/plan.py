"""The plan as a whole: three blocks, a digest each, and the rules that hold between them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, model_validator

from tasks.evidence.digest import ordered_json
from tasks.plan.answers import answer_problems, held_against
from tasks.plan.audits import audit_problems
from tasks.plan.base import Member
from tasks.plan.deidentification import deidentification_problems
from tasks.plan.features import TabularFeatures
from tasks.plan.federated import federated_problems
from tasks.plan.fitting import label_problems, recipe_problems, training_problems, with_defaults
from tasks.plan.judgement import Judgement
from tasks.plan.mitigating import mitigation_problems
from tasks.plan.monitoring import monitoring_problems
from tasks.plan.names import absent_attributes, absent_columns, column_problems, limit_problems
from tasks.plan.operations import Operations
from tasks.plan.private import differential_problems
from tasks.plan.recipe import Recipe
from tasks.plan.review import review_problems
from tasks.plan.training import Cosine


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

    @property
    def gate(self) -> Judgement:
        """The judgement that predictions are held against: its limits allow for noise in the answers."""
        return held_against(self.judgement, self.recipe.answers)

    def document(self) -> dict[str, Any]:
        """The plan as JSON to change and read again, without a warm-up that it left unsaid."""
        document = self.model_dump(mode="json")
        schedule = self.recipe.training.schedule
        if isinstance(schedule, Cosine) and "warmup_epochs" not in schedule.model_fields_set:
            del document["recipe"]["training"]["schedule"]["warmup_epochs"]  # it depends on the epochs
        return document

    def changed(self, settings: Mapping[str, Any]) -> Plan:
        """The plan with other settings of its recipe; without any it is the same.

        Args:
            settings: key below ``recipe`` (``training.optimizer.rate``) -> value; a number in a key is a
                position in a list.

        Raises:
            pydantic.ValidationError: for a value that the key does not take.
            KeyError: for a key that the recipe does not have.
        """
        document = self.document()
        for key, value in settings.items():
            *above, last = ["recipe", *key.split(".")]
            place: Any = document
            for step in above:
                place = place[int(step) if isinstance(place, list) else step]
            if last not in place and not isinstance(place, list):
                raise KeyError(key)
            place[int(last) if isinstance(place, list) else last] = value
        return Plan.model_validate(document) if settings else self

    @model_validator(mode="after")
    def _blocks_fit(self) -> Plan:
        problems = [
            *self._unknown_columns(),
            *self._unknown_attributes(),
            *self._parts(),
            *audit_problems(self.judgement, self._excluded),
            *label_problems(self.judgement, self.recipe),
            *recipe_problems(self.judgement.data.kind, self.recipe),
            *training_problems(self.recipe),
            *federated_problems(self.judgement, self.recipe),
            *differential_problems(self.judgement, self.recipe, self._excluded),
            *answer_problems(self.judgement, self.recipe),
            *self._unsearchable(),
            *deidentification_problems(self.judgement),
            *review_problems(self.judgement, self.operations.review),
            *monitoring_problems(self.judgement, self.operations.monitoring),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unsearchable(self) -> list[str]:
        """Keys that the recipe does not have, and values that they do not take, at either end of a range."""
        problems = []
        searched = self.recipe.tuning.search if self.recipe.tuning is not None else {}
        # Without the search itself, or its own values would be looked at again and again.
        plain = self.model_copy(update={"recipe": self.recipe.model_copy(update={"tuning": None})})
        for key, setting in searched.items():
            for value in setting.ends():
                try:
                    plain.changed({key: value})
                except (KeyError, IndexError, TypeError):
                    problems.append(f"recipe.tuning.search: the recipe has no key {key!r}")
                    break
                except ValidationError as error:
                    told = error.errors()[0]["msg"]
                    problems.append(f"recipe.tuning.search.{key}: {value!r} does not fit: {told}")
        return problems

    def _unknown_columns(self) -> list[str]:
        named = {f"recipe.features.exclude[{i}]": name for i, name in enumerate(self._excluded)}
        if (explained := self.operations.explanations) is not None:
            held = enumerate(explained.immutable)
            named |= {f"operations.explanations.immutable[{i}]": name for i, name in held}
        left = set(self.judgement.data.described()) - set(self._excluded)
        nothing = [] if left else ["recipe.features.exclude: no column is left to learn from"]
        return [*column_problems(self.judgement), *absent_columns(self.judgement, named), *nothing]

    @property
    def _excluded(self) -> list[str]:
        """Columns that the model never sees."""
        features = self.recipe.features
        return features.exclude if isinstance(features, TabularFeatures) else []

    def _unknown_attributes(self) -> list[str]:
        judgement = self.judgement
        wanted: dict[str, str] = {}
        if judgement.population is not None:
            compared = judgement.population.attributes
            wanted |= {f"judgement.population.attributes[{i}]": a for i, a in enumerate(compared)}
            if judgement.population.raking is not None:
                margins = judgement.population.raking.margins
                wanted |= {f"judgement.population.raking.margins[{i}]": a for i, a in enumerate(margins)}
        return [
            *limit_problems(judgement),
            *absent_attributes(judgement, wanted),
            *mitigation_problems(judgement, self.recipe, self._excluded),
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

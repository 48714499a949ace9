"""A list of limits on its own, for predictions that come without a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tasks.errors import PlanError
from tasks.plan.base import crossing
from tasks.plan.judgement import Limit
from tasks.plan.load import closest, explain, read_yaml

SHAPE = "a list of limits is expected: `- {metric: ..., attribute: sex x race, limit: 0.05}`"
PSEUDO = ("label",)
"""What an attribute may be beside a group: the true classes."""


def parse_limits(limits: Sequence[Limit | Mapping[str, Any]]) -> list[Limit]:
    """Limits as they are, or as a plan writes them.

    Raises:
        ValueError: with every problem, its place and key.
    """
    found, problems = [], []
    for i, limit in enumerate(limits):
        try:
            found.append(limit if isinstance(limit, Limit) else Limit.model_validate(limit))
        except ValidationError as error:
            lines = (line for detail in error.errors() for line in explain(detail))
            problems += [f"limits[{i}]: {line}" for line in lines]
    if problems:
        raise ValueError("\n".join(problems))
    return found


def read_limits(path: Path, groups: Sequence[str]) -> tuple[Limit, ...]:
    """Read a YAML file of limits, written as a plan writes them.

    Args:
        path: the file.
        groups: the attributes there are; a limit's attribute is one of them or their crossing.

    Raises:
        PlanError: with every problem, its key's path and a "did you mean".
    """
    if not path.is_file():
        raise PlanError(str(path), ["there is no such file of limits"])
    document = read_yaml(path)
    if isinstance(document, dict) and set(document) == {"limits"}:  # cut out of a plan with its key
        document = document["limits"]
    if not isinstance(document, list) or not document:
        raise PlanError(str(path), [SHAPE])
    problems = list(_strange(document, groups))
    try:
        limits = TypeAdapter(tuple[Limit, ...]).validate_python(document)
    except ValidationError as error:
        problems = [line for detail in error.errors() for line in explain(detail)] + problems
    if problems:
        raise PlanError(str(path), problems)
    return limits


def _strange(document: Sequence[Any], groups: Sequence[str]) -> Iterator[str]:
    """Attributes that are no group; what isn't text is told by the limit's own type."""
    for i, entry in enumerate(document):
        attribute = entry.get("attribute") if isinstance(entry, dict) else None
        for part in crossing(attribute) if isinstance(attribute, str) else ():
            if part not in (*groups, *PSEUDO):
                yield f"[{i}].attribute: {part!r} is no group of this audit{closest(part, groups)}"

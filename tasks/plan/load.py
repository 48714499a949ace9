"""Read plan.yaml: the only reader of that file. All problems at once, each with a remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import PlanError
from tasks.evidence.digest import digest_file, write_atomically
from tasks.plan.deidentification import FORGOTTEN
from tasks.plan.plan import Plan
from tasks.plan.statements import STATEMENTS, Statements

UNIONS = ("data", "format", "label", "features", "model", "loss", "optimizer", "schedule")
CARD_HEADINGS = ("Origin", "Licence", "Known limits")


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise PlanError(str(node.start_mark.name), [f"line {line}: key {key!r} stands twice"])
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_plan(name: str, data: Path, settings: Sequence[str] = ()) -> Plan:
    """Read and check ``data/NAME/plan.yaml`` and its card.

    Args:
        name: the plan's folder below ``data``.
        data: the folder of plans.
        settings: changes of the recipe, ``recipe.training.epochs=3``.

    Raises:
        PlanError: with every problem found: no such plan, YAML errors, unknown keys, wrong
            types, rules between blocks, a missing card, statements that can't be read, a setting outside
            the recipe.
    """
    path = data / name / "plan.yaml"
    if not path.is_file():
        meant = name.removesuffix("/plan.yaml").rpartition("/")[2]  # data/adult/plan.yaml
        raise PlanError(str(path), [f"there is no plan {name!r}{closest(meant, plan_names(data))}"])
    document = read_document(path)
    for setting in settings:
        _apply(document, setting)
    _name_the_forgotten(document, path.with_name(FORGOTTEN))
    plan = parse_plan(name, document, where=str(path))
    if problems := list(_card_problems(path.with_name("card.md"))):
        raise PlanError(str(path.with_name("card.md")), problems)
    read_statements(path.parent)
    return plan


def read_statements(folder: Path) -> Statements | None:
    """What the provider states in a plan's folder; None where it has no such file.

    Raises:
        PlanError: with every problem: not YAML, an unknown key, an empty statement.
    """
    path = folder / STATEMENTS
    if not path.is_file():
        return None
    try:
        return Statements.model_validate(read_yaml(path))
    except ValidationError as error:
        raise PlanError(str(path), [line for detail in error.errors() for line in explain(detail)]) from error


def plan_names(data: Path) -> list[str]:
    """Names of the folders below ``data`` that hold a plan, sorted."""
    return sorted(path.parent.name for path in data.glob("*/plan.yaml"))


def read_document(path: Path) -> dict[str, Any]:
    """Read YAML into plain values.

    Raises:
        PlanError: for a file that isn't YAML, or whose top level isn't a mapping.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise PlanError(str(path), ["three blocks are expected: judgement, recipe, operations"])
    return document


def read_yaml(path: Path) -> Any:
    """Read YAML of any shape, without a key written twice.

    Raises:
        PlanError: for a file that isn't YAML.
    """
    try:
        with path.open(encoding="utf-8") as handle:
            return yaml.load(handle, _StrictLoader)  # noqa: S506 - a subclass of SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(str(path), [f"not readable as YAML: {error}"]) from error


def parse_plan(name: str, document: dict[str, Any], where: str) -> Plan:
    """Build a plan from plain values.

    Raises:
        PlanError: with every problem, its key's path and a "did you mean".
    """
    try:
        plan = Plan.model_validate({**document, "name": name})
    except ValidationError as error:
        problems = [line for detail in error.errors() for line in explain(detail)]
        raise PlanError(where, problems) from error
    if problems := list(_truth_as_number(document, plan.model_dump(mode="json"), ())):
        raise PlanError(where, problems)
    return plan


def _truth_as_number(found: Any, made: Any, at: tuple[int | str, ...]) -> Iterator[str]:
    """Pydantic takes true for 1: a limit or an epsilon that nobody wrote."""
    if isinstance(found, bool) and not isinstance(made, bool):
        yield f"{_path(at)}: a number is expected, found {str(found).lower()} (YAML reads yes and no so, too)"
    elif isinstance(found, dict) and isinstance(made, dict):
        for key, value in found.items():
            yield from _truth_as_number(value, made.get(key), (*at, key))
    elif isinstance(found, list) and isinstance(made, list):
        for i, (value, own) in enumerate(zip(found, made, strict=False)):
            yield from _truth_as_number(value, own, (*at, i))


def write_schema(path: Path) -> None:
    """Write the JSON Schema of a plan, for editors that check and complete YAML."""
    schema = Plan.model_json_schema()
    schema["title"] = "Assay plan"
    schema["properties"].pop("name")
    schema["required"].remove("name")
    write_atomically(path, json.dumps(schema, indent=2, sort_keys=True).encode() + b"\n")


def _name_the_forgotten(document: dict[str, Any], path: Path) -> None:
    """Let the judgement pin the file that says whose rows are left out: it decides which data is judged."""
    judgement = document.get("judgement")
    privacy = judgement.get("privacy") if isinstance(judgement, dict) else None
    found = digest_file(path) if path.is_file() else None
    if not isinstance(privacy, dict):
        if found is not None:
            raise PlanError(str(path), ["rows were forgotten, so the plan needs `judgement.privacy`"])
        return
    if privacy.setdefault("forgotten", found) != found:
        problem = (
            f"sha256 {privacy['forgotten']} is expected by judgement.privacy.forgotten, found {found}; "
            "leave that key out, it is filled in when the plan is read"
        )
        raise PlanError(str(path), [problem])


def _apply(document: dict[str, Any], setting: str) -> None:
    """Carry out ``recipe.key.key=value`` on the document, or say why not."""
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or keys[0] != "recipe" or len(keys) < 2:
        problem = f"{setting!r}: KEY=VALUE is expected, with a key below `recipe`"
        if keys[0] in ("judgement", "operations"):
            problem += f"; `{keys[0]}` is changed in plan.yaml alone, where it leaves a trace"
        raise PlanError("--set", [problem])
    if keys[1] in ("privacy", "answers"):
        problem = "a budget that a setting can raise protects nobody: it is changed in plan.yaml alone"
        raise PlanError("--set", [f"{setting!r}: {problem}"])
    target: Any = document
    for key in keys[:-1]:
        target = target[int(key)] if isinstance(target, list) and key.isdigit() else _below(target, key)
        if not isinstance(target, dict | list):
            raise PlanError("--set", [f"{setting!r}: there is nothing to set below {key!r}"])
    value = yaml.safe_load(text)
    if isinstance(target, list):
        if not keys[-1].isdigit() or int(keys[-1]) >= len(target):
            raise PlanError(
                "--set", [f"{setting!r}: an index below {len(target)} is expected, found {keys[-1]!r}"]
            )
        target[int(keys[-1])] = value
    else:
        target[keys[-1]] = value


def _below(target: Any, key: str) -> Any:
    return target.setdefault(key, {}) if isinstance(target, dict) else None


def explain(detail: ErrorDetails) -> Iterator[str]:
    """Sentences for one of pydantic's errors: the key's path, what was found and a remedy."""
    path = _path(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        yield f"{path}: unknown key{closest(str(detail['loc'][-1]), _keys_at(detail['loc'][:-1]))}"
    elif kind == "missing":
        yield f"{path}: is required and missing"
    elif kind == "literal_error":
        expected = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        guess = closest(str(detail["input"]), expected)
        yield f"{path}: {detail['input']!r} is none of {', '.join(expected)}{guess}"
    elif kind == "value_error":
        prefix = f"{path}: " if path else ""
        yield from (f"{prefix}{line}" for line in str(context["error"]).splitlines())
    else:
        yield f"{path}: {detail['msg']}, found {detail['input']!r}"


def _path(location: tuple[int | str, ...]) -> str:
    """Write ``("judgement", "limits", 0)`` as ``judgement.limits[0]``, without the members of unions."""
    text = ""
    for before, part in zip((None, *location), location, strict=False):
        if before in UNIONS and part in _members():
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@cache
def _members() -> frozenset[str]:
    """Names by which the members of a plan's unions are told apart."""
    tagged = (
        member
        for model in Plan.model_json_schema()["$defs"].values()
        for key, member in model.get("properties", {}).items()
        if key in ("kind", "type")
    )
    return frozenset({"classes", *(member["const"] for member in tagged if "const" in member)})


def closest(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown word: "; did you mean ...?", or all known words if few."""
    found = difflib.get_close_matches(word, known, n=1)
    if found:
        return f"; did you mean {found[0]!r}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Keys that a plan may hold at a place; those of all members where it is a union's."""
    schema = Plan.model_json_schema()
    nodes = list(_members_of([schema], schema["$defs"]))
    for part in location:
        below = [node for known in nodes for node in _below_schema(known, part)]
        nodes = list(_members_of(below, schema["$defs"])) or nodes  # a union's tag leads no further
    return sorted({key for node in nodes for key in node.get("properties", {})})


def _below_schema(node: Mapping[str, Any], part: int | str) -> Iterator[Any]:
    if isinstance(part, int):
        yield from (node[key] for key in ("items",) if key in node)
    elif part in node.get("properties", {}):
        yield node["properties"][part]
    else:  # a name of the plan's own choice
        named = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
        yield from (schema for schema in named if isinstance(schema, dict))


def _members_of(nodes: Iterable[Mapping[str, Any]], definitions: Mapping[str, Any]) -> Iterator[Any]:
    """Schemas without references and unions: what these lead to."""
    for node in nodes:
        if "$ref" in node:
            yield from _members_of([definitions[node["$ref"].rpartition("/")[2]]], definitions)
        elif members := [*node.get("anyOf", []), *node.get("oneOf", [])]:
            yield from _members_of(members, definitions)
        else:
            yield node


def _card_problems(card: Path) -> Iterator[str]:
    if not card.is_file():
        yield f"a data card is required, with the headings {', '.join(f'## {h}' for h in CARD_HEADINGS)}"
        return
    sections = {
        block.split("\n", 1)[0].strip(): block.split("\n", 1)[1].strip()
        for block in ("\n" + card.read_text(encoding="utf-8")).split("\n## ")[1:]
        if "\n" in block
    }
    for heading in CARD_HEADINGS:
        if not sections.get(heading):
            yield f"the section `## {heading}` is missing or empty"

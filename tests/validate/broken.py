"""Data that breaks its plan, each with what a person is told: of the plan ``tiny`` of tests/flows."""

from __future__ import annotations

from collections.abc import Callable

from tests.flows.conftest import Workspace

COLUMNS = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"]
COLUMNS += ["relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country"]
COLUMNS += ["income"]
Change = Callable[[Workspace], None]


def cell(part: str, row: int, column: str, value: str) -> Change:
    """Replace one value."""

    def change(workspace: Workspace) -> None:
        rows = workspace.rows(part)
        rows[row][COLUMNS.index(column)] = value
        workspace.put_rows(part, rows)

    return change


def everywhere(part: str, column: str, value: str) -> Change:
    """Replace a column's values."""

    def change(workspace: Workspace) -> None:
        rows = workspace.rows(part)
        for row in rows:
            row[COLUMNS.index(column)] = value
        workspace.put_rows(part, rows)

    return change


def header(left_out: str | None = None, added: str | None = None) -> Change:
    """Give both sources a header, and the training part a column less or more."""

    def change(workspace: Workspace) -> None:
        for part in ("train", "test"):
            rows = [COLUMNS, *workspace.rows(part)]
            if left_out and part == "train":
                place = COLUMNS.index(left_out)
                rows = [row[:place] + row[place + 1 :] for row in rows]
            if added and part == "train":
                rows = [[*row, added if row is rows[0] else "1"] for row in rows]
            workspace.put_rows(part, rows)
        document = workspace.document()
        document["judgement"]["data"]["format"]["header"] = True
        workspace.write(document)

    return change


def number(value: str) -> Change:
    """Let a column be of type number, and one of its values no finite number."""

    def change(workspace: Workspace) -> None:
        cell("train", 5, "hours-per-week", value)(workspace)
        document = workspace.document()
        document["judgement"]["data"]["columns"]["hours-per-week"] = {"type": "number"}
        workspace.write(document)

    return change


def empty(workspace: Workspace) -> None:
    workspace.put("test", b"")


def unseen_group(workspace: Workspace) -> None:
    workspace.put_rows("train", [row for row in workspace.rows("train") if row[8] != "Other"])


def unseen_category(workspace: Workspace) -> None:
    """Declared by the plan and in no training row."""
    cell("test", 3, "occupation", "Armed-Forces")(workspace)


REFUSED = {
    "missing column": (header(left_out="hours-per-week"), ["train part", "missing: hours-per-week"]),
    "extra column": (header(added="zodiac"), ["train part", "extra: zodiac"]),
    "wrong type": (cell("train", 7, "age", "thirty"), ["column age", "whole number", "rows 7"]),
    "empty file": (empty, ["raw/test.csv: is empty (0 bytes)", "pin the sha256 of the whole file"]),
    "NaN": (number("NaN"), ["column hours-per-week", "finite", "rows 5"]),
    "infinity": (number("-inf"), ["column hours-per-week", "finite", "rows 5"]),
    "one class": (everywhere("train", "income", "<=50K"), ["column income", "every class occurs", ">50K"]),
    "attribute absent": (header(left_out="sex"), ["missing: sex (protected attribute sex)"]),
    "attribute of one level": (
        everywhere("test", "sex", "Male"),
        ["test part", "at least two groups by sex"],
    ),
    "group never seen": (unseen_group, ["test part", "only groups by race that training has seen"]),
    "category never seen": (
        unseen_category,
        ["test part, column occupation", "'Armed-Forces' (rows 3)", "add training rows that have it"],
    ),
}

"""What a reviewer does with a packet: decide on each row of its table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from .conftest import Workspace

Decide = Callable[[Mapping[str, str]], str]


def filled(packet: Path, decide: Decide) -> Path:
    """A packet's table with its decisions, beside it."""
    with packet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    path = packet.with_name("answers.csv")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"decision": decide(row)} for row in rows)
    return path


def truly(workspace: Workspace) -> Decide:
    """Decide as one who knows every row's label."""
    known = {
        tuple("(missing)" if value == "?" else value for value in row[:-1]): row[-1].rstrip(".")
        for row in workspace.rows("test")
    }
    columns = list(workspace.document()["judgement"]["data"]["columns"])
    return lambda row: known[tuple(row[name] for name in columns)]

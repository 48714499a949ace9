"""A published folder as a reader takes it: every file of it, the page's text and tables apart."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

from tasks.fairness.publication import PublishedTable


class Tables(HTMLParser):
    """The page: text outside of its tables, and each table's rows."""

    def __init__(self, html: str) -> None:
        """Read it."""
        super().__init__()
        self.outside, self.tables, self.at = "", [], ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser's
        self.at = tag if tag in {"th", "td", "style"} else self.at
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in {"th", "td"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.at = "" if tag == self.at else self.at

    def handle_data(self, data: str) -> None:
        if self.at in {"th", "td"}:
            self.tables[-1][-1][-1] += data
        elif self.at != "style":
            self.outside += data


def read(folder: Path) -> tuple[dict[str, Any], Tables]:
    """All that is in the folder."""
    assert sorted(path.name for path in folder.iterdir()) == ["counts.json", "index.html"]
    content = json.loads((folder / "counts.json").read_bytes())
    return content, Tables((folder / "index.html").read_text(encoding="utf-8"))


def counts_of(page: Tables, tables: list[PublishedTable]) -> Iterator[PublishedTable]:
    """The counts as the page has them, in the shape of the others."""
    for rows, table in zip(page.tables[-len(tables) :], tables, strict=True):
        heads = len(table.levels) - 1
        assert [tuple(row[:heads]) for row in rows[1:]] == list(product(*table.levels[:-1]))
        cells = [cell for row in rows[1:] for cell in row[heads:]]
        found = tuple(None if cell == "hidden" else int(cell.replace(",", "")) for cell in cells)
        yield table.model_copy(update={"counts": found})


def agreed(folder: Path, known: set[str]) -> dict[str, Any]:
    """The counts of the folder, once it is shown that all its files say these and no other number."""
    content, page = read(folder)
    tables = [PublishedTable.model_validate(table) for table in content["counts"]["tables"]]
    assert list(counts_of(page, tables)) == tables
    said = json.dumps({**content, "counts": content["counts"] | {"tables": []}})
    for text in (
        page.outside,
        said,
        *(cell for table in page.tables[: -len(tables)] for row in table for cell in row),
    ):
        plain = re.sub(r"\b[0-9a-f]{64}\b|SHA-256|\\u[0-9a-f]{4}", "", text)
        assert set(re.findall(r"\d+(?:\.\d+)?", plain)) <= known, text
    return content


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}

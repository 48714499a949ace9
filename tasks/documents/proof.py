"""The check of a finished page: every figure is where the evidence has it, and none was typed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tasks.documents.said import said
from tasks.evidence.digest import digest_file

OWN = frozenset({"style", "cite", "svg", "title"})
"""Elements whose digits are no figure of the run: style, a law's own numbers, drawings, the tab's name."""


def page_problems(page: str, folder: Path) -> list[str]:
    """One sentence for each figure of a page that the evidence does not bear out.

    Args:
        page: HTML.
        folder: the dossier's.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    sources: dict[str, tuple[str, Any]] = {}
    problems = [
        f"line {line}: {text!r} has a number that no evidence is named for: it was typed by hand"
        for line, text in reader.typed
    ]
    for line, attributes, text in reader.figures:
        problems += [f"line {line}: {told}" for told in _figure_problems(attributes, text, folder, sources)]
    return problems


def _figure_problems(
    attributes: dict[str, str], text: str, folder: Path, sources: dict[str, tuple[str, Any]]
) -> Iterator[str]:
    path, _, pointer = attributes.get("data-from", "").partition("#")
    file = (folder / path).resolve()
    if not path or not file.is_relative_to(folder.resolve()) or not file.is_file():
        yield f"{text!r} names {path or 'no file'} as its source, which the dossier lacks"
        return
    if path not in sources:
        content = file.read_text(encoding="utf-8")
        sources[path] = digest_file(file), json.loads(content) if file.suffix == ".json" else content
    digest, document = sources[path]
    if digest != attributes.get("data-sha256"):
        yield f"{text!r} is stale: {path} was changed since the page was made"
        return
    how = attributes.get("data-as", "")
    try:
        expected = said(how, _value(document, pointer), pointer)
    except (KeyError, IndexError, TypeError, ValueError):
        yield f"{text!r}: {path} has nothing at {pointer} that could be said as {how!r}"
        return
    if expected != text:
        yield f"{path}#{pointer} says {expected!r}, the page {text!r}"


def _value(document: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key) if isinstance(document, list) else key]
    return document


class _Reader(HTMLParser):
    """Collects figures with their text, and digits outside of them."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[tuple[int, dict[str, str], str]] = []
        self.typed: list[tuple[int, str]] = []
        self._open: list[str] = []
        self._figure: tuple[int, dict[str, str], list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "data":
            self._figure = self.getpos()[0], {name: value or "" for name, value in attrs}, []
        elif tag in OWN:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "data" and self._figure is not None:
            line, attributes, parts = self._figure
            self.figures.append((line, attributes, "".join(parts)))
            self._figure = None
        elif self._open and tag == self._open[-1]:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._figure is not None:
            self._figure[2].append(data)
        elif not self._open and re.search(r"\d", data):
            self.typed.append((self.getpos()[0], data.strip()[:60]))

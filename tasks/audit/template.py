"""The template of a self-contained page, and the style that all pages share."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template


def page_template(package: str, name: str, **filters: Callable[..., Any]) -> Template:
    """A page's template: what comes from data is escaped, and what is undefined fails.

    Args:
        package: that ships it.
        name: of the file.
        filters: of the page, beside ``count``, which groups thousands.
    """
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"count": lambda value: f"{value:,}", **filters}
    return environment.from_string(_text(package, name))


def page_style() -> str:
    """The style sheet."""
    return _text("tasks.audit", "page.css")


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")

"""Make the pages of a dossier, and check those that are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tasks.audit.figures import rate_figures
from tasks.audit.page import MARKS
from tasks.audit.template import page_style
from tasks.documents.clauses import Held, answers
from tasks.documents.proof import page_problems
from tasks.documents.said import WAYS
from tasks.documents.sourced import Evidence, Sourced
from tasks.documents.tables import TABLES, derived_tables
from tasks.errors import EvidenceError
from tasks.evidence.digest import write_atomically
from tasks.fairness.verdict import Judged, Verdict
from tasks.plan.locked import CARD, STATED
from tasks.report.made import MAKES

FOLDER = "documents"
TIMINGS = "timings.json"
LAW_144 = "local_law_144.html"
MOST = 8
"""Features shown of an explanation, the heaviest first."""
PAGES = ("audit.html", "model_card.html", "annex_iv.html", LAW_144)


def write_documents(folder: Path) -> list[Path]:
    """Write every page of a dossier into its folder ``documents``.

    Args:
        folder: the dossier's, with its last record.

    Returns:
        What was written.

    Raises:
        EvidenceError: the dossier is broken, or a page shows what the evidence does not bear out.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    written = []
    for name, content in _contents(folder):
        path = folder / FOLDER / name
        write_atomically(path, content)
        if problems := page_problems(content.decode(), folder) if path.suffix == ".html" else []:
            path.unlink()
            raise EvidenceError("\n".join(f"{path}: {told}" for told in problems))
        written.append(path)
    for stale in set((folder / FOLDER).iterdir()) - set(written):
        stale.unlink()
    return written


def check_documents(folder: Path) -> list[str]:
    """Compare the pages of a dossier with its evidence.

    Args:
        folder: the dossier's.

    Returns:
        One sentence for each page that is missing and each figure that is stale or was typed by hand.

    Raises:
        EvidenceError: the dossier is broken.
    """
    problems = []
    for name, content in _contents(folder):
        path = folder / FOLDER / name
        if not path.is_file():
            problems.append(f"{FOLDER}/{name}: is missing; `assay documents --write` makes it")
            continue
        found = path.read_bytes()
        told = page_problems(found.decode(errors="replace"), folder) if path.suffix == ".html" else []
        if not told and found != content:
            told = [f"line {_first_difference(found, content)} is not what the evidence gives"]
        problems += [f"{FOLDER}/{name}: {one}" for one in told]
    return problems


def _first_difference(found: bytes, expected: bytes) -> int:
    """Number of the first line in which two texts differ, from 1."""
    lines = zip(found.split(b"\n"), expected.split(b"\n"), strict=False)
    same = [mine == theirs for mine, theirs in lines]
    return same.index(False) + 1 if False in same else len(same)


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file's name and bytes; the tables come first, for the pages draw from that file."""
    evidence = Evidence(folder)
    derived = json.dumps(derived_tables(evidence), indent=1, ensure_ascii=False).encode() + b"\n"
    yield Path(TABLES).name, derived
    # Not read back: a check writes nothing, and finds a file with other bytes.
    tables = Sourced(json.loads(derived), TABLES, hashlib.sha256(derived).hexdigest())
    statements = evidence.json(STATED) if (folder / STATED).is_file() else None
    environment = _environment()
    context = {
        "evidence": evidence,
        "plan": evidence.json("plan.json") if "plan" in evidence else None,
        "card": evidence.text(CARD) if (folder / CARD).is_file() else None,
        "statements": statements,
        "tables": tables,
        "timings": evidence.json(TIMINGS) if (folder / TIMINGS).is_file() else None,
        "clauses": answers(evidence, statements),
        "Held": Held,
        "MOST": MOST,
        "MAKES": MAKES,
        "style": page_style() + _text("documents.css"),
    }
    for name in PAGES:
        if name != LAW_144 or any(law.law.plain.endswith("(Local Law 144 of 2021)") for law in _laws(tables)):
            yield name, environment.get_template(name).render(context).encode()


def _laws(tables: Sourced) -> Iterator[Sourced]:
    for one in tables.sets:
        yield from one.laws


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tasks.documents", "pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    ways = {how: (lambda value, how=how: value.shown(how)) for how in (*WAYS, "key")}
    environment.filters |= ways
    environment.filters |= {
        "drawn": _drawn,
        "mark": lambda verdict: MARKS[Verdict(verdict.plain)],
        "pairs": lambda value: [value[key] for key in value.plain],
    }
    return environment


def _drawn(one: Sourced) -> Markup:
    """The rates of a verdict's groups as drawings."""
    return Markup("").join(figure.svg for figure in rate_figures(Judged.model_validate(one.plain)))


def _text(name: str) -> str:
    return files("tasks.documents").joinpath("pages", name).read_text(encoding="utf-8")

"""Counts as they are handed out: a folder of its own with a file for programs and a page for people.

Everything in it taken together keeps what its page promises. So it holds no verdict: a verdict follows from
exact counts, each word of one rules out some of the counts that may be hidden, and limit after limit on one
gap leaves a single one. The digests of the rows are keyed for the same reason: against a plain hash guesses
could be tried out, of one row by whoever knows the others, and of hidden counts by whoever knows how the file
is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.audit.once import Claim, PublicationKey, admitted, claim
from tasks.audit.template import page_style, page_template
from tasks.errors import PlanError
from tasks.evidence.digest import canonical_json, write_atomically
from tasks.evidence.records import Record
from tasks.fairness.cube import Cube
from tasks.fairness.publication import (
    THRESHOLD,
    Noised,
    PublishedTable,
    Suppressed,
    chosen_tables,
    rows_problem,
    suppressed,
)
from tasks.fairness.publication_noise import KeyedRandom, noise_problem, noised
from tasks.plan.base import crossing

COUNTS, PAGE = "counts.json", "index.html"
TOGETHER = "all publications of these rows"


@dataclass(frozen=True)
class Wish:
    """How counts shall be published.

    Attributes:
        folder: to write.
        epsilon: of the noise; small counts are suppressed when None.
        rows_per_person: the most rows that one person has.
        tables: attributes and crossings, ``sex x race``; none for one table an attribute.
        total: epsilon of all publications of these rows, stated with the first; None for what stands on
            record, or for this publication alone.
    """

    folder: Path
    epsilon: float | None = None
    rows_per_person: int = 1
    tables: tuple[str, ...] = ()
    total: float | None = None

    @property
    def words(self) -> str:
        """In words, for the record of what was published."""
        rows = self.rows_per_person
        how = (
            f"suppressed below {THRESHOLD * rows}"
            if self.epsilon is None
            else f"noised, epsilon {self.epsilon}"
        )
        person = f"at most {rows} row{'' if rows == 1 else 's'} per person"
        return f"{how}, {person}, {'; '.join(self.tables) or 'a table for each attribute'}"


@dataclass(frozen=True, eq=False)
class Subject:
    """What is published.

    Attributes:
        cube: its counts.
        rows: SHA-256 (hex) of the file of the rows that were counted.
        asked: what of each row was counted, apart from who else is there: the frozen model's digest, or the
            columns. Two models that decide alike on all of these rows have the same counts, and must have
            noise of their own: by equal noise everybody would know that nobody is there on whom they differ.
        of: name -> value of what they are of: fit for every reader.
        digests: name -> SHA-256 (hex) of what the rows, or the plan that pins them, follow from.
        sources: SHA-256 (hex) of each file that the rows were taken from, if not from that of ``rows``, which
            changes with the columns that a plan describes while the people stay.
        levels: attribute -> levels that it may have, whoever is there; none where they follow from the rows.
    """

    cube: Cube
    rows: str
    asked: tuple[str, ...]
    of: Mapping[str, str]
    digests: Mapping[str, str]
    sources: tuple[str, ...] = ()
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Published(Record):
    """The file for programs.

    Attributes:
        format: of this file.
        of: what the counts are of.
        counts: the tables, how they are protected, and what that promises.
    """

    format: Literal["assay-publication/1"] = "assay-publication/1"
    of: dict[str, str]
    counts: Suppressed | Noised = Field(discriminator="kind")


def wish_problems(wish: Wish, others: Mapping[str, Path | None]) -> Iterator[str]:
    """What is wrong with a wish, before anything is counted.

    Args:
        wish: what was asked for.
        others: how the command line calls a file that it reads or writes -> its path.
    """
    if wish.epsilon is not None and (problem := noise_problem(wish.epsilon)):
        yield f"--epsilon: {problem}"
    if wish.total is not None:
        if wish.epsilon is None or wish.total < wish.epsilon:
            least = "with --epsilon" if wish.epsilon is None else f"of at least --epsilon, {wish.epsilon:g},"
            yield f"--total-epsilon: a total {least} is expected, found {wish.total:g}"
        elif problem := noise_problem(wish.total):
            yield f"--total-epsilon: {problem}"
    if problem := rows_problem(wish.rows_per_person):
        yield f"--rows-per-person: {problem}"
    nearest = next(path for path in (wish.folder, *wish.folder.parents) if path.exists() or path.is_symlink())
    if not nearest.is_dir():
        yield f"{wish.folder}: a folder for {COUNTS} and {PAGE} is expected, found a file at {nearest}"
        return
    for name, path in others.items():
        if path is not None and path.resolve().is_relative_to(wish.folder.resolve()):
            yield f"{name} {path} lies in {wish.folder}: all in there is published, and it would be exact"
    yield from _strangers(wish.folder, [COUNTS, PAGE])


def _strangers(folder: Path, ours: Sequence[str]) -> Iterator[str]:
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if strange := [name for name in found if name not in ours]:
        yield f"{folder}: a folder of its own is expected, for all in it is published; found {strange[0]}"


def prepare(subject: Subject, wish: Wish, var: Path) -> tuple[Published, dict[str, bytes]]:
    """Protect the counts and put on record that they are published; nothing is written into the folder.

    Returns:
        What is published, and the bytes of each file: the same for the same rows, counts and wish.

    Raises:
        PlanError: for counts or a wish that can't be met; for rows whose earlier publications leave no room
            for it, or a damaged record of these; for a folder that holds another publication.
    """
    key = PublicationKey.of(var)
    try:
        exact, counts = _protected(subject, wish, key)
    except ValueError as error:
        raise PlanError("publish", [str(error)]) from error
    what = ", ".join(f"{name} {value}" for name, value in subject.of.items())
    rows = (subject.rows, *subject.sources)
    asked = Claim(
        mark=key.mark("claim", exact).hex(),
        told=f"{what}: {wish.words}",
        rows_per_person=wish.rows_per_person,
        epsilon=wish.epsilon,
        total=wish.total,
    )
    held = admitted(var, rows, asked)
    published = Published(of={**subject.of, **_further(subject.digests, key, held.total)}, counts=counts)
    files = {COUNTS: published.model_dump_json(indent=1).encode() + b"\n", PAGE: page(published).encode()}
    for name, content in files.items():
        path = wish.folder / name
        if path.is_file() and path.read_bytes() != content:
            raise PlanError("publish", [f"{path} is of another publication: name another folder"])
    claim(var, rows, held)
    return published, files


def _protected(subject: Subject, wish: Wish, key: PublicationKey) -> tuple[bytes, Suppressed | Noised]:
    """What the counts are exactly, of which rows, and how they are asked for; and what is shown.

    The noise is drawn from all of the former. Were it from the counts alone, another file with equal counts
    would get equal noise: whoever has last week's publication would know for certain that nobody joined.

    Raises:
        ValueError: for counts or a wish that can't be met.
    """
    cube = subject.cube
    if wish.epsilon is not None:  # a level that is shown only where somebody has it would tell of that one
        cube = cube.widened({name: subject.levels.get(name, ()) for name in cube.axes}, cube.labels)
    tables = chosen_tables(cube, [crossing(name) for name in wish.tables] or None)
    rows = wish.rows_per_person
    counted = [list(cube.axes.items()), cube.labels, cube.counts.tolist()]
    exact = canonical_json([subject.rows, subject.asked, tables, wish.epsilon, rows, THRESHOLD, counted])
    if wish.epsilon is None:
        return exact, suppressed(cube, tables, THRESHOLD, rows)
    return exact, noised(cube, wish.epsilon, rows, tables, KeyedRandom(key.mark("noise", exact)))


def write_publication(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what `prepare` made."""
    for name, content in files.items():
        write_atomically(folder / name, content)


def told(published: Published, folder: Path) -> str:
    """What the terminal says of it, without a full stop."""
    counts = published.counts
    done = f"{counts.hidden} counts hidden; " if isinstance(counts, Suppressed) else ""
    return f"Published   {folder / PAGE} and {COUNTS}: {done}{counts.guarantee}"


def _further(digests: Mapping[str, str], key: PublicationKey, total: float | None) -> dict[str, str]:
    """What is said beside the names: digests that only the key's owner can tell, and the noise in all."""
    keyed = {
        name: f"keyed {key.mark('digest', bytes.fromhex(digest)).hex()}" for name, digest in digests.items()
    }
    return keyed if total is None else {**keyed, TOGETHER: f"epsilon {total:g} in all"}


def page(published: Published) -> str:
    """The page for people, the same bytes for the same publication."""
    template = page_template("tasks.audit", "publication.html", shown=_shown)
    return template.render(
        published=published,
        counts=published.counts,
        title=next(iter(published.of.values())),
        together=TOGETHER,
        tables=[(table, _rows(table)) for table in published.counts.tables],
        style=page_style(),
    )


def _shown(count: int | None) -> str:
    return "hidden" if count is None else f"{count:,}"


def _rows(table: PublishedTable) -> list[tuple[tuple[str, ...], tuple[int | None, ...]]]:
    """Lines of a table on the page: levels and true class, then a count for each predicted class."""
    width = len(table.levels[-1])
    heads = list(product(*table.levels[:-1]))
    return [(head, table.counts[i * width : (i + 1) * width]) for i, head in enumerate(heads)]

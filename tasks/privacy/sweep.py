"""The leak sweep: seek values in everything that a run left, however they are wrapped.

A value is sought in lower, upper and title case and as given, composed and decomposed: as it is, as UTF-16,
hex and base64 (all three alignments, both alphabets, over breaks of lines), URL-encoded, and escaped as in
JSON (up to three times), in SQL and in Python. Files are opened up (:mod:`tasks.privacy.wrappings`): gzip,
zlib, bzip2 and xz streams anywhere in a file (of each the first 256 MiB), zip and tar (which PyTorch's and
Excel's files are), Parquet, Arrow and SQLite with their numbers, HTML's entities, texts of PDF and PNG, and
base64 that hides any of these. Metadata of JPEG stands there as it is. Names of files, folders and links, and
where links lead, are looked at. What could not be opened is named: it was not searched.
"""

from __future__ import annotations

import base64
import json
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from tasks.privacy.wrappings import base64_runs, may_wrap, unbroken, unwrapped

DEPTH = 5
SHORTEST = 4
"""Characters of a value; a shorter one stands somewhere in any large file."""
BASE64 = "base64"


class Found(NamedTuple):
    """A value that was found; it is named by its place in the list, never repeated.

    Attributes:
        path: the file, or the folder or link that is named so.
        value: position of the value among those sought, from 0.
        how: the ways in, outermost first: ``gzip > base64``.
    """

    path: Path
    value: int
    how: str


class Unopened(NamedTuple):
    """What was not searched inside: damaged, encrypted, unreadable, or wrapped more than five times.

    Attributes:
        path: the file or folder.
        how: the wrappings, outermost first; empty for the file itself.
    """

    path: Path
    how: str


class Swept(NamedTuple):
    """What a sweep saw, and what it did not."""

    found: list[Found]
    unopened: list[Unopened]


def sweep(values: Sequence[str], *places: Path) -> list[Found]:
    """What :func:`search` finds."""
    return search(values, *places).found


def search(values: Sequence[str], *places: Path) -> Swept:
    """Seek values in files and in folders with all below them, links not followed but for a place itself.

    Args:
        values: each of at least four characters.
        places: files and folders.

    Returns:
        Each value once for a file or a name, with the first way in which it was found; and what could not
        be opened, where some value was still sought in it.

    Raises:
        ValueError: for a value that is too short to mean anything.
    """
    if any(len(value) < SHORTEST for value in values):
        raise ValueError(f"each value needs at least {SHORTEST} characters")
    wanted = [spellings(value) for value in values]
    found, unopened = list[Found](), list[Unopened]()
    for path in sorted({path for place in places for path in _files(place, unopened)}):
        hits = {number: "name" for number, _ in _plainly(os.fsencode(path.name), (), wanted)}
        if path.is_symlink():
            target = os.fsencode(path.readlink())
            hits |= {number: "link" for number, _ in _plainly(target, (), wanted) if number not in hits}
        elif path.is_file():
            try:
                content = path.read_bytes()
            except OSError:
                unopened.append(Unopened(path, ""))
                continue
            for number, how in _in_content(content, wanted, path, ()):
                if number is None:
                    unopened.append(Unopened(path, how))
                else:
                    hits[number] = how
        found += [Found(path, number, how) for number, how in sorted(hits.items())]
    return Swept(found, sorted(set(unopened)))


def _files(place: Path, unopened: list[Unopened]) -> list[Path]:
    """All below a place, and what a link leads to that is itself a place; unreadable folders are noted."""
    if not place.is_dir():
        return [place, place.resolve()] if place.is_symlink() else [place]

    def note(error: OSError) -> None:
        unopened.append(Unopened(Path(error.filename), ""))

    walked = os.walk(place, onerror=note)
    return [Path(top) / name for top, folders, files in walked for name in (*folders, *files)]


def spellings(value: str) -> dict[bytes, str]:
    """The forms in which a value is sought, each with its name; all but base64 in lower case (of ASCII)."""
    made: dict[bytes, str] = {}
    cased = (value, value.lower(), value.upper(), value.title())
    composed = [unicodedata.normalize("NFC", one) for one in cased]
    decomposed = [unicodedata.normalize("NFD", one) for one in composed]
    for text in dict.fromkeys([*composed, *decomposed, *cased]):  # some characters are in neither
        plain, wide = text.encode(), (text.encode("utf-16-le"), text.encode("utf-16-be"))
        forms = {one.hex().encode(): "hex" for one in (plain, *wide)}
        forms |= dict.fromkeys((one.encode() for one in _escaped(text)), "escaped")
        forms |= {plain: "plain", wide[0]: "utf-16-le", wide[1]: "utf-16-be"}
        made |= {form.lower(): name for form, name in forms.items() if form.lower() not in made}
        made |= {form: BASE64 for inner in (plain, wide[0]) for form in _aligned(inner) if form not in made}
    return made


def _escaped(text: str) -> Iterator[str]:
    """As URLs, JSON (also such as is a text in JSON itself), SQL, Python and Unix shells write it."""
    yield from (quote(text, safe=""), quote_plus(text), quote(text))
    inner = text
    for _ in range(3):
        inner = json.dumps(inner)[1:-1]
        yield inner
    yield from (json.dumps(text, ensure_ascii=False)[1:-1], ascii(text)[1:-1], repr(text.encode())[2:-1])
    yield from (text.replace(mark, before + mark) for mark in "'\"" for before in (mark, "\\"))


def _aligned(plain: bytes) -> Iterator[bytes]:
    """What stands in base64 wherever the value begins: the characters that no neighbour decides."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain + b"\0\0")
        first, last = -(-before * 8 // 6), (before + len(plain)) * 8 // 6
        # A value of few bytes leaves too few characters to mean anything.
        if last - first >= SHORTEST:
            yield whole[first:last]
            yield whole[first:last].translate(bytes.maketrans(b"+/", b"-_"))


def _in_content(
    content: bytes, wanted: Sequence[Mapping[bytes, str]], path: Path | None, way: tuple[str, ...]
) -> Iterator[tuple[int | None, str]]:
    """Values in some bytes and in what is wrapped in them; a later way to the same value may follow.

    What could not be opened has no value's number, and the way to it.
    """
    seen, runs = set(), base64_runs(content)
    for here, how in _plainly(content, runs, wanted):
        seen.add(here)
        yield here, " > ".join([*way, how])
    left = [forms if number not in seen else {} for number, forms in enumerate(wanted)]
    if not any(left):
        return
    if len(way) >= DEPTH:
        if may_wrap(content):
            yield None, " > ".join(way)
        return
    for name, inner in unwrapped(content, runs, path):
        if inner is None:
            yield None, " > ".join([*way, name])
            continue
        for number, how in _in_content(inner, left, None, (*way, name)):
            if number is None:
                yield None, how
            elif number not in seen:
                seen.add(number)
                yield number, how


def _plainly(
    content: bytes, runs: Sequence[bytes], wanted: Sequence[Mapping[bytes, str]]
) -> Iterator[tuple[int, str]]:
    """Values that stand in some bytes without being wrapped, but for one of their spellings."""
    folded = content.lower()  # of ASCII
    lines = b"\n".join(whole for run in runs if (whole := unbroken(run)) != run)
    for number, forms in enumerate(wanted):
        for form, name in forms.items():
            if form in folded if name != BASE64 else form in content or form in lines:
                yield number, name
                break

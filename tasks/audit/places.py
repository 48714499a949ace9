"""Where an audit reads and writes: no output may take the place of an input or of another output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.audit.records import Audit
from tasks.fairness.cube import Cube

SMALL = 10
"""Fewer people than this in a cell may point at persons."""


def place_problems(inputs: Mapping[str, Path | None], outputs: Mapping[str, Path | None]) -> Iterator[str]:
    """Files that are one and the same though they shall be several, and outputs that can't be written.

    Args:
        inputs: how the command line calls a file that is read -> its path, None where not asked for.
        outputs: likewise of the files to write.
    """
    named: dict[object, list[str]] = defaultdict(list)
    for name, path in (*inputs.items(), *outputs.items()):
        if path is not None:
            named[_identity(path)].append(name)
    for names in named.values():
        if any(name in outputs for name in names[1:]):
            path = {**inputs, **outputs}[names[0]]
            yield f"{' and '.join(names)} are one file, {path}: writing would destroy what is in it"
    for name, path in outputs.items():
        if path is not None and path.is_dir():
            yield f"{name} {path}: a file is expected, found a folder"


def _identity(path: Path) -> object:
    """What all names of a file share, also links, and other cases where the disk knows none."""
    if path.exists():
        found = path.stat()
        return found.st_dev, found.st_ino
    return path.resolve()


def privacy(audit: Audit) -> str:
    """What the record of an audit tells of single people, for the page and the terminal."""
    cube = audit.counted
    small = small_cells(cube)
    if small:
        cells = f"{small:,} of its cells hold fewer than {SMALL} people: think before you publish it."
    else:
        cells = f"No cell of the counts holds fewer than {SMALL} people."
    if cube.units is None:
        return f"The record holds counts and no row. {cells}"
    return (
        "The record lists each sampling unit's group, label and prediction (without its name), as intervals "
        f"over units need them: do not publish it where a unit is a person. {cells}"
    )


def small_cells(cube: Cube) -> int:
    """Cells that hold somebody, but fewer people than may be published without a thought."""
    return int(((cube.counts > 0) & (cube.counts < SMALL)).sum())

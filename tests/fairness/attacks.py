"""What a reader of published counts can work out: the attacks that publications must withstand."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from tasks.fairness import Cube
from tasks.fairness.publication import TOTAL, Suppressed

Ints = NDArray[np.int64]
Known = Sequence[tuple[Mapping[str, str], int]]


def cube_from(counts: Ints) -> Cube:
    axes = {f"a{i}": tuple(f"v{k}" for k in range(size)) for i, size in enumerate(counts.shape[:-2])}
    labels = tuple(str(k) for k in range(counts.shape[-1]))
    return Cube(axes, labels, labels[-1], counts)


def inside(choice: Sequence[str], cells: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """1 for the cells that a row of a published table sums over, else 0."""
    return np.array(
        [all(c in {TOTAL, v} for c, v in zip(choice, cell, strict=True)) for cell in cells], float
    )


def attack(cube: Cube, published: Suppressed, beside: Known = ()) -> list[tuple[int, bool, float, float]]:
    """A reader's ranges, from the published tables alone: count, whether hidden, smallest, largest value.

    Built from the names in the tables, apart from the code that chose what to hide. Every sum of cells
    that is small, or was published and hidden, is bounded by linear programming (wider than the truth
    only in that it forgets that counts are whole). `beside` are sums that the reader has from elsewhere.
    """
    names = [*cube.axes, "true class", "predicted class"]
    levels = [*cube.axes.values(), cube.labels, cube.labels]
    cells = list(product(*levels))
    rows = [row for table in published.tables for row in table.frame().to_dicts()]
    rows += [{**choice, "n": n} for choice, n in beside]
    known = [(inside([row.get(name, TOTAL) for name in names], cells), row["n"]) for row in rows]
    shown = [(sums, n) for sums, n in known if n is not None]
    hidden = [sums for sums, n in known if n is None]
    program = {
        "A_eq": np.array([sums for sums, _ in shown]) if shown else None,
        "b_eq": np.array([n for _, n in shown]) if shown else None,
        "A_ub": -np.array(hidden) if hidden else None,
        "b_ub": -np.ones(len(hidden)) if hidden else None,
    }
    true = cube.counts.ravel()
    targets = {sums.tobytes(): (sums, True) for sums in hidden}
    for choice in product(*[[*names_, TOTAL] for names_ in levels]):
        sums = inside(choice, cells)
        if 0 < sums @ true < published.threshold:
            targets.setdefault(sums.tobytes(), (sums, False))
    found = []
    for sums, was_hidden in targets.values():
        ends = []
        for sign in (1, -1):
            result = linprog(sign * sums, bounds=(0, None), **program)
            ends.append(sign * result.fun if result.status == 0 else sign * -np.inf)
        found.append((int(sums @ true), was_hidden, ends[0], ends[1]))
    return found


def check(cube: Cube, published: Suppressed, beside: Known = ()) -> None:
    """No small count is shown, none can be narrowed below the threshold's range, no hidden one follows."""
    for table in published.tables:
        shown = [n for n in table.counts if n is not None]
        assert all(n == 0 or n >= published.threshold for n in shown)
    for count, _, low, high in attack(cube, published, beside):
        assert low <= count + 1e-6
        assert high >= count - 1e-6
        wanted = published.threshold - 1 if count < published.threshold else 1
        assert high - low >= wanted - 1e-6, (count, low, high)

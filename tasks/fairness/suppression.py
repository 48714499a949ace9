"""Which published counts must stay hidden, so that no small count can be worked out from the rest.

Counts live in an *extended* table: along each axis its last entry is the sum of the others, so that it
holds every margin. Some of its entries are to be published. Of these, counts of 1 to threshold - 1 are
hidden (primary suppression); then others are hidden with them (complementary suppression), until

- every small count of the extended table, published or not, could as well lie threshold - 1 further
  up or down within the range that remains, and
- no hidden count follows exactly,

for somebody who knows every shown count, which counts are hidden, that these are at least 1, that all
counts are whole, and that the sums hold. Two tables that prove the range are searched by integer
programming, so the guarantee is checked and not assumed. What to hide next is chosen greedily (the
smallest count that shares a sum), so more may be hidden than the fewest possible. The problem is
stated in Fischetti and Salazar 2001, Solving the cell suppression problem on tabular data.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, kron

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NODES = 100
"""Branches searched for one witness: a bound that, unlike a time limit, gives the same answer anywhere."""
ROUNDS = 12
"""Searches that move many counts at once, before those that aim at a single one."""


def with_totals(counts: Ints) -> Ints:
    """The table and all its margins: each axis one longer, its last entry the sum of the others."""
    for axis in range(counts.ndim):
        counts = np.concatenate([counts, counts.sum(axis=axis, keepdims=True)], axis=axis)
    return counts


def shown_counts(counts: Ints, published: Mask, threshold: int) -> Mask:
    """Which entries of `with_totals(counts)` may be shown.

    Args:
        counts: whole numbers, any number of axes.
        published: entries of the extended table that a reader is to see, if they may be.
        threshold: the smallest count that may be shown, at least 2; zeros are shown.

    Returns:
        Mask of the extended table, within `published`.
    """
    table = with_totals(counts)
    small = (table > 0) & (table < threshold)
    shown: Mask = published & ~small
    attack = _Attack(counts, published, np.where(small, threshold - 1, 1))
    while True:
        _hide_one_more_in_lone_lines(table, shown, published | small)
        exposed = attack.exposed(shown, published | small)
        if exposed is None:
            return shown
        _hide_beside(table, shown, exposed)


def _hide_one_more_in_lone_lines(table: Ints, shown: Mask, guarded: Mask) -> None:
    """A count that alone is missing from a sum follows from the rest: hide the smallest of them too."""
    changed = True
    while changed:
        changed = False
        for axis in range(table.ndim):
            missing = ~shown
            lone = missing & (missing.sum(axis=axis, keepdims=True) == 1) & guarded & (table > 0)
            cost = np.where(shown & (table > 0), table, np.iinfo(np.int64).max)
            cheapest = np.expand_dims(cost.argmin(axis=axis), axis)
            alone = lone.any(axis=axis, keepdims=True)
            alone &= np.take_along_axis(cost, cheapest, axis) < np.iinfo(np.int64).max
            kept = np.take_along_axis(shown, cheapest, axis) & ~alone
            np.put_along_axis(shown, cheapest, kept, axis)
            changed |= bool(alone.any())


def _hide_beside(table: Ints, shown: Mask, exposed: int) -> None:
    """Hide the smallest shown count that shares a sum with the exposed one; else the smallest of all."""
    place = np.unravel_index(exposed, table.shape)
    beside = np.zeros(table.shape, bool)
    for axis in range(table.ndim):
        beside[tuple(slice(None) if i == axis else int(p) for i, p in enumerate(place))] = True
    candidates = shown & (table > 0)
    if (candidates & beside).any():
        candidates &= beside
    shown.flat[np.where(candidates, table, np.iinfo(np.int64).max).argmin()] = False


class _Attack:
    """What can be worked out from the shown counts, as far as witnesses were found."""

    def __init__(self, counts: Ints, published: Mask, range_wanted: Ints) -> None:
        """Start from the true table, the only one known so far.

        Args:
            counts: the true counts.
            published: entries of which a reader knows whether they are hidden.
            range_wanted: how far apart the values of each entry must be, if it is not shown.
        """
        steps = [csr_array(np.vstack([np.eye(size), np.ones(size)])) for size in counts.shape]
        self._sums = reduce(lambda one, other: csr_array(kron(one, other, format="csr")), steps)
        self._sums.eliminate_zeros()
        self._cells = counts.ravel()
        self._truth = with_totals(counts).ravel()
        self._published = published.ravel()
        self._wanted = range_wanted.ravel()
        # What was attained once stays attainable: hiding more only loosens what a reader knows.
        self._least, self._most = self._truth.copy(), self._truth.copy()

    def exposed(self, shown: Mask, guarded: Mask) -> int | None:
        """The first entry (flat index) to be guarded whose range is not shown to be wide enough."""
        concerned = np.flatnonzero(~shown & guarded & (self._truth.reshape(shown.shape) > 0))
        if not self._narrow(concerned).any():
            return None
        search = self._search(shown.ravel())
        rng = np.random.default_rng(0)
        for _ in range(ROUNDS):
            narrow = concerned[self._narrow(concerned)]
            if not len(narrow):
                return None
            self._note(search.change(narrow, rng.choice([-1.0, 1.0], len(narrow))))
        for entry in concerned[self._narrow(concerned)].tolist():
            for sign in (-1.0, 1.0):
                if self._narrow(np.array([entry])).any():
                    self._note(search.change(np.array([entry]), np.array([sign])))
            if self._narrow(np.array([entry])).any():
                return int(entry)
        return None

    def _narrow(self, entries: Ints) -> Mask:
        found: Mask = (self._most - self._least)[entries] < self._wanted[entries]
        return found

    def _note(self, change: Ints) -> None:
        self._least = np.minimum(self._least, self._truth + change)
        self._most = np.maximum(self._most, self._truth + change)

    def _search(self, shown: Mask) -> _Search:
        """Changes of the cells that are not shown, under which all that a reader knows stays true."""
        free = np.flatnonzero(~shown[self._base()])
        sums = self._sums[:, free]
        touched = np.diff(sums.indptr) > 0
        known_positive = self._published & ~shown
        binding = np.flatnonzero(touched & (shown | known_positive))
        low = np.where(shown, 0.0, 1.0 - self._truth)[binding]
        high = np.where(shown, 0.0, np.inf)[binding]
        reach = int(self._wanted.max())
        box = Bounds(np.maximum(-self._cells[free], -reach), np.full(len(free), reach))
        return _Search(sums, LinearConstraint(sums[binding], low, high), box)

    def _base(self) -> Ints:
        """Flat index of each cell within the extended table."""
        single = np.diff(self._sums.indptr) == 1
        index = np.full(len(self._cells), -1)
        rows = np.flatnonzero(single)[::-1]  # the first of equal rows (an axis of one level) is the cell
        index[self._sums[rows].indices] = rows
        return index


class _Search:
    """Other tables, as changes from the true one, in a box that reaches far enough for a witness."""

    def __init__(self, sums: csr_array, known: LinearConstraint, box: Bounds) -> None:
        """Take the sums [entries of the extended table x free cells], what is known of them, and the box."""
        self._sums, self._known, self._box = sums, known, box

    def change(self, entries: Ints, direction: Floats) -> Ints:
        """Change of every entry in a table that moves these entries far in these directions."""
        aim = np.asarray(self._sums[entries].T @ direction)
        if not aim.any():
            return np.zeros(self._sums.shape[0], np.int64)
        found = milp(
            -aim,
            constraints=self._known,
            bounds=self._box,
            integrality=np.ones(len(aim), np.int64),
            options={"node_limit": NODES, "mip_rel_gap": 0.5},
        )
        if found.x is None:
            return np.zeros(self._sums.shape[0], np.int64)
        change: Ints = np.rint(self._sums @ np.rint(found.x)).astype(np.int64)
        return change

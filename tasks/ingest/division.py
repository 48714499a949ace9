"""Which side a row falls on: by a keyed hash of its unit, so that no version moves it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

TEST_KEY = "assay/test"


def held_out_rows(units: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Mark the rows of the test part, where the data has no division of its own.

    The key is fixed: neither a seed nor other rows move a unit to the other side, so a test
    unit stays one in every later version of the data.

    Args:
        units: the sampling unit of each row, or its row digest.
        share: expected share of units in the test part, in (0, 1).

    Returns:
        One bool for each row.
    """
    return _below(units, share, TEST_KEY)


def validation_rows(units: Iterable[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Mark the rows of the training part that are kept for validation.

    Duplicated rows and rows of one unit fall on one side.

    Args:
        units: the sampling unit of each training row, or its row digest.
        share: expected share of units kept for validation, in (0, 1).
        seed: of the recipe; another seed gives another division.

    Returns:
        One bool for each row.
    """
    return _below(units, share, f"assay/validation/{seed}")


def _below(units: Iterable[str], share: float, key: str) -> NDArray[np.bool_]:
    """Compare the first 64 bits of each unit's keyed SHA-256 with the share."""
    keyed = hashlib.sha256(key.encode() + b"\0")
    bound = int(share * 2**64)

    def number(unit: str) -> int:
        digest = keyed.copy()
        digest.update(unit.encode())
        return int.from_bytes(digest.digest()[:8], "big")

    return np.fromiter((number(unit) < bound for unit in units), dtype=np.bool_)

"""Seeds of processes and clients that draw side by side from one recipe's seed."""

from __future__ import annotations

import numpy as np


def seed_at(seed: int, place: int) -> int:
    """The seed of one of several; the first's is the seed itself, the others' have 32 bits.

    They are hashed, not added: torch's generator on a CPU looks at the low 32 bits of a seed alone, and
    neighbouring seeds are those of other epochs.

    Args:
        seed: that all of them know, from 0.
        place: of this one, from 0.
    """
    return seed if place == 0 else int(np.random.SeedSequence([seed, place]).generate_state(1)[0])

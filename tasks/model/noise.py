"""Answers with noise: k-ary randomised response over the decided class, for callers and for the gate.

A class is told as it was decided with probability e^epsilon / (e^epsilon + k - 1), else any of the k - 1
other ones, each as likely (Warner 1965, Randomized response; Kairouz, Bonawitz and Ramage 2016, Discrete
distribution estimation under local privacy). So for any two decisions an answer is at most e^epsilon times as
likely under one as under the other: epsilon-differential privacy of what was decided, and through it of every
row that the model learned from (Dwork and Feldman 2018, Privacy-preserving prediction). Epsilons add up.

A draw is HMAC-SHA256 of what was asked. For callers the key is secret and their ledger's own; for the rows
that a model is judged on it is the frozen model's digest, so that a replay draws the same again: whoever has
a dossier has the weights in it, from whom nothing could be hidden there.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Codes
from .inputs import Inputs

Decided = npt.NDArray[np.int64]
UNIT = 2**64


@dataclass(frozen=True)
class RandomisedResponse:
    """The noise of a model's answers.

    Attributes:
        epsilon: of each answer, above 0.
        budget: of all answers to one caller, at least epsilon.
        classes: how many there are, k; at least 2.
        model: the name under which callers' budgets are kept, the same for all versions of a model.
    """

    epsilon: float
    budget: float
    classes: int
    model: str

    @property
    def keep(self) -> float:
        """Probability that the decided class is told."""
        return 1 / (1 + (self.classes - 1) * exp(-self.epsilon))

    @property
    def other(self) -> float:
        """Probability of each of the others."""
        return (1 - self.keep) / (self.classes - 1)

    @property
    def contrast(self) -> float:
        """By what every gap between rates of answers is smaller than that of decisions: ``keep - other``.

        The share of answers that are class c is ``other + contrast x`` (the share of decisions that are),
        over whatever rows.
        """
        return self.keep - self.other

    @property
    def sentence(self) -> str:
        """What is promised, in words, without a full stop."""
        return (
            f"each answer is randomised response over {self.classes} classes at epsilon {self.epsilon:g} "
            f"(told as decided with probability {self.keep:.4f}), without scores; one caller may spend "
            f"epsilon {self.budget:g} in all"
        )

    def told(self, decided: Decided, key: bytes, asked: Iterable[bytes]) -> Decided:
        """What is told of each decision: positions of classes (n,).

        Args:
            decided: positions (n,).
            key: of the draws.
            asked: n texts; the same key and text give the same draw.
        """
        drawn = [hmac.digest(key, text, "sha256") for text in asked]
        words = np.array([(int.from_bytes(d[:8]), int.from_bytes(d[8:16])) for d in drawn], np.uint64)
        words = words.reshape(-1, 2)
        kept = words[:, 0] < np.uint64(min(int(self.keep * UNIT), UNIT - 1))
        # Of 2^64 numbers, k - 1 remainders come equally often but for one in 2^60.
        further = 1 + (words[:, 1] % np.uint64(self.classes - 1)).astype(np.int64)
        return np.where(kept, decided, (decided + further) % self.classes)

    def judged(self, decided: Decided, digests: Sequence[str], model: str) -> Decided:
        """What is told of each decision where the model is judged: the same whenever these rows are.

        Args:
            decided: positions (n,).
            digests: of the rows. Of rows that are alike each has a draw of its own: the gate counts rows
                as independent.
            model: digest of the frozen model.
        """
        return self.told(decided, hashlib.sha256(f"judged {model}".encode()).digest(), _numbered(digests))

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "randomised_response", **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RandomisedResponse:
        """The opposite of ``to_json``.

        Raises:
            ValueError: noise of another kind.
        """
        if stored.get("kind") != "randomised_response":
            raise ValueError(f"noise of kind 'randomised_response' is expected, found {stored.get('kind')!r}")
        return cls(**{name: value for name, value in stored.items() if name != "kind"})


def asked_of(model: str, caller: str, inputs: Inputs, groups: Codes | None) -> Iterator[bytes]:
    """What a caller asks, for each row: the model's digest, who asks, and all that the decision reads of it.

    One draw for two rows that are decided apart would tell with certainty that they are: so what is read for
    the decision alone is part of the question. Columns that are not read, and spellings that mean the same,
    make no other question, and neither does what else is asked with it.

    Args:
        model: digest of the frozen model.
        caller: who asks.
        inputs: what the network sees, n rows.
        groups: positions (n,) of the rows' levels as the rule reads them; None where it reads none.
    """
    who = hashlib.sha256(f"{model} {caller}".encode()).digest()
    arrays = [_same_bytes(inputs[name].numpy()) for name in sorted(inputs.tensors)]
    if groups is not None:
        arrays.append(_same_bytes(groups))
    for row in range(len(inputs)):
        yield who + b"".join(array[row].tobytes() for array in arrays)


def _same_bytes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values that are equal, as equal bytes: codes are as wide as a table's largest, and 0 may be -0."""
    whole = np.issubdtype(values.dtype, np.integer)
    return np.ascontiguousarray(values.astype(np.int64) if whole else values + values.dtype.type(0))


def _numbered(digests: Sequence[str]) -> Iterator[bytes]:
    before: Counter[str] = Counter()
    for digest in digests:
        yield f"{digest} {before[digest]}".encode()
        before[digest] += 1

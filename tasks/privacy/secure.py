"""Secure aggregation: a server learns the sum of several clients' numbers, and none of any client's own.

The protocol of Bonawitz et al. 2017 (Practical secure aggregation for privacy-preserving machine learning),
for a server that keeps to it and is curious. A client adds to its numbers, which are integers modulo 2^64, a
mask for each other client, that the two agree on and that cancel in the sum, and one of its own. Both masks'
seeds are shared out (Shamir), so that those who stay can take away the masks of those who vanished, and the
own masks of those who didn't: never both of one client's, or a message that came late could be read.

Flower has SecAgg+, which is not used: release 1.32 folds the agreed key into 32 bits for numpy's Mersenne
Twister, so that whoever holds masked numbers can try every mask; and it rounds by draws without a seed, so
that a plan would not give the same bytes again. Its secret sharing is used. Keys travel through the server:
one that forges them would have to be kept out by signatures, which these clients do not have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tasks.errors import Refusal
from tasks.privacy.keys import hkdf
from tasks.privacy.randomness import KEY, keystream

Masked: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.float64]

STEP = 2.0**-24  # of a sum: six clients' weights times their rows are exact to 2e-7
NONCE = 12


class PublicKeys(NamedTuple):
    """Of one client and one sum: X25519, 32 bytes each."""

    mask: bytes
    channel: bytes


def to_fixed(values: Numbers, clients: int) -> Masked:
    """Numbers as multiples of ``STEP``, modulo 2^64.

    Args:
        values: (n,).
        clients: whose numbers will be added.

    Raises:
        Refusal: one is not finite, or so large that a sum could pass 2^63.
    """
    if not np.isfinite(values).all():
        raise Refusal(f"{int((~np.isfinite(values)).sum())} of {values.size} numbers are not finite")
    steps = np.rint(values / STEP)
    if values.size and np.abs(steps).max() >= 2.0**63 / clients:
        raise Refusal(
            f"a number of at most {2.0**63 / clients * STEP:g} is expected, found {np.abs(values).max():g}"
        )
    return steps.astype(np.int64).view(np.uint64)


def from_fixed(total: Masked) -> Numbers:
    """The opposite of ``to_fixed``, of a sum."""
    return total.view(np.int64).astype(np.float64) * STEP


def _agreed(own: X25519PrivateKey, other: bytes, use: bytes) -> bytes:
    """A key of two clients, 32 bytes: X25519, then HKDF."""
    secret = own.exchange(X25519PublicKey.from_public_bytes(other))
    return hkdf(secret, b"assay/federated/" + use, length=KEY)


def _pairwise(own: X25519PrivateKey, me: int, other: int, key: bytes, size: int) -> Masked:
    """What ``me`` adds for ``other``, who adds the opposite."""
    mask = keystream(_agreed(own, key, b"mask"), size)
    return mask if me < other else np.negative(mask)


@dataclass
class Participant:
    """One client's side of one sum; of its keys nothing is kept for the next.

    Attributes:
        me: number of this client.
        keys: of all that take part, once they are known.
        threshold: how many must reveal their shares before a mask can be taken away.
    """

    me: int
    keys: Mapping[int, PublicKeys] = field(default_factory=dict)
    threshold: int = 0
    _mask: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate, repr=False)
    _channel: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate, repr=False)
    _own_seed: bytes = field(default_factory=lambda: os.urandom(KEY), repr=False)
    _held: dict[int, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
    _revealed: bool = False

    def public(self) -> PublicKeys:
        """To be told to all."""
        return PublicKeys(
            self._mask.public_key().public_bytes_raw(), self._channel.public_key().public_bytes_raw()
        )

    def share(self, keys: Mapping[int, PublicKeys], threshold: int) -> dict[int, bytes]:
        """Shares of both seeds for each other client, that only it can read.

        Args:
            keys: of all that take part, this one among them.
            threshold: more than half of them.

        Raises:
            Refusal: keys that are not this client's, or a threshold that two halves could reach.
        """
        from flwr.common.secure_aggregation.crypto.shamir import create_shares  # noqa: PLC0415 - a second

        if keys.get(self.me) != self.public() or len(
            {key for pair in keys.values() for key in pair}
        ) < 2 * len(keys):
            raise Refusal("secure aggregation: each client's own keys are expected, found others")
        if not len(keys) / 2 < threshold <= len(keys):
            raise Refusal(
                f"secure aggregation: a threshold above half of {len(keys)} is expected, found {threshold}"
            )
        self.keys, self.threshold = dict(keys), threshold
        own = create_shares(self._own_seed, threshold, len(keys))
        pair = create_shares(self._mask.private_bytes_raw(), threshold, len(keys))
        sealed = {}
        for other, one, two in zip(sorted(keys), own, pair, strict=True):
            if other == self.me:
                self._held[other] = one, two
            else:
                nonce = os.urandom(NONCE)
                box = self._cipher(other).encrypt(nonce, one + two, _route(self.me, other))
                sealed[other] = nonce + box
        return sealed

    def masked(self, values: Numbers, sealed: Mapping[int, bytes]) -> Masked:
        """The numbers under the masks shared with all whose shares came.

        Args:
            values: (n,).
            sealed: shares from each other client, as it encrypted them.

        Raises:
            Refusal: numbers that can't be added, or too few clients.
        """
        if len(sealed) + 1 < self.threshold or len(self._held) > 1:
            raise Refusal(f"secure aggregation: once, and at least {self.threshold} clients, are expected")
        total = to_fixed(values, len(self.keys)) + keystream(self._own_seed, values.size)
        for other, box in sealed.items():
            shares = self._cipher(other).decrypt(box[:NONCE], box[NONCE:], _route(other, self.me))
            self._held[other] = shares[: len(shares) // 2], shares[len(shares) // 2 :]
            total = total + _pairwise(self._mask, self.me, other, self.keys[other].mask, values.size)
        return total

    def reveal(self, present: Iterable[int]) -> dict[int, bytes]:
        """A share of each client: of its own seed if its numbers came, of its pairwise key if they didn't.

        Args:
            present: clients whose masked numbers came.

        Raises:
            Refusal: a second time, or for too few: a server could take away both masks of one.
        """
        here = set(present) & set(self._held)
        if self._revealed or len(here) < self.threshold:
            raise Refusal(
                f"secure aggregation: once, and for at least {self.threshold} clients, shares are revealed; "
                f"asked for {len(here)}"
            )
        self._revealed = True
        return {owner: shares[0 if owner in here else 1] for owner, shares in self._held.items()}

    def _cipher(self, other: int) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(_agreed(self._channel, self.keys[other].channel, b"shares"))


def _route(source: int, target: int) -> bytes:
    return f"{source}>{target}".encode()


def unmasked(
    masked: Mapping[int, Masked],
    keys: Mapping[int, PublicKeys],
    shares: Mapping[int, Sequence[bytes]],
    threshold: int,
) -> Numbers:
    """The sum, what the server makes of masked numbers and revealed shares.

    Args:
        masked: of each client whose numbers came, (n,).
        keys: of all whose masks are in these.
        shares: for each of them, as revealed by those who answered.
        threshold: as the clients were told.

    Raises:
        Refusal: too few shares of one of them, or lists of numbers of several lengths.
    """
    from flwr.common.secure_aggregation.crypto.shamir import combine_shares  # noqa: PLC0415 - a second

    if len(sizes := {numbers.size for numbers in masked.values()}) > 1:
        raise Refusal(
            f"secure aggregation: as many numbers of each client are expected, found {sorted(sizes)}"
        )
    total = np.stack(list(masked.values())).sum(axis=0, dtype=np.uint64)
    for owner in keys:
        found = list(shares.get(owner, ()))[:threshold]
        if len(found) < threshold:
            raise Refusal(f"secure aggregation: {threshold} shares are expected, {len(found)} were revealed")
        secret = combine_shares(found)
        if owner in masked:
            total = total - keystream(secret, total.size)
            continue
        vanished = X25519PrivateKey.from_private_bytes(secret)
        for other in masked:  # its half of each pair takes the other's away
            total = total + _pairwise(vanished, owner, other, keys[other].mask, total.size)
    return from_fixed(total)

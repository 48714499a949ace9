"""Random numbers that nobody can guess or make again: keystreams of ChaCha20, each under a key used once.

torch's generator on a CPU has 2^32 seeds, however long a seed it is given: a step's noise would be found by
trying them all. A key has 256 bits of the operating system's randomness.
"""

from __future__ import annotations

import math
import secrets

import numpy as np
import numpy.typing as npt
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

KEY = 32  # bytes


def fresh_key() -> bytes:
    """A key for one stream, ``KEY`` bytes from the operating system; keep it nowhere."""
    return secrets.token_bytes(KEY)


def keystream(key: bytes, count: int) -> npt.NDArray[np.uint64]:
    """Numbers (count,) that whoever lacks the key can't tell from random ones: ChaCha20 (RFC 8439)."""
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
    return np.frombuffer(stream.update(bytes(8 * count)), np.uint64)


def uniforms(key: bytes, count: int) -> npt.NDArray[np.float64]:
    """Numbers (count,) spread evenly over (0, 1): odd multiples of 2^-53, so neither end is among them."""
    drawn = (keystream(key, count) >> np.uint64(12)).astype(np.float64)
    return (2 * drawn + 1) * 2.0**-53


def normals(key: bytes, count: int) -> torch.Tensor:
    """Standard normal numbers (count,), float64, by the transform of Box and Muller (1958).

    From 53 bits it reaches 8.5 standard deviations; beyond lie 2e-17 of a normal's mass.
    """
    half = (count + 1) // 2
    one, other = torch.from_numpy(uniforms(key, 2 * half)).view(2, half)
    length, angle = torch.sqrt(-2 * torch.log(one)), 2 * math.pi * other
    return torch.cat([length * torch.cos(angle), length * torch.sin(angle)])[:count]

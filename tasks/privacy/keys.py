"""The key of de-identification: a secret from the environment or a file, and what is derived from it."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import PlanError, SourceError
from tasks.evidence.secret import read_secret

SETTING = "ASSAY_PRIVACY_KEY"
LEAST_BYTES = 32
VERSION = "assay/privacy/1"


class Key:
    """A plan's key; neither ``repr`` nor an error shows it.

    Each purpose and each plan has a key of its own, derived from the one secret, so that a token of one data
    set says nothing about another and a fingerprint says nothing about a token.
    """

    __slots__ = ("_derived", "_plan", "_secret")

    def __init__(self, secret: bytes, plan: str) -> None:
        """Keep the secret, at least 32 bytes, for a plan."""
        self._secret = secret
        self._plan = plan
        self._derived: dict[str, bytes] = {}

    def mark(self, purpose: str, value: bytes) -> bytes:
        """HMAC-SHA256 of a value under the key for a purpose: 32 bytes."""
        if purpose not in self._derived:  # once for millions of values
            self._derived[purpose] = hkdf(self._secret, f"{VERSION}/{self._plan}/{purpose}".encode())
        return hmac.digest(self._derived[purpose], value, "sha256")

    @property
    def fingerprint(self) -> str:
        """Names the key without telling it: 16 hex digits of the HMAC of a constant."""
        return self.mark("fingerprint", b"fingerprint").hex()[:16]


def hkdf(secret: bytes, info: bytes, salt: bytes = b"", length: int = 32) -> bytes:
    """HKDF with SHA-256 (RFC 5869).

    Args:
        secret: key material.
        info: what the key is for.
        salt: none is as many zeros as a digest has bytes.
        length: bytes wanted, at most 255 x 32.
    """
    return HKDF(SHA256(), length, salt=salt or None, info=info).derive(secret)


def key_file(var: Path) -> Path:
    """Where the key is kept that the environment does not give."""
    return var / "keys" / "privacy.key"


def key_for(plan: str, given: str | None, var: Path, pinned: str | None, *, create: bool = False) -> Key:
    """The key of a plan: from the environment, else from ``var/keys``, else a new one.

    Args:
        plan: its name.
        given: the setting ``ASSAY_PRIVACY_KEY``, hex or base64, or None.
        var: holds ``keys/privacy.key``, which only its owner may read.
        pinned: fingerprint of the key that the pinned data, or a tombstone, was made with; None without.
        create: whether a new key may be made. It never is where ``pinned`` names one.

    Raises:
        PlanError: for a setting or a file that is no key.
        SourceError: if there is no key, or it is not the one of the pinned data.
    """
    path = key_file(var)
    if given is not None:
        key = Key(_decoded(given, SETTING), plan)
    elif path.is_file() or (create and pinned is None):
        key = Key(_decoded(read_secret(path, _new).decode("ascii", "replace"), str(path)), plan)
    else:
        raise SourceError(_lost(plan, pinned, path, "there is none"))
    if pinned is not None and not hmac.compare_digest(key.fingerprint, pinned):
        raise SourceError(_lost(plan, pinned, path, f"the one at hand has fingerprint {key.fingerprint}"))
    return key


def _lost(plan: str, pinned: str | None, path: Path, found: str) -> str:
    wanted = f", the one with fingerprint {pinned}," if pinned else ""
    return (
        f"plan {plan}: the key of its de-identification{wanted} is needed, and {found}. Give it in {SETTING} "
        f"or in {path} (a copy of the data already pinned needs no key). If it is lost for good, no later "
        f"version can get the same tokens: remove manifest.json, forgotten.json and raw/ of data/{plan} to "
        "start anew with another key, and forget again whoever was forgotten."
    )


def _decoded(text: str, where: str) -> bytes:
    """Bytes of a key in hex or base64; what is wrong is said without showing it."""
    text = text.strip()
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        try:
            secret = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error:
            problem = "hex or base64 is expected, as `openssl rand -hex 32` prints; it is neither"
            raise PlanError(where, [problem]) from None
    if len(secret) < LEAST_BYTES or len(set(secret)) < LEAST_BYTES // 4:
        found = f"{len(secret)} bytes, {len(set(secret))} of them different"
        raise PlanError(where, [f"at least {LEAST_BYTES} random bytes are expected, found {found}"])
    return secret


def _new() -> bytes:
    """What a file of a new key holds."""
    return secrets.token_hex(LEAST_BYTES).encode() + b"\n"


def file_mark(key: Key, sha256: str) -> str:
    """The keyed hash of a file, by its SHA-256 (hex): 64 hex digits."""
    return key.mark("file", bytes.fromhex(sha256)).hex()

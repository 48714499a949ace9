"""Ed25519 keys: public ones by which evidence is trusted, and the private one that signs it.

A public key is read without a library, so that a plan that lists some loads in the base install; only signing
and verifying import `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import PlanError
from tasks.evidence.digest import write_atomically
from tasks.evidence.secret import read_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SETTING = "ASSAY_SIGNING_KEY"
RAW_BYTES = 32
SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes in the DER SubjectPublicKeyInfo of every Ed25519 key (RFC 8410)."""
BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
EXPECTED = "an Ed25519 public key is expected: PEM (`openssl pkey -pubout`), or its 32 bytes as hex or base64"


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key.

    Attributes:
        raw: its 32 bytes (RFC 8032).
    """

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read one key: PEM, or its 32 bytes as hex or base64.

        Raises:
            ValueError: saying what was expected and found.
        """
        if block := BLOCK.search(text):
            if block[1] != "PUBLIC KEY":  # never shown: it may be a private one
                raise ValueError(f"{EXPECTED}; found a PEM block {block[1]}")
            return cls(_of_der(_base64(block[2])))
        plain = "".join(text.split())
        try:
            raw = bytes.fromhex(plain)
        except ValueError:
            raw = _base64(plain)
        if len(raw) == len(SPKI) + RAW_BYTES:
            raw = _of_der(raw)
        if len(raw) != RAW_BYTES:
            raise ValueError(f"{EXPECTED}; found {len(raw)} bytes")
        return cls(raw)

    @property
    def key_id(self) -> str:
        """SHA-256 (hex) of the DER form: ``openssl pkey -pubin -in KEY -outform DER | sha256sum``."""
        return hashlib.sha256(SPKI + self.raw).hexdigest()

    @property
    def pem(self) -> str:
        """The key as PEM."""
        body = base64.b64encode(SPKI + self.raw).decode()
        return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` (64 bytes) is this key's over ``message``."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - not in the base install
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):  # ValueError: 32 bytes that are no point of the curve
            return False
        return True


class SigningKey:
    """A private key; neither ``repr`` nor an error shows it, and it can't be pickled.

    Attributes:
        public: its public half.
        enrolled: whether somebody named it: in the environment, or its public half in the plan.
    """

    __slots__ = ("_private", "enrolled", "public")

    def __init__(self, private: Ed25519PrivateKey, *, enrolled: bool) -> None:
        """Keep a key of `cryptography`."""
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())
        self.enrolled = enrolled

    def __repr__(self) -> str:
        """The key's id and nothing more."""
        return f"SigningKey({self.key_id})"

    @property
    def key_id(self) -> str:
        """Of the public key."""
        return self.public.key_id

    @property
    def standing(self) -> str:
        """``enrolled`` or ``unenrolled``."""
        return "enrolled" if self.enrolled else "unenrolled"

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes; the same for the same message."""
        return self._private.sign(message)


def signing_key(given: Path | None, var: Path, trusted: Iterable[PublicKey] = ()) -> SigningKey:
    """The key that signs here: from the environment, else from ``var/keys``, else a new one there.

    Args:
        given: the setting ``ASSAY_SIGNING_KEY``: a PEM file of an unencrypted Ed25519 key, or None.
        var: holds ``keys/signing.pem``, which only its owner may read, and ``keys/signing.pub``.
        trusted: public keys that the plan lists.

    Raises:
        PlanError: for a setting or a file that is no such key, or that others may read.
    """
    if given is not None:
        if not given.is_file():
            raise PlanError(SETTING, [f"the path of a PEM file is expected; {given} is no file"])
        return SigningKey(private_key(read_secret(given), f"{SETTING} ({given})"), enrolled=True)
    path = local_key_file(var)
    key = SigningKey(private_key(read_secret(path, new_private_key), str(path)), enrolled=False)
    key.enrolled = key.public in set(trusted)
    public = path.with_suffix(".pub")
    if not public.is_file() or public.read_text(encoding="ascii", errors="replace") != key.public.pem:
        write_atomically(public, key.public.pem.encode())
    return key


def local_key_file(var: Path) -> Path:
    """Where the key is kept that the environment does not give."""
    return var / "keys" / "signing.pem"


def local_public_key(var: Path) -> PublicKey | None:
    """The public half of the local key, None where none was made; nothing is made by asking."""
    path = local_key_file(var).with_suffix(".pub")
    return PublicKey.parse(path.read_text(encoding="ascii")) if path.is_file() else None


def read_public_keys(given: Sequence[str], where: str) -> list[PublicKey]:
    """Read keys as ``--trust`` names them: each a key, some joined by commas, or a file of them.

    Raises:
        PlanError: for what is neither, all of them at once.
    """
    keys: list[PublicKey] = []
    problems = []
    for text in given:
        try:
            keys += _keys_in(text)
        except ValueError as error:
            problems.append(f"{'a PEM block' if 'BEGIN' in text else repr(text)}: no file, and {error}")
    if problems:
        raise PlanError(where, problems)
    return keys


def _keys_in(text: str) -> list[PublicKey]:
    if "BEGIN" not in text and Path(text).is_file():
        text = Path(text).read_text(encoding="utf-8", errors="replace")
    blocks = [block[0] for block in BLOCK.finditer(text)]
    return [PublicKey.parse(one) for one in blocks or text.split(",")]


def _of_der(der: bytes) -> bytes:
    if not der.startswith(SPKI) or len(der) != len(SPKI) + RAW_BYTES:
        raise ValueError(f"{EXPECTED}; found a key of another kind")
    return der[len(SPKI) :]


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ValueError(f"{EXPECTED}; found neither") from None


def private_key(content: bytes, where: str) -> Ed25519PrivateKey:
    """The private key of a PEM file.

    Raises:
        PlanError: it holds none; ``where`` names it, and nothing of it is shown.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - not in the base install
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    expected = "an unencrypted Ed25519 private key in PEM is expected (`openssl genpkey -algorithm ed25519`)"
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their words may quote the content
        raise PlanError(where, [f"{expected}; it can't be read as one"]) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise PlanError(where, [f"{expected}; found {type(key).__name__.strip('_')}"])
    return key


def new_private_key() -> bytes:
    """PEM of a new Ed25519 key, unencrypted."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

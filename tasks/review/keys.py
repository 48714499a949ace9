"""A reviewer's own key: made once, in a file that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tasks.errors import PlanError
from tasks.evidence.keys import PublicKey, SigningKey
from tasks.evidence.secret import refuse_readable
from tasks.review.answers import COMMAND


def new_key(path: Path) -> PublicKey:
    """Make a key in a new file, mode 0600 from its first byte; gives its public half, for the plan.

    Raises:
        PlanError: where the file is there already.
    """
    made = Ed25519PrivateKey.generate()
    content = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise PlanError(COMMAND, [f"{path} is there already: a key is never overwritten"]) from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return PublicKey(made.public_key().public_bytes_raw())


def read_key(path: Path) -> SigningKey:
    """Read a reviewer's key.

    Raises:
        PlanError: for a file that is no unencrypted Ed25519 key, or that others may read.
    """
    expected = f"{path}: an Ed25519 private key in PEM is expected, as `assay review --new-key FILE` makes it"
    if not path.is_file():
        raise PlanError(COMMAND, [f"{expected}; it is no file"])
    refuse_readable(path)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their words may quote the content
        raise PlanError(COMMAND, [f"{expected}; it can't be read as one"]) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise PlanError(COMMAND, [f"{expected}; found a key of another kind"])
    return SigningKey(key, enrolled=True)

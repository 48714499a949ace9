"""A reviewer's own key: made once, in a file that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.errors import PlanError
from tasks.evidence.keys import PublicKey, SigningKey, new_private_key, private_key
from tasks.evidence.secret import read_secret
from tasks.review.answers import COMMAND


def new_key(path: Path) -> PublicKey:
    """Make a key in a new file, mode 0600 from its first byte; gives its public half, for the plan.

    Raises:
        PlanError: where the file is there already, or its folder is not.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise PlanError(COMMAND, [f"{path} is there already: a key is never overwritten"]) from None
    except (FileNotFoundError, NotADirectoryError):
        raise PlanError(COMMAND, [f"{path.parent} is no folder: make it first"]) from None
    with os.fdopen(handle, "wb") as file:
        file.write(new_private_key())
    return read_key(path).public


def read_key(path: Path) -> SigningKey:
    """Read a reviewer's key.

    Raises:
        PlanError: for a file that is no unencrypted Ed25519 key, or that others may read.
    """
    if not path.is_file():
        raise PlanError(COMMAND, [f"{path} is no file; `assay review --new-key FILE` makes a key"])
    return SigningKey(private_key(read_secret(path), f"{COMMAND}: {path}"), enrolled=True)

"""What keeps a publication from being taken apart by a second one: a key for its noise, and a list of rows.

The noise of the same rows is drawn under the same key, so it comes again and can't be averaged away. And of
the same rows only one publication is made: two with noise add up, and what two suppressed ones hide
differently follows from their difference. Both are kept below ``var``, readable for their owner alone: who
has the key can take the noise off.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import PlanError
from tasks.evidence.digest import canonical_json
from tasks.evidence.records import Record
from tasks.evidence.secret import made_once, read_secret

KEY_BYTES = 32


class PublicationKey:
    """The key of published noise; ``repr`` does not show it."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Keep 32 random bytes."""
        self._secret = secret

    @classmethod
    def of(cls, var: Path) -> PublicationKey:
        """The key in ``var/keys/publication.key``, made on first use.

        Raises:
            PlanError: for a file that others may read, or that holds no key.
        """
        path = var / "keys" / "publication.key"
        text = read_secret(path, lambda: secrets.token_hex(KEY_BYTES).encode() + b"\n")
        try:
            secret = bytes.fromhex(text.decode("ascii").strip())
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise PlanError(
                str(path), [f"{KEY_BYTES} bytes in hex are expected: restore the key from a copy"]
            )
        return cls(secret)

    def mark(self, purpose: str, value: bytes) -> bytes:
        """HMAC-SHA256 of a value for a purpose: 32 bytes that tell nothing of either without the key."""
        return hmac.digest(self._secret, purpose.encode() + b"\0" + value, "sha256")


class Claim(Record):
    """What is on record of rows that were published.

    Attributes:
        mark: keyed hash (hex) of the rows, of their counts and of how they were published.
        told: of what, and how, in words.
    """

    mark: str
    told: str


def claim(var: Path, rows: Iterable[str], mark: str, told: str) -> None:
    """Put on record that rows are published in one way, and in no other.

    Args:
        var: holds ``published/ROWS.json``.
        rows: SHA-256 (hex) of each file that has the rows.
        mark: keyed hash (hex) of the rows, of their counts and of how they are published.
        told: of what, and how, in words.

    Raises:
        PlanError: rows of one of these files were published in another way, or its record is damaged.
    """
    paths = [var / "published" / f"{name}.json" for name in sorted(set(rows))]
    asked = Claim(mark=mark, told=told)
    for path in paths:  # all of them before the first is written: what is refused leaves nothing
        if path.exists():
            _refuse_other(path, path.read_bytes(), asked)
    for path in paths:
        _refuse_other(path, made_once(path, canonical_json(asked.model_dump()) + b"\n"), asked)


def _refuse_other(path: Path, content: bytes, asked: Claim) -> None:
    try:
        held = Claim.model_validate_json(content)
    except ValidationError as error:
        problem = (
            "the record of how rows were published is expected, and this is damaged: restore it from a copy. "
            "Without it the same rows might be published a second time"
        )
        raise PlanError(str(path), [problem]) from error
    if held.mark != asked.mark:
        other = " of other counts, or of rows prepared otherwise" if held.told == asked.told else ""
        problem = (
            f"these rows were published before: {held.told}; now asked for: {asked.told}{other}. From their "
            "difference may follow what each hides, so rows are published once: ask for all tables at once. "
            f"If the earlier one was handed to nobody, delete it and then {path}"
        )
        raise PlanError("publish", [problem])

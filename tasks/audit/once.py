"""What keeps a publication from being taken apart by others: a key for its noise, and a ledger of rows.

The noise of the same rows is drawn under the same key, so it comes again and can't be averaged away. Of the
same rows as many publications are made as their epsilons add up to the total that was stated with the first
(pure epsilons add up, whatever was chosen in view of earlier ones: Rogers et al. 2016, Privacy odometers and
filters): one, unless more was stated. Of suppressed counts one is made, since what two of them hide
differently follows from their difference. Both are kept below ``var``, readable for their owner alone: who
has the key can take the noise off.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from tasks.errors import PlanError
from tasks.evidence.digest import canonical_json
from tasks.evidence.records import Record
from tasks.evidence.secret import made_once, read_secret

KEY_BYTES = 32
Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
    """One publication, as it is on record for the rows of a file.

    Attributes:
        mark: keyed hash (hex) of the rows, of their counts and of how they were published.
        told: of what, and how, in words.
        rows_per_person: the most rows that one person has.
        epsilon: of its noise; None where small counts are suppressed.
        total: epsilon of all publications of these rows; None likewise.
    """

    mark: str
    told: str
    # Records from before there was a total have none of these: nothing else is published of their rows.
    rows_per_person: Annotated[int, Field(gt=0)] = 1
    epsilon: Epsilon | None = None
    total: Epsilon | None = None


def admitted(var: Path, rows: Iterable[str], asked: Claim) -> Claim:
    """What may be published, with the total that holds for its rows.

    Args:
        var: holds ``published/ROWS.json``, then ``ROWS.2.json`` and so on.
        rows: SHA-256 (hex) of each file that has the rows.
        asked: what shall be published; its total None for the one on record, or of this publication alone.

    Raises:
        PlanError: what was published of the rows of one of these files leaves no room for it, or its record
            is damaged.
    """
    held = {path: _held(path) for path in _paths(var, rows)}
    totals = [one.total for claims in held.values() for one in claims if one.total is not None]
    for path, claims in held.items():
        _refuse_other(path, claims, asked)
    return asked.model_copy(update={"total": asked.total or max(totals, default=asked.epsilon)})


def claim(var: Path, rows: Iterable[str], admitted: Claim) -> None:
    """Put on record what was admitted, for each of the files; what is on record already stays.

    Raises:
        PlanError: another process has published these rows since.
    """
    content = canonical_json(admitted.model_dump()) + b"\n"
    for path in _paths(var, rows):
        written = False
        while not written:
            claims = _held(path)
            # Of several files the largest total was told; were one larger stated since, that were too little.
            larger = bool(claims) and (claims[0].total or 0) > (admitted.total or 0)
            _refuse_other(path, claims, admitted if larger else admitted.model_copy(update={"total": None}))
            known = any(one.mark == admitted.mark for one in claims)
            written = known or made_once(_numbered(path, len(claims) + 1), content) == content


def _paths(var: Path, rows: Iterable[str]) -> list[Path]:
    return [var / "published" / f"{name}.json" for name in sorted(set(rows))]


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_suffix(f".{number}.json")


def _held(path: Path) -> list[Claim]:
    """What is on record for a file, the first first."""
    found = len(list(path.parent.glob(f"{path.stem}*.json")))
    try:  # one whose number is missing is not there to be read
        return [Claim.model_validate_json(_numbered(path, i + 1).read_bytes()) for i in range(found)]
    except (FileNotFoundError, ValidationError) as error:
        problem = (
            "the record of how rows were published is expected, and this is damaged or not whole: restore it "
            "from a copy. Without it the same rows might be published a second time"
        )
        raise PlanError(str(path), [problem]) from error


def _refuse_other(path: Path, claims: Sequence[Claim], asked: Claim) -> None:
    """Refuse what earlier publications of these rows leave no room for."""
    if not claims or not (reason := _reason(claims, asked)):
        return
    last = claims[-1]
    alike = last.told == asked.told and last.mark != asked.mark
    other = " of other counts, or of rows prepared otherwise" if alike else ""
    problem = (
        f"these rows were published before: {last.told}; now asked for: {asked.told}{other}. {reason}. "
        f"If the last one was handed to nobody, delete it and then {_numbered(path, len(claims))}"
    )
    raise PlanError("publish", [problem])


def _reason(claims: Sequence[Claim], asked: Claim) -> str:
    """Why rows that were published so are not published as asked, or ""."""
    first, known = claims[0], any(one.mark == asked.mark for one in claims)
    if first.total is None or asked.epsilon is None:
        difference = "From their difference may follow what each hides, so rows are published once"
        return "" if known else f"{difference}: ask for all tables at once"
    if asked.total not in {None, first.total}:
        return f"Their total epsilon, {first.total:g}, was stated with the first publication, and stays"
    if known:
        return ""
    if first.rows_per_person != asked.rows_per_person:
        return "Epsilons add up only where as many rows per person are stated each time"
    spent = sum((Fraction(str(one.epsilon)) for one in claims), Fraction())
    if spent + Fraction(str(asked.epsilon)) > Fraction(str(first.total)):
        return (
            f"Epsilon {float(spent):g} of {first.total:g} in all is spent: ask for all tables at once, and "
            "state --total-epsilon with the first `assay publish` of rows where others shall follow"
        )
    return ""

"""Anchors: proof from outside that a dossier's head existed at a time (RFC 3161, RFC 5816).

A token is over the last record's bytes, by SHA-256: what the authority signs is the head itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import EvidenceError, PlanError
from tasks.evidence.digest import digest_file
from tasks.evidence.records import Record
from tasks.evidence.signature import SIGNATURES

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampRequest, TimeStampResponse

SUFFIX = ".tsr"


class Anchor(Record):
    """A time before which a dossier's record existed.

    Attributes:
        path: of the token, from the dossier's folder.
        index: of the record that it is over.
        time: UTC, by the authority's clock, ``2026-01-31 12:00:00Z``.
        by: the authority, as the token names it.
        checked: whether a given certificate vouches for the authority; else its name proves nothing.
    """

    path: str
    index: int
    time: str
    by: str
    checked: bool


def last_record(folder: Path) -> Path:
    """The record whose SHA-256 is the head.

    Raises:
        EvidenceError: when there is none.
    """
    records = sorted((folder / "records").glob("*.json"))
    if not records:
        raise EvidenceError(f"{folder}: no dossier: a folder with records/00-plan.json is expected")
    return records[-1]


def request_for(record: Path) -> TimeStampRequest:
    """What is asked of an authority: a token over the record's SHA-256, with a nonce and its certificate."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415 - not in the base install

    return TimestampRequestBuilder().data(record.read_bytes()).hash_algorithm(HashAlgorithm.SHA256).build()


def token_path(record: Path) -> Path:
    """Where a record's token lies: ``signatures/NN.tsr``, beside the envelope."""
    return record.parents[1] / SIGNATURES / f"{record.name.partition('-')[0]}{SUFFIX}"


def read_certificates(path: Path) -> list[Certificate]:
    """Certificates of a PEM file.

    Raises:
        PlanError: when it holds none.
    """
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - not in the base install

    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PlanError("--ca", [f"{path}: certificates in PEM are expected: {error}"]) from error


def check_token(
    content: bytes, record: Path, roots: Sequence[Certificate], request: TimeStampRequest | None = None
) -> Anchor:
    """Check a token: over this record, signed, and by an authority that one of ``roots`` vouches for.

    Args:
        content: the authority's answer (DER).
        record: the record's file.
        roots: certificates that are trusted; without one the signature can't be checked.
        request: what was asked, whose nonce the answer must repeat; None for a stored token.

    Raises:
        EvidenceError: saying what is wrong.
    """
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415 - not in the base install

    where = token_path(record)
    answer = _granted(content, where)
    if answer.tst_info.message_imprint.message.hex() != digest_file(record):
        raise EvidenceError(f"{where}: edited: this timestamp is not over {record.name} as it is")
    if roots:
        builder = VerifierBuilder.from_request(request) if request else VerifierBuilder()
        for root in dict.fromkeys(roots):
            builder = builder.add_root_certificate(root)
        try:
            builder.build().verify(answer, answer.tst_info.message_imprint.message)
        except (VerificationError, ValueError) as error:
            raise EvidenceError(
                f"{where}: no timestamp of an authority that the given certificates vouch for: {error}"
            ) from error
    return Anchor(
        path=where.relative_to(record.parents[1]).as_posix(),
        index=int(record.name.partition("-")[0]),
        time=answer.tst_info.gen_time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
        by=_authority(answer),
        checked=bool(roots),
    )


def anchors(folder: Path, roots: Sequence[Certificate]) -> list[Anchor]:
    """The timestamps of a dossier, oldest head first, each checked.

    Raises:
        EvidenceError: for a token that is over another record, or not by a trusted authority.
    """
    found = []
    for record in sorted((folder / "records").glob("*.json")):
        token = token_path(record)
        if token.is_file():
            found.append(check_token(token.read_bytes(), record, roots))
    known = {folder / one.path for one in found}
    for token in sorted((folder / SIGNATURES).glob(f"*{SUFFIX}")):
        if token not in known:
            raise EvidenceError(f"{token}: added: there is no record that it could be over")
    return found


def _granted(content: bytes, where: Path) -> TimeStampResponse:
    from rfc3161_client import PKIStatus, decode_timestamp_response  # noqa: PLC0415 - not in the base install

    try:
        answer = decode_timestamp_response(content)
        if answer.status != PKIStatus.GRANTED:
            raise EvidenceError(f"{where}: the authority refused: {'; '.join(answer.status_string)}")
        answer.tst_info.message_imprint.message  # noqa: B018 - an answer without a token fails here
    except ValueError as error:
        raise EvidenceError(f"{where}: no answer of a timestamp authority (RFC 3161): {error}") from error
    return answer


def _authority(answer: TimeStampResponse) -> str:
    """The subject of the certificate that signed, else what the token says of itself."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - not in the base install

    signers = {(one.issuer, one.serial_number) for one in answer.signed_data.signer_infos}
    for der in answer.signed_data.certificates:
        certificate = load_der_x509_certificate(der)
        if (certificate.issuer, certificate.serial_number) in signers:
            return certificate.subject.rfc4514_string()
    return "an authority that names no certificate"

"""A signed statement: DSSE envelopes over in-toto statements about files (docs/evidence_format.md)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.errors import EvidenceError
from tasks.evidence.digest import canonical_json, digest_file
from tasks.evidence.keys import PublicKey, SigningKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading an envelope that is none may raise; securesystemslib's FormatError is a ValueError."""


def statement(kind: str, files: Mapping[str, str], predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto statement about files.

    Args:
        kind: URI of what is stated.
        files: path -> SHA-256 (hex).
        predicate: what is stated of them.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": files[name]}} for name in sorted(files)],
        "predicateType": kind,
        "predicate": dict(predicate),
    }


def files_below(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path from there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {
        path.relative_to(folder).as_posix(): digest_file(path) if path.is_file() else "a link to nothing"
        for path in found
    }


def seal(stated: Mapping[str, Any], key: SigningKey) -> bytes:
    """Sign a statement: the envelope's JSON. The same statement and key give the same bytes."""
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - not in the base install

    envelope = Envelope(canonical_json(stated), PAYLOAD_TYPE, {})
    signature = {"keyid": key.key_id, "sig": base64.b64encode(key.sign(envelope.pae())).decode()}
    content = {**envelope.to_dict(), "signatures": [signature]}
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def unseal(path: Path, kind: str, trusted: Mapping[str, PublicKey]) -> tuple[dict[str, Any], str]:
    """Read an envelope, its signature checked before its content is looked at.

    Args:
        path: the envelope's file.
        kind: what it must state.
        trusted: the keys that count, by their ids.

    Returns:
        The statement, and the id of the key that signed it.

    Raises:
        EvidenceError: for what is no envelope, is signed by none of the keys, has another content than was
            signed, or states something else.
    """
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - not in the base install

    try:
        envelope = Envelope.from_dict(json.loads(path.read_bytes()))
        signatures = {key_id: bytes.fromhex(one.signature) for key_id, one in envelope.signatures.items()}
    except UNREADABLE as error:
        raise EvidenceError(f"{path}: wrongly signed: no DSSE envelope ({error})") from error
    signer = next((key_id for key_id in signatures if key_id in trusted), None)
    if signer is None:
        by = " and ".join(sorted(signatures)) or "nobody"
        raise EvidenceError(
            f"{path}: signed by key {by}, which neither the plan nor --trust lists. Name it with --trust if "
            "you know whose it is; --allow-unenrolled accepts the local key of this working directory"
        )
    if not trusted[signer].verify(signatures[signer], envelope.pae()):
        raise EvidenceError(
            f"{path}: wrongly signed: the signature is not the one of key {signer} over this content"
        )
    return _stated(path, kind, envelope.payload_type, envelope.payload), signer


def subjects(stated: Mapping[str, Any]) -> dict[str, str]:
    """The files of a statement: path -> SHA-256 (hex)."""
    return {one["name"]: one["digest"]["sha256"] for one in stated["subject"]}


def _stated(path: Path, kind: str, payload_type: str, payload: bytes) -> dict[str, Any]:
    try:
        stated: dict[str, Any] = json.loads(payload)
        found = (payload_type, stated["_type"], stated["predicateType"])
        subjects(stated)
    except UNREADABLE as error:
        raise EvidenceError(f"{path}: what is signed is no statement: {error}") from error
    if found != (PAYLOAD_TYPE, STATEMENT, kind):
        raise EvidenceError(f"{path}: a statement {kind} is expected, signed is {' '.join(map(str, found))}")
    return stated

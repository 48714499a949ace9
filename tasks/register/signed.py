"""Signatures of what is registered: the model's own envelope, and the dossier's beside its run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import mlflow

from tasks.errors import EvidenceError
from tasks.evidence.digest import write_atomically
from tasks.evidence.envelope import files_below, seal, statement
from tasks.evidence.keys import SigningKey
from tasks.evidence.signature import SIGNATURES, Signed, Verified
from tasks.register.client import Connection
from tasks.register.records import Registration
from tasks.register.registry import Version, tag_version
from tasks.register.runs import upload_folder

MODEL = "urn:assay:model:1"
ENVELOPE = "assay.dsse.json"
"""The envelope of a registered model, beside its file MLmodel; tasks/register/served.py checks it."""
MADE_BY_LOADING = frozenset({"registered_model_meta"})
"""What MLflow writes into a model's folder when it loads it from there."""


def seal_model(packed: Path, key: SigningKey) -> None:
    """Sign every file of a packed model, its code included, and leave the envelope among them."""
    stated = statement(MODEL, files_below(packed), {"enrolled": key.enrolled})
    write_atomically(packed / ENVELOPE, seal(stated, key))


def file_signature(
    connection: Connection, run_id: str, folder: Path, signed: Signed, registration: Registration | None
) -> None:
    """File a dossier's envelopes in its run, and say on run and version who signed.

    Raises:
        RegistryError: when MLflow refuses.
    """
    upload_folder(connection, run_id, folder / SIGNATURES, f"dossier/{SIGNATURES}")
    with connection.doing(f"tag run {run_id}") as client:
        for name, value in signed.tags.items():
            client.set_tag(run_id, name, value)
    if registration is not None:
        tag_version(connection, registration.model, registration.version, signed.tags)


def require_registered(connection: Connection, version: Version, verified: Verified, scratch: Path) -> int:
    """Compare a version's files in MLflow with the signed digests; nothing is loaded or run.

    Args:
        connection: MLflow.
        version: the registered version.
        verified: its dossier, verified.
        scratch: gets the files.

    Returns:
        How many compiled copies (``.pyc``) of the signed code lie there, which loading it left; no signature
        covers them.

    Raises:
        EvidenceError: naming the first file that is edited, missing or added, or another version or head.
        RegistryError: when MLflow can't be read.
    """
    if (verified.plan, verified.model_uri) != (version.name, version.model_uri):
        raise EvidenceError(
            f"{version} is {version.model_uri}; its run's dossier is that of {verified.plan or 'no plan'}, "
            f"{verified.model_uri or 'which registered none'}: one of them was exchanged"
        )
    if (head := version.tags.get("assay.dossier_head", "nothing")) != verified.head:
        raise EvidenceError(
            f"{version} names the head {head[:12]}…, its dossier is signed up to {verified.head[:12]}…: "
            "records were cut off, or the tag was changed"
        )
    scratch.mkdir(parents=True)
    with connection.doing(f"fetch the files of {version}"):
        top = Path(mlflow.artifacts.download_artifacts(version.model_uri, dst_path=str(scratch)))
    found = {name: digest for name, digest in files_below(top).items() if name not in MADE_BY_LOADING}
    compiled = {name for name in found if _is_compiled(name, verified.registered)}
    for name in sorted({*found, *verified.registered} - compiled):
        here, expected = found.get(name), verified.registered.get(name)
        if here != expected:
            told = "added" if expected is None else "deleted" if here is None else "edited"
            raise EvidenceError(
                f"{version}: {name}: {told} among the registered files since they were signed"
            )
    return len(compiled)


def _is_compiled(name: str, registered: Mapping[str, str]) -> bool:
    """Whether a file is Python's compiled copy of a signed one."""
    path = PurePosixPath(name)
    source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    return path.suffix == ".pyc" and path.parent.name == "__pycache__" and source.as_posix() in registered

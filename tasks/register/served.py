"""The registered model's code: MLflow runs this file when it loads the model, with nothing else of ours.

Beside it lie two artifacts: ``model`` (weights.safetensors, model.json) and ``source``, a copy of the
folder tasks/model, imported under a name that is new in every load, so that two versions of the model can
live in one process. Nothing is unpickled.

Where the environment says ``ASSAY_VERIFY=required``, the envelope beside the model (``assay.dsse.json``) must
be signed by a key of ``ASSAY_TRUST``, and only files with the signed digests are loaded: this file itself,
which MLflow runs first, is what `assay verify MODEL@REF` checks before any load.

Where it says ``ASSAY_PREDICTION_LOG=FILE.jsonl``, each answer is appended there before it is given.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import json
import os
import re
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.store.artifact.models_artifact_repo import REGISTERED_MODEL_META_FILE_NAME

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ENVELOPE = "assay.dsse.json"
KIND = "urn:assay:model:1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
LOG = "artifacts/prediction_log.json"


def load_source(folder: Path) -> ModuleType:
    """Import the package in ``folder`` under a name of its own and return its ``predictor`` module."""
    name = f"assay_model_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} holds no package: __init__.py is missing")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return importlib.import_module(f"{name}.predictor")


@contextmanager
def as_signed(top: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """The folder to load from: ``top``, or where verification is demanded a copy of what was signed.

    The copy is made of the bytes that were compared, so nobody can exchange a file between check and load.

    Raises:
        ValueError: when verification is demanded and fails, naming the first bad file.
    """
    demanded = environment.get("ASSAY_VERIFY", "")
    if not demanded:
        yield top
        return
    if demanded != "required":
        raise ValueError(f"ASSAY_VERIFY: `required` or nothing is expected, found {demanded!r}")
    signed = _signed_files(top / ENVELOPE, _trusted(environment.get("ASSAY_TRUST", "")))
    with tempfile.TemporaryDirectory(prefix="assay-verified-") as private:
        for name, sha256 in sorted(signed.items()):
            path = top / name
            content = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(content).hexdigest() != sha256:
                told = (
                    "it has other bytes than were signed"
                    if path.is_file()
                    else "it was signed and is missing"
                )
                raise ValueError(f"{path}: {told}; the model is not loaded. `assay verify` says more")
            copy = Path(private, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
        yield Path(private)


def _signed_files(envelope: Path, trusted: Mapping[str, Ed25519PublicKey]) -> dict[str, str]:
    """Files by path and SHA-256, from an envelope that one of the keys signed (DSSE, in-toto)."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where it is demanded

    if not envelope.is_file():
        raise ValueError(f"{envelope}: ASSAY_VERIFY demands a signature, and the model has none")
    try:
        content = json.loads(envelope.read_bytes())
        kind, payload = content["payloadType"].encode(), base64.b64decode(content["payload"], validate=True)
        signatures = {
            one["keyid"]: base64.b64decode(one["sig"], validate=True) for one in content["signatures"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{envelope}: no DSSE envelope: {error}") from error
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    for key_id in signatures.keys() & trusted.keys():
        try:
            trusted[key_id].verify(signatures[key_id], message)
        except InvalidSignature:
            raise ValueError(f"{envelope}: wrongly signed: not the signature of key {key_id}") from None
        return _files_of(json.loads(payload), kind, envelope)
    raise ValueError(f"{envelope}: signed by none of the keys that ASSAY_TRUST lists")


def _files_of(stated: dict[str, Any], kind: bytes, envelope: Path) -> dict[str, str]:
    if kind != PAYLOAD_TYPE.encode() or stated["predicateType"] != KIND:
        raise ValueError(f"{envelope}: what is signed is no list of a model's files")
    files = {one["name"]: one["digest"]["sha256"] for one in stated["subject"]}
    if outside := [name for name in files if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise ValueError(f"{envelope}: it lists files outside of the model: {outside}")
    return files


def _trusted(given: str) -> dict[str, Ed25519PublicKey]:
    """Keys by id, from a PEM file or from keys in hex or base64, joined by commas."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    text = Path(given).read_text(encoding="utf-8") if len(given) < 4096 and Path(given).is_file() else given
    blocks = re.findall(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", text, re.DOTALL)
    keys = [load_pem_public_key(block.encode()) for block in blocks]
    if not blocks:
        plain = [one.strip() for one in text.split(",") if one.strip()]
        raw = [
            bytes.fromhex(one) if len(one) == 64 else base64.b64decode(one, validate=True) for one in plain
        ]
        keys = [Ed25519PublicKey.from_public_bytes(one) for one in raw]
    if not keys:
        raise ValueError(
            "ASSAY_TRUST: ASSAY_VERIFY demands a signature, and no key is listed whose would count"
        )
    forms = [(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), key) for key in keys]
    return {hashlib.sha256(der).hexdigest(): key for der, key in forms if isinstance(key, Ed25519PublicKey)}


def version_of(top: Path) -> str:
    """The registered version that was loaded, as MLflow leaves it beside the model; "" where it is none."""
    path = top / REGISTERED_MODEL_META_FILE_NAME
    found = yaml.safe_load(path.read_bytes()) if path.is_file() else None
    version = found.get("model_version") if isinstance(found, dict) else None
    return "" if version is None else str(version)


class Served(PythonModel):
    """The model behind ``mlflow.pyfunc.load_model``."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load weights and decision rule from the artifacts, verified first where that is demanded."""
        source, model = Path(context.artifacts["source"]), Path(context.artifacts["model"])
        top = Path(os.path.commonpath([source, model])).parent
        with as_signed(top, os.environ) as folder:
            code = load_source(folder / source.relative_to(top))
            self.predictor = code.Predictor.load(folder / model.relative_to(top))
            # Now, while its files are there: a verified copy is removed after the load.
            self.callers = importlib.import_module(f"{code.__package__}.callers")
            kept = importlib.import_module(f"{code.__package__}.prediction_log")
            self.log = kept.prediction_log(os.environ, folder / LOG, version_of(top), self.predictor)

    # MLflow reads these types: with none, or others, it warns whoever loads the model.
    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """``prediction`` and ``probability`` (of the positive class) for each row of a pandas frame.

        A model that answers with noise wants ``params={"caller": NAME}`` and gives ``prediction`` alone.
        Where a predictions log is kept there is ``row_key`` besides, which names each row in it.

        Raises:
            ValueError: for rows that the model can't take, answers that a caller's budget does not have, or
                that can't be logged.
        """
        answer: pd.DataFrame
        if self.predictor.noise is None:
            answer = self.predictor.predict(model_input)
        else:
            caller = self.callers.caller_of(params)
            answer = self.predictor.answer(model_input, caller, self.callers.ledger_path())
        if self.log is not None:
            answer = answer.assign(row_key=self.log.write(model_input, answer))
        return answer


set_model(Served())

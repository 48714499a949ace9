"""The registered model's signature: checked before any load where that is demanded, and by `assay verify`."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.errors import EvidenceError, RegistryError
from tasks.evidence.dossier import Dossier
from tasks.evidence.keys import SigningKey
from tasks.evidence.records import Record
from tasks.evidence.signature import Verified, sign_dossier, verify_dossier
from tasks.model.predictor import Predictor
from tasks.register.client import Connection
from tasks.register.model import Logged, log_model
from tasks.register.records import Registration
from tasks.register.registry import Version, create_version, resolve
from tasks.register.runs import start
from tasks.register.served import as_signed
from tasks.register.signed import ENVELOPE, file_signature, require_registered
from tasks.register.verify import predict
from tests.register.conftest import COLUMNS

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), enrolled=True)
OTHER = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))), enrolled=True)


class Named(Record):
    """The record of the plan."""

    name: str = "adult"


@pytest.fixture
def logged(connection: Connection, tmp_path: Path, model_folder: Path, rows: pd.DataFrame) -> Logged:
    run_id = start(connection, "adult", tmp_path, {})
    return log_model(connection, run_id, model_folder, rows, COLUMNS, {}, key=KEY)


@pytest.fixture
def store(connection: Connection, logged: Logged) -> Path:
    """The folder in which MLflow keeps the model."""
    location = connection.client.get_logged_model(logged.uri.removeprefix("models:/")).artifact_location
    return Path(unquote(urlsplit(location).path))


@pytest.fixture
def demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_VERIFY", "required")
    monkeypatch.setenv("ASSAY_TRUST", f"{OTHER.public.raw.hex()}, {KEY.public.raw.hex()}")


def test_a_signed_model_is_served_where_that_is_demanded(
    connection: Connection, logged: Logged, rows: pd.DataFrame, predictor: Predictor, demanded: None
) -> None:
    served = predict(connection, logged.uri, rows)
    assert served["probability"].tolist() == predictor.predict(rows)["probability"].tolist()


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def relist(envelope: Path) -> None:
    """Sign again with a key that nobody trusts."""
    content = json.loads(envelope.read_text())
    content["signatures"][0]["keyid"] = "0" * 64
    envelope.write_text(json.dumps(content))


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights": (
        lambda top: alter(top / "artifacts/model/weights.safetensors"),
        "other bytes than were signed",
    ),
    "code": (lambda top: alter(top / "artifacts/source/predictor.py"), "other bytes than were signed"),
    "rule": (lambda top: (top / "artifacts/model/model.json").unlink(), "missing"),
    "no envelope": (lambda top: (top / ENVELOPE).unlink(), "the model has none"),
    "no envelope at all": (lambda top: (top / ENVELOPE).write_text("{}"), "no DSSE envelope"),
    "another key": (lambda top: relist(top / ENVELOPE), "none of the keys that ASSAY_TRUST lists"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_model_is_not_loaded_where_that_is_demanded(
    connection: Connection, logged: Logged, store: Path, rows: pd.DataFrame, demanded: None, tampering: str
) -> None:
    change, told = TAMPERINGS[tampering]
    change(store)
    with pytest.raises(RegistryError, match=told):
        predict(connection, logged.uri, rows)


def test_altered_code_is_not_run(
    connection: Connection, logged: Logged, store: Path, rows: pd.DataFrame, demanded: None, tmp_path: Path
) -> None:
    """The check comes before the import, also where a file was added beside the signed ones."""
    ran = tmp_path / "ran"
    source = store / "artifacts" / "source"
    (source / "torch.py").write_text(f"open({str(ran)!r}, 'w')")
    (source / "__init__.py").write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(RegistryError, match=r"source/__init__.py: it has other bytes"):
        predict(connection, logged.uri, rows)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"ASSAY_VERIFY": "required"}, "no key is listed"),
        ({"ASSAY_VERIFY": "required", "ASSAY_TRUST": OTHER.public.pem}, "none of the keys"),
        ({"ASSAY_VERIFY": "yes"}, "`required` or nothing is expected"),
    ],
)
def test_a_demand_without_trusted_keys_is_never_met(
    store: Path, environment: dict[str, str], told: str
) -> None:
    with pytest.raises(ValueError, match=told), as_signed(store, environment):
        pytest.fail("it was opened")


def test_keys_are_trusted_from_a_file(store: Path, tmp_path: Path) -> None:
    (tmp_path / "trusted.pem").write_text(OTHER.public.pem + KEY.public.pem)
    trusted = {"ASSAY_VERIFY": "required", "ASSAY_TRUST": str(tmp_path / "trusted.pem")}
    with as_signed(store, trusted) as folder:
        assert (folder / "artifacts" / "model" / "weights.safetensors").is_file()
        assert not folder.is_relative_to(store)
    with as_signed(store, {}) as folder:
        assert folder == store


@pytest.fixture
def signed(connection: Connection, logged: Logged, tmp_path: Path) -> tuple[Version, Verified]:
    """A version, and its dossier as signed."""
    (run,) = connection.client.search_runs([connection.experiment("adult")])
    version = create_version(connection, "adult", run.info.run_id, logged.uri, {}, "")
    dossier = Dossier(tmp_path / "dossier")
    dossier.add("plan", Named())
    registration = Registration(
        ending="Registered",
        model="adult",
        version=version.version,
        model_uri=logged.uri,
        alias=None,
        because="",
        champion_before=None,
        paired=None,
        served_rows=1,
        files=dict(logged.files),
    )
    dossier.add("registration", registration)
    file_signature(
        connection, version.run_id, dossier.folder, sign_dossier(dossier.folder, KEY), registration
    )
    return resolve(connection, "adult", version.version), verify_dossier(
        dossier.folder, {KEY.key_id: KEY.public}
    )


def test_the_version_names_its_signer(connection: Connection, signed: tuple[Version, Verified]) -> None:
    version, verified = signed
    assert version.tags["assay.signed_by"] == KEY.key_id
    assert version.tags["assay.signer"] == "enrolled"
    assert version.tags["assay.dossier_head"] == verified.head
    assert [item.path for item in connection.client.list_artifacts(version.run_id, "dossier/signatures")] == [
        "dossier/signatures/01.json"
    ]


def test_registered_files_are_compared_with_what_was_signed(
    connection: Connection,
    signed: tuple[Version, Verified],
    store: Path,
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    version, verified = signed
    predict(connection, version.model_uri, rows)  # leaves compiled copies and a note of MLflow's
    require_registered(connection, version, verified, tmp_path / "whole")
    alter(store / "python_env.yaml")
    with pytest.raises(EvidenceError, match=r"python_env.yaml: edited"):
        require_registered(connection, version, verified, tmp_path / "edited")
    alter(store / "python_env.yaml")
    (store / "artifacts" / "model" / "more").write_text("")
    with pytest.raises(EvidenceError, match=r"artifacts/model/more: added"):
        require_registered(connection, version, verified, tmp_path / "added")
    (store / "artifacts" / "model" / "more").unlink()
    (store / "artifacts" / "model" / "model.json").unlink()
    with pytest.raises(EvidenceError, match=r"model.json: deleted"):
        require_registered(connection, version, verified, tmp_path / "deleted")


def test_another_head_or_version_is_named(
    connection: Connection, signed: tuple[Version, Verified], tmp_path: Path
) -> None:
    version, verified = signed
    cut = verified.model_copy(update={"head": "0" * 64})
    with pytest.raises(EvidenceError, match="records were cut off"):
        require_registered(connection, version, cut, tmp_path / "cut")
    exchanged = verified.model_copy(update={"model_uri": "models:/m-other"})
    with pytest.raises(EvidenceError, match="one of them was exchanged"):
        require_registered(connection, version, exchanged, tmp_path / "exchanged")

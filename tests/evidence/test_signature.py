"""Signatures: what was edited, deleted, reordered, cut off, added or wrongly signed is named."""

import base64
import hashlib
import json
import pickle
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from tasks.errors import EvidenceError, PlanError
from tasks.evidence.dossier import Dossier
from tasks.evidence.keys import PublicKey, SigningKey, read_public_keys, signing_key
from tasks.evidence.records import Record
from tasks.evidence.signature import envelopes, sign_dossier, verify_dossier
from tasks.plan.signing import Signing
from tests.conftest import missing

# RFC 8032, section 7.1, test 3.
SEED = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
PUBLIC = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


class Finding(Record):
    """A step's record."""

    value: int
    name: str = "adult"
    digests: Mapping[str, str] = {"judgement": "abc"}


def key_of(seed: bytes, *, enrolled: bool = True) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seed), enrolled=enrolled)


KEY, OTHER = key_of(bytes.fromhex(SEED)), key_of(b"another" + bytes(25))
TRUSTED = {KEY.key_id: KEY.public}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A signed dossier of four records, a model and a figure."""
    dossier = Dossier(tmp_path / "run")
    dossier.add("plan", Finding(value=1))
    (dossier.folder / "model").mkdir()
    (dossier.folder / "model" / "weights").write_bytes(b"weights")
    dossier.add("freeze", Finding(value=2))
    dossier.add("verdicts", Finding(value=3))
    dossier.add("ending", Finding(value=4))
    (dossier.folder / "figures").mkdir()
    (dossier.folder / "figures" / "gap.svg").write_text("<svg/>")
    (dossier.folder / "timings.json").write_text("{}")
    sign_dossier(dossier.folder, KEY)
    return dossier.folder


def test_a_signature_is_that_of_the_standard() -> None:
    assert KEY.public.raw.hex() == PUBLIC
    assert KEY.sign(bytes.fromhex("af82")).hex() == SIGNATURE
    assert KEY.public.verify(bytes.fromhex(SIGNATURE), bytes.fromhex("af82"))
    assert not KEY.public.verify(bytes.fromhex(SIGNATURE), bytes.fromhex("af83"))
    assert not OTHER.public.verify(bytes.fromhex(SIGNATURE), bytes.fromhex("af82"))


def test_a_whole_dossier_is_verified(folder: Path) -> None:
    found = verify_dossier(folder, {**TRUSTED, OTHER.key_id: OTHER.public})
    assert (found.key_id, found.index, found.plan, found.judgement) == (KEY.key_id, 3, "adult", "abc")
    assert found.head == hashlib.sha256((folder / "records" / "03-ending.json").read_bytes()).hexdigest()
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert sorted([*found.files, "signatures/03.json", "timings.json"]) == files


def test_the_same_dossier_and_key_give_the_same_envelope(folder: Path) -> None:
    first = (folder / "signatures" / "03.json").read_bytes()
    signed = sign_dossier(folder, KEY)
    assert (folder / signed.path).read_bytes() == first
    assert signed.tags["assay.signed_by"] == KEY.key_id


def test_another_library_verifies_the_envelope(folder: Path) -> None:
    envelope = Envelope.from_dict(json.loads((folder / "signatures" / "03.json").read_text()))
    key = SSlibKey(KEY.key_id, "ed25519", "ed25519", {"public": PUBLIC})
    assert envelope.verify([key], 1) == {KEY.key_id: key}
    stated = json.loads(envelope.payload)
    assert stated["subject"][-1]["name"] == "records/03-ending.json"
    assert stated["predicate"]["head"] == stated["subject"][-1]["digest"]["sha256"]


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def forge(folder: Path) -> None:
    """Change a verdict and chain all records anew, as whoever may write there can."""
    edit(folder / "records" / "02-verdicts.json", '"value": 3', '"value": 7')
    previous = hashlib.sha256((folder / "records" / "02-verdicts.json").read_bytes()).hexdigest()
    ending = json.loads((folder / "records" / "03-ending.json").read_text())
    ending["previous"] = previous
    (folder / "records" / "03-ending.json").write_text(json.dumps(ending, indent=1, sort_keys=True) + "\n")


def reseal(folder: Path, change: Callable[[str], str]) -> None:
    """Change what is signed and keep the signature."""
    path = folder / "signatures" / "03.json"
    content = json.loads(path.read_text())
    payload = change(base64.b64decode(content["payload"]).decode())
    path.write_text(json.dumps({**content, "payload": base64.b64encode(payload.encode()).decode()}))


def append(folder: Path) -> None:
    Dossier(folder).add("review", Finding(value=9))


def claim(folder: Path) -> None:
    """Sign with another key in the trusted one's name."""
    sign_dossier(folder, OTHER)
    edit(folder / "signatures" / "03.json", OTHER.key_id, KEY.key_id)


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "record edited": (
        lambda f: edit(f / "records/01-freeze.json", '"value": 2', '"value": 7'),
        r"records/01-freeze.json: edited",
    ),
    "record edited, chained anew": (forge, "records/02-verdicts.json: edited"),
    "record deleted": (lambda f: (f / "records/01-freeze.json").unlink(), "records/01-freeze.json: deleted"),
    "records reordered": (
        lambda f: swap(f / "records/01-freeze.json", f / "records/02-verdicts.json"),
        "records/01-freeze.json: reordered: it is what was signed as records/02-verdicts.json",
    ),
    "records cut off": (lambda f: (f / "records/03-ending.json").unlink(), "03-ending.json: cut off"),
    "record added": (append, "records/04-review.json: added"),
    "weights edited": (lambda f: (f / "model/weights").write_bytes(b"Weights"), "model/weights: edited"),
    "weights deleted": (lambda f: (f / "model/weights").unlink(), "model/weights: deleted"),
    "file added": (lambda f: (f / "model/evil.py").write_text(""), "model/evil.py: added"),
    "figure edited": (lambda f: (f / "figures/gap.svg").write_text("<svg>"), "figures/gap.svg: edited"),
    "statement edited": (
        lambda f: reseal(f, lambda text: text.replace("abc", "abd")),
        "03.json: wrongly signed",
    ),
    "envelope deleted": (lambda f: (f / "signatures/03.json").unlink(), "not signed"),
    "envelope renamed": (
        lambda f: (f / "signatures/03.json").rename(f / "signatures/02.json"),
        "02.json: reordered",
    ),
    "envelope broken": (lambda f: (f / "signatures/03.json").write_text("[]"), "03.json: wrongly signed"),
    "signed by another": (lambda f: sign_dossier(f, OTHER), f"03.json: signed by key {OTHER.key_id}, which"),
    "signed in another's name": (claim, "03.json: wrongly signed"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_the_first_bad_entry_is_named(folder: Path, tampering: str) -> None:
    change, named = TAMPERINGS[tampering]
    change(folder)
    with pytest.raises(EvidenceError, match=named):
        verify_dossier(folder, TRUSTED)


def test_a_later_head_is_signed_beside_the_earlier(folder: Path) -> None:
    append(folder)
    signed = sign_dossier(folder, KEY)
    assert [path.name for path in envelopes(folder)] == ["03.json", "04.json"]
    assert verify_dossier(folder, TRUSTED).head == signed.head
    # Each envelope counts: also the earlier one must be signed by a trusted key.
    edit(folder / "signatures" / "03.json", KEY.key_id, OTHER.key_id)
    with pytest.raises(EvidenceError, match=r"03.json: signed by key"):
        verify_dossier(folder, TRUSTED)


def test_an_earlier_envelope_of_another_dossier_is_named(folder: Path, tmp_path: Path) -> None:
    other = Dossier(tmp_path / "other")
    other.add("plan", Finding(value=5))
    sign_dossier(other.folder, KEY)
    (other.folder / "signatures" / "00.json").rename(folder / "signatures" / "00.json")
    with pytest.raises(EvidenceError, match=r"00.json: its records are not the first 1 of this dossier"):
        verify_dossier(folder, TRUSTED)


def test_a_broken_chain_is_not_signed(folder: Path) -> None:
    edit(folder / "records" / "01-freeze.json", '"value": 2', '"value": 7')
    with pytest.raises(EvidenceError, match="02-verdicts"):
        sign_dossier(folder, KEY)


def test_a_signed_broken_file_reference_is_named(folder: Path) -> None:
    """A signer who exchanged the weights and signed the folder again is told by the records."""
    (folder / "model" / "weights").write_bytes(b"exchanged")
    sign_dossier(folder, KEY)
    with pytest.raises(EvidenceError, match=r"model/weights: record 01-freeze.json names"):
        verify_dossier(folder, TRUSTED)


def test_a_local_key_is_its_owners_alone_and_unenrolled(tmp_path: Path) -> None:
    made = signing_key(None, tmp_path)
    path = tmp_path / "keys" / "signing.pem"
    assert [oct(p.stat().st_mode & 0o777) for p in (path, path.parent)] == ["0o600", "0o700"]
    assert made.standing == "unenrolled"
    assert signing_key(None, tmp_path).public == made.public
    assert read_public_keys([str(path.with_suffix(".pub"))], "test") == [made.public]
    assert signing_key(None, tmp_path, [made.public]).standing == "enrolled"
    path.chmod(0o640)
    with pytest.raises(PlanError, match="others may read it"):
        signing_key(None, tmp_path)
    if shutil.which("openssl") is None:
        missing("openssl is not installed: it names a key by the same digest")
    done = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], capture_output=True, check=True
    )
    assert hashlib.sha256(done.stdout).hexdigest() == made.key_id


def test_a_key_is_never_shown_nor_pickled(tmp_path: Path) -> None:
    secret = (tmp_path / "keys" / "signing.pem", signing_key(None, tmp_path))
    line = secret[0].read_text().splitlines()[1]
    assert line not in f"{secret[1]!r} {secret[1]}"
    assert str(secret[1].key_id) in repr(secret[1])
    with pytest.raises(TypeError):
        pickle.dumps(secret[1])


def pem(key: Ed25519PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_a_given_key_is_refused_unless_it_is_a_plain_ed25519_key(tmp_path: Path) -> None:
    own = Ed25519PrivateKey.generate()
    curve = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    contents = {
        "empty": b"",
        "public": PublicKey(own.public_key().public_bytes_raw()).pem.encode(),
        "encrypted": pem(own, BestAvailableEncryption(b"word")),
        "another kind": curve,
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(PlanError, match="unencrypted Ed25519") as raised:
            signing_key(path, tmp_path)
        assert not any(line in str(raised.value) for line in content.decode().splitlines()[1:-1])
    with pytest.raises(PlanError, match="is no file"):
        signing_key(tmp_path / "absent", tmp_path)
    (tmp_path / "right").write_bytes(pem(own, NoEncryption()))
    (tmp_path / "right").chmod(0o600)
    assert signing_key(tmp_path / "right", tmp_path).standing == "enrolled"


def test_a_plan_lists_keys_in_three_forms_and_refuses_what_is_none() -> None:
    raw = bytes.fromhex(PUBLIC)
    forms = [KEY.public.pem, PUBLIC, base64.b64encode(raw).decode()]
    assert [Signing(trusted=[{"name": "a", "key": form}]).trusted_keys for form in forms] == [
        [KEY.public]
    ] * 3  # type: ignore[list-item]
    curve = generate_private_key(SECP256R1()).public_key()
    wrong = {
        PUBLIC[:-2]: "found 31 bytes",
        "not a key!": "found neither",
        curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(): "another kind",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----": "found a PEM block PRIVATE KEY",
    }
    for text, told in wrong.items():
        with pytest.raises(ValueError, match=told):
            Signing(trusted=[{"name": "a", "key": text}])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="found several times"):
        Signing(trusted=[{"name": "a", "key": PUBLIC}, {"name": "b", "key": forms[0]}])  # type: ignore[list-item]

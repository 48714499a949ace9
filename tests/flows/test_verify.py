"""`assay verify` and `assay anchor` on a registered model: whole, tampered with, with a time from outside."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.anchor import run_anchor
from flows.outcome import Outcome
from flows.verify import run_verify
from tasks.errors import EvidenceError, PlanError, SourceError
from tasks.evidence.digest import digest_file
from tasks.evidence.keys import SigningKey, local_public_key, signing_key
from tasks.evidence.signature import sign_dossier
from tests.conftest import missing

from .conftest import Assay, Workspace, body
from .test_replay import edit, rechain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def dossier(registered: Workspace, tmp_path: Path) -> Path:
    """The champion's dossier, copied to a folder where nothing else is."""
    (found,) = registered.dossiers()
    return Path(shutil.copytree(found, tmp_path / found.name))


@pytest.fixture
def verified(registered: Workspace, dossier: Path) -> Callable[..., Outcome]:
    """`assay verify` of that folder, trusting the workspace's local key."""

    def verify(*trust: str, allow_unenrolled: bool = True) -> Outcome:
        settings = registered.settings
        return run_verify(str(dossier), trust, None, settings, allow_unenrolled=allow_unenrolled)

    return verify


def last(dossier: Path) -> Path:
    return max((dossier / "records").glob("*.json"))


def test_a_registered_model_is_verified_before_any_load(assay: Assay, workspace: Workspace) -> None:
    """By the command: with the local key only where that is allowed, or as the plan in data/ lists it."""
    key = local_public_key(workspace.top / "var")
    assert key is not None
    refused = assay(workspace.top, "verify", "tiny@champion")
    assert refused.code == 3, refused
    assert f"signed by key {key.key_id}, which neither the plan nor --trust lists" in refused.output
    allowed = assay(workspace.top, "verify", "tiny@champion", "--allow-unenrolled")
    assert allowed.code == 0, allowed
    assert "registered files are as signed" in allowed.output
    assert "unanchored" in allowed.output
    document = workspace.document()
    document["operations"]["signing"] = {"trusted": [{"name": "the team", "key": key.pem}]}
    workspace.write(document)
    listed = assay(workspace.top, "verify", "tiny@champion")
    assert listed.code == 0, listed
    assert f"signed by the team, listed by data/tiny/plan.yaml, key {key.key_id}" in listed.output
    tags = dict(workspace.query("select key, value from model_version_tags"))
    assert (tags["assay.signed_by"], tags["assay.signer"]) == (key.key_id, "unenrolled")
    (envelope,) = (workspace.dossiers()[0] / "signatures").glob("*.json")
    (filed,) = (workspace.top / "var" / "mlartifacts").rglob(f"dossier/signatures/{envelope.name}")
    assert filed.read_bytes() == envelope.read_bytes()


def test_a_bad_command_is_told(assay: Assay, registered: Workspace) -> None:
    for wrong in (["tiny"], ["tiny@champion", "--trust", "nothing"]):
        done = assay(registered.top, "verify", *wrong)
        assert done.code == 2, done


def test_registered_weights_that_were_altered_are_named(workspace: Workspace) -> None:
    (weights,) = (workspace.top / "var" / "mlartifacts").rglob("artifacts/model/weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = run_verify("tiny@1", [], None, workspace.settings, allow_unenrolled=True)
    assert found.exit_code == 3
    assert "tiny version 1: artifacts/model/weights.safetensors: edited" in found.lines[0]


def reorder(dossier: Path) -> None:
    """Exchange two records and chain all anew."""
    records = sorted((dossier / "records").glob("*.json"))
    first, second = records[3].read_bytes(), records[4].read_bytes()
    records[3].write_bytes(second)
    records[4].write_bytes(first)


def forge(dossier: Path) -> None:
    """Change a verdict and chain all records anew, signed with a key of the forger's own."""

    def better(step: str, content: dict[str, object]) -> None:
        if step == "spending":
            content["alpha"] = 0.5

    rechain(dossier, better)
    sign_dossier(dossier, signing_key(None, dossier.parent / "forger"))


def trust_in_itself(dossier: Path) -> None:
    """Forge, and let the plan inside of the dossier list the forger's key."""
    key = signing_key(None, dossier.parent / "forger")

    def listed(document: dict[str, dict[str, object]]) -> None:
        document["operations"]["signing"] = {"trusted": [{"name": "the team", "key": key.public.pem}]}

    edit(dossier / "plan.json", listed)
    forge(dossier)


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (
        lambda f: edit(f / "records/10-verdicts.json", lambda c: c),
        "records/10-verdicts.json: edited",
    ),
    "deleted": (lambda f: (f / "records/02-data.json").unlink(), "records/02-data.json: deleted"),
    "reordered": (reorder, ": reordered"),
    "truncated": (lambda f: last(f).unlink(), "-ending.json: cut off"),
    "added": (lambda f: (f / "model/more.json").write_text("{}"), "model/more.json: added"),
    "predictions": (lambda f: (f / "predictions.csv").write_text(""), "predictions.csv: edited"),
    "unsigned": (lambda f: shutil.rmtree(f / "signatures"), "not signed"),
    "forged": (forge, "which neither the plan nor --trust lists"),
    "vouching for itself": (trust_in_itself, "which neither the plan nor --trust lists"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_the_first_bad_entry_is_named(
    dossier: Path, verified: Callable[..., Outcome], tampering: str
) -> None:
    change, named = TAMPERINGS[tampering]
    change(dossier)
    found = verified()
    assert (found.title, found.exit_code) == ("Not verified", 3)
    assert named in found.lines[0]


def test_a_copied_folder_is_verified_with_a_given_key(
    registered: Workspace, dossier: Path, verified: Callable[..., Outcome]
) -> None:
    assert verified(allow_unenrolled=False).exit_code == 3
    public = registered.top / "var" / "keys" / "signing.pub"
    assert verified(str(public), allow_unenrolled=False).exit_code == 0
    assert verified(public.read_text(), allow_unenrolled=False).exit_code == 0


def test_every_ending_is_signed_by_the_key_of_the_environment(
    assay: Assay, blank: Workspace, tmp_path: Path
) -> None:
    """Here a refused one: its dossier has no model."""
    made: SigningKey = signing_key(None, tmp_path)
    blank.judgement(expectations={"minimum_rows": {"train": 1_000_000}})
    key = str(tmp_path / "keys" / "signing.pem")
    done = assay(blank.top, "retrain", "tiny", ASSAY_SIGNING_KEY=key)
    assert done.code == 3, done
    (refused,) = blank.dossiers()
    assert body(refused, "ending")["ending"] == "Refused"
    found = run_verify(str(refused), [made.public.pem], None, blank.settings, allow_unenrolled=False)
    assert found.exit_code == 0, found
    assert not (blank.top / "var" / "keys" / "signing.pem").exists()
    secret = Path(key).read_text().splitlines()[1].encode()
    left = [path for path in (blank.top / "var").rglob("*") if path.is_file()]
    assert not [path for path in left if secret in path.read_bytes()]
    wrong = assay(blank.top, "retrain", "tiny", ASSAY_SIGNING_KEY=str(tmp_path / "absent"))
    assert wrong.code == 2
    assert len(blank.dossiers()) == 1


EXTENSIONS = """
[tsa]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamps]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real timestamp authority on loopback: its address, and the certificate that vouches for it."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed: it makes the timestamps of a test authority")
    folder = tmp_path_factory.mktemp("authority")
    (folder / "openssl.cnf").write_text(EXTENSIONS)
    (folder / "serial").write_text("01")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes")
    for name in ("ca", "stranger"):
        key = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        own = ("-signkey", f"{name}.key", "-extfile", "openssl.cnf", "-extensions", "ca", "-days", "2")
        openssl(*new, *key)
        openssl("x509", "-req", "-in", f"{name}.csr", *own, "-out", f"{name}.pem")
    openssl(*new, "-subj", "/CN=clock", "-keyout", "clock.key", "-out", "clock.csr")
    issued = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "openssl.cnf")
    openssl(
        "x509",
        "-req",
        "-in",
        "clock.csr",
        *issued,
        "-extensions",
        "stamps",
        "-days",
        "2",
        "-out",
        "clock.pem",
    )

    class Clock(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path != "/stamp":
                self.send_error(404)
                return
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            signs = (
                "-signer",
                "clock.pem",
                "-inkey",
                "clock.key",
                "-config",
                "openssl.cnf",
                "-section",
                "tsa",
            )
            openssl("ts", "-reply", "-queryfile", "query", *signs, "-out", "reply")
            self.send_response(200)
            self.end_headers()
            self.wfile.write((folder / "reply").read_bytes())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Clock) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/stamp", folder / "ca.pem"
        server.shutdown()


def test_a_head_is_anchored_in_time(
    workspace: Workspace, authority: tuple[str, Path], tmp_path: Path
) -> None:
    url, ca = authority
    settings = workspace.settings
    done = run_anchor("tiny@champion", url, ca, settings, git_tag=False)
    assert done.exit_code == 0
    assert done.lines[0].endswith("Z by CN=clock")
    found = run_verify("tiny@champion", [], ca, settings, allow_unenrolled=True)
    assert (found.exit_code, found.lines[-1]) == (0, done.lines[0])
    unchecked = run_verify("tiny@champion", [], None, settings, allow_unenrolled=True)
    assert unchecked.lines[-1].endswith("its certificate was not checked: give the authority's with --ca")
    # On this machine's copy too; another program says the same of it.
    (dossier,) = workspace.dossiers()
    (token,) = (dossier / "signatures").glob("*.tsr")
    told = ["openssl", "ts", "-verify", "-digest", digest_file(last(dossier)), "-in", token, "-CAfile", ca]
    assert b"Verification: OK" in subprocess.run(told, capture_output=True, check=True).stdout
    stranger = run_verify(str(dossier), [], ca.with_name("stranger.pem"), settings, allow_unenrolled=True)
    assert stranger.exit_code == 3
    assert "no timestamp of an authority that the given certificates vouch for" in stranger.lines[0]
    token.rename(token.with_name("00.tsr"))
    moved = run_verify(str(dossier), [], ca, settings, allow_unenrolled=True)
    assert moved.exit_code == 3
    assert "00.tsr: edited: this timestamp is not over 00-plan.json" in moved.lines[0]


def test_no_token_is_kept_of_an_authority_that_fails(
    dossier: Path, registered: Workspace, authority: tuple[str, Path]
) -> None:
    url, ca = authority
    settings = registered.settings
    with pytest.raises(EvidenceError, match="vouch for"):
        run_anchor(str(dossier), url, ca.with_name("stranger.pem"), settings, git_tag=False)
    with pytest.raises(SourceError, match="HTTP 404"):
        run_anchor(str(dossier), f"{url}s", ca, settings, git_tag=False)
    with pytest.raises(PlanError, match="http"):
        run_anchor(str(dossier), "file:///etc/passwd", ca, settings, git_tag=False)
    with pytest.raises(PlanError, match="--tsa URL, --git-tag"):
        run_anchor(str(dossier), None, None, settings, git_tag=False)
    assert not list((dossier / "signatures").glob("*.tsr"))


def test_a_head_is_named_by_a_git_tag(
    registered: Workspace,
    dossier: Path,
    verified: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)
    with pytest.raises(PlanError, match="git could not write the tag"):
        run_anchor(str(dossier), None, None, registered.settings, git_tag=True)
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    for variable in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(variable, "ann@example.org")
    done = run_anchor(str(dossier), None, None, registered.settings, git_tag=True)
    tag = f"assay/tiny/{dossier.name}/{digest_file(last(dossier))[:12]}"
    assert done.lines == (f"tagged {tag}; it counts once others have it: git push REMOTE {tag}",)
    message = subprocess.run(
        ["git", "cat-file", "tag", tag], capture_output=True, text=True, check=True
    ).stdout
    plan = json.loads((dossier / "records" / "00-plan.json").read_text())["body"]
    assert f"judgement {plan['digests']['judgement']}" in message
    assert f"by the git tag {tag} of ann@example.org" in verified().lines[-1]

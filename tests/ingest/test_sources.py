"""Sources: every scheme against something real, and every way in which one can fail."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import http.server
import ipaddress
import lzma
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tasks.errors import SourceAbsent, SourceError, SourceUnreachable
from tasks.ingest import origins
from tasks.ingest.archive import digest_archive
from tasks.ingest.sources import fetch
from tasks.plan.source import Source

from .archives import tar
from .conftest import sha256
from .test_archive import FILES, write_folder

CONTENT = b"a,b\n1,2\n" * 1000
WRONG = b"a,b\n1,3\n" * 1000


def source(*places: str, name: str = "rows.csv", digest: str = sha256(CONTENT)) -> Source:
    return Source(name=name, sha256=digest, part="all", origins=list(places))


def only_the_file(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_file_is_decompressed_by_content(tmp_path: Path, pack: object) -> None:
    (tmp_path / "origin").write_bytes(pack(CONTENT))  # type: ignore[operator]
    found = fetch(source((tmp_path / "origin").as_uri()), tmp_path / "raw" / "rows.csv", None)
    assert (tmp_path / "raw" / "rows.csv").read_bytes() == CONTENT
    assert (found.sha256, found.bytes) == (sha256(CONTENT), len(CONTENT))
    assert only_the_file(tmp_path / "raw")


@pytest.mark.parametrize(
    ("ending", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)]
)
def test_mirror_comes_first_at_any_depth(tmp_path: Path, ending: str, pack: object) -> None:
    place = tmp_path / "mirror" / "deep" / f"rows.csv{ending}"
    place.parent.mkdir(parents=True)
    place.write_bytes(pack(CONTENT))  # type: ignore[operator]
    fetch(source("file:/nowhere"), tmp_path / "raw" / "rows.csv", tmp_path / "mirror")
    assert only_the_file(tmp_path / "raw")


def test_mirror_is_believed_by_hash_only(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "rows.csv").write_bytes(WRONG)
    (tmp_path / "right").write_bytes(CONTENT)
    fetch(source((tmp_path / "right").as_uri()), tmp_path / "raw" / "rows.csv", tmp_path / "mirror")
    assert (tmp_path / "raw" / "rows.csv").read_bytes() == CONTENT


def test_wrong_hash_names_both_and_the_place(tmp_path: Path) -> None:
    (tmp_path / "origin").write_bytes(WRONG)
    place = (tmp_path / "origin").as_uri()
    with pytest.raises(SourceError) as caught:
        fetch(source(place), tmp_path / "raw" / "rows.csv", None)
    message = str(caught.value)
    assert f"{place}: sha256 {sha256(CONTENT)} is expected, found {sha256(WRONG)}" in message
    assert not isinstance(caught.value, SourceUnreachable)
    assert not list((tmp_path / "raw").iterdir())


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_truncated_compressed_source_is_named(tmp_path: Path, pack: object) -> None:
    (tmp_path / "origin").write_bytes(pack(CONTENT)[:-15])  # type: ignore[operator]
    with pytest.raises(SourceError, match="cut short or altered"):
        fetch(source((tmp_path / "origin").as_uri()), tmp_path / "raw" / "rows.csv", None)
    assert not list((tmp_path / "raw").iterdir())


def test_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"before")
    with pytest.raises(SourceAbsent):
        fetch(source("file:/nowhere"), tmp_path / "rows.csv", None)
    assert (tmp_path / "rows.csv").read_bytes() == b"before"
    assert only_the_file(tmp_path)


def test_every_unreachable_origin_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "PAUSE_SECONDS", 0)
    places = ["file:/nowhere/rows.csv", "https://127.0.0.1:9/rows.csv"]
    with pytest.raises(SourceAbsent) as caught:
        fetch(source(*places), tmp_path / "raw" / "rows.csv", None)
    for place, reason in zip(places, ("there is no file", "refused"), strict=True):
        assert any(place in line and reason in line for line in str(caught.value).splitlines())
    assert "ASSAY_MIRROR" in str(caught.value)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own settings: every index, registry and store is at a port where nothing listens."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "origin",
    [
        "https://127.0.0.1:9/rows.csv",
        "https://nowhere.invalid/rows.csv",
        "pypi:assay-test-rows==1.0!rows/rows.csv",
        "npm:assay-test-rows@1.0.0!rows.csv",
        "s3://bucket/rows.csv",
    ],
)
def test_where_nothing_listens_is_told_within_seconds(tmp_path: Path, origin: str) -> None:
    """A closed port or an unknown name: one short retry, and none by the flow."""
    start = time.perf_counter()
    with pytest.raises(SourceAbsent) as caught:
        fetch(source(origin), tmp_path / "raw" / "rows.csv", None)
    assert time.perf_counter() - start < 7.5  # pip alone would wait so long between its own five retries
    assert origin in str(caught.value)
    assert not _worth_trying_again(caught.value)


def test_place_that_may_answer_later_is_tried_again_by_the_flow(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.MonkeyPatch.context() as patch:
        patch.setattr(origins, "PAUSE_SECONDS", 0)
        patch.setattr(origins, "TIMEOUT_SECONDS", 0.1)
        place = f"https://127.0.0.1:{silent.getsockname()[1]}/rows.csv"
        with pytest.raises(SourceUnreachable, match=r"timed out.*tried 3 times") as caught:
            fetch(source("file:/nowhere", place), tmp_path / "raw" / "rows.csv", None)
    assert _worth_trying_again(caught.value)


def _worth_trying_again(error: Exception) -> bool:
    """What the flow's task decides, from the state that Prefect would give it."""
    from prefect.states import Failed

    from tasks.ingest import task

    return task._worth_trying_again(None, None, Failed(data=error))  # type: ignore[arg-type]


def test_empty_answer_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "origin").write_bytes(b"")
    with pytest.raises(SourceError, match=r"found e3b0c442\w+ which is empty \(0 bytes\)"):
        fetch(source((tmp_path / "origin").as_uri()), tmp_path / "raw" / "rows.csv", None)


def test_archive_is_pinned_by_its_members(tmp_path: Path) -> None:
    origin = tar(tmp_path / "origin.tar.gz", FILES, "w:gz", mtime=7)
    digest = digest_archive(tar(tmp_path / "other.tar", FILES))
    pinned = source(origin.as_uri(), name="pack.tar.gz", digest=digest)
    found = fetch(pinned, tmp_path / "raw" / "pack.tar.gz", None)
    assert found.sha256 == sha256(origin.read_bytes())


def wheel(folder: Path, content: bytes) -> Path:
    """A real wheel, which pip accepts."""
    path = folder / "assay_test_rows-1.0-py3-none-any.whl"
    info = "assay_test_rows-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("rows/rows.csv", content)
        bundle.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: assay-test-rows\nVersion: 1.0\n")
        bundle.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        bundle.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own pip settings: no index, and a folder of wheels."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pypi_by_the_users_own_index(
    tmp_path: Path, local_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(local_index, CONTENT)
    monkeypatch.chdir(tmp_path)
    fetch(source("pypi:assay-test-rows==1.0!rows/rows.csv"), Path("raw/rows.csv"), None)
    assert (tmp_path / "raw" / "rows.csv").read_bytes() == CONTENT


def test_pypi_by_an_interpreter_that_was_started_by_a_relative_path(
    tmp_path: Path, local_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(local_index, CONTENT)
    monkeypatch.setattr(sys, "executable", os.path.relpath(sys.executable))
    fetch(source("pypi:assay-test-rows==1.0!rows/rows.csv"), tmp_path / "raw/rows.csv", None)
    assert (tmp_path / "raw/rows.csv").is_file()


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("pypi:assay-test-rows==1.0!rows/none.csv", "holds 0 files named 'rows/none.csv'"),
        ("pypi:assay-test-rows==2.0!rows/rows.csv", "pip failed"),
        ("pypi:assay-test-rows!rows/rows.csv", "PACKAGE==VERSION!FILE"),
        ("pypi:--no-index==1!rows/rows.csv", "PACKAGE==VERSION!FILE"),
    ],
)
def test_pypi_failures_say_why(tmp_path: Path, local_index: Path, origin: str, reason: str) -> None:
    wheel(local_index, CONTENT)
    with pytest.raises(SourceError, match=reason):
        fetch(source(origin), tmp_path / "raw" / "rows.csv", None)


def test_npm_packs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "rows.csv").write_bytes(CONTENT)
    (package / "package.json").write_text('{"name": "assay-test-rows", "version": "1.0.0"}')
    try:
        subprocess.run(["npm", "--version"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        from tests.conftest import missing

        missing("npm is not installed")
    # A folder stands in for the registry: npm packs `name@file:folder` as it packs a version.
    fetch(source(f"npm:assay-test-rows@file:{package}!rows.csv"), tmp_path / "raw" / "rows.csv", None)
    assert (tmp_path / "raw" / "rows.csv").read_bytes() == CONTENT


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, fails twice before `/flaky`, and cuts `/short` short."""

    failures = 2

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be silent."""

    def do_GET(self) -> None:
        if self.path == "/flaky" and Handler.failures:
            Handler.failures -= 1
            self.send_error(503)
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100])
        elif self.path == "/flaky":
            self.path = "/rows.csv"
            super().do_GET()
        else:
            super().do_GET()


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real https server on loopback, whose certificate this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = _certificate(key, name, now)
    pem = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setattr(origins, "PAUSE_SECONDS", 0)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "rows.csv").write_bytes(CONTENT)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "www"))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _certificate(key: ec.EllipticCurvePrivateKey, name: x509.Name, now: dt.datetime) -> x509.Certificate:
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )


def test_https_is_downloaded(tmp_path: Path, https: str) -> None:
    fetch(source(f"{https}/rows.csv"), tmp_path / "raw" / "rows.csv", None)
    assert only_the_file(tmp_path / "raw")


def test_https_tries_again_after_a_server_error(
    tmp_path: Path, https: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "failures", 2)
    fetch(source(f"{https}/flaky"), tmp_path / "raw" / "rows.csv", None)
    monkeypatch.setattr(Handler, "failures", 3)
    with pytest.raises(SourceUnreachable, match=r"503.*tried 3 times"):
        fetch(source(f"{https}/flaky"), tmp_path / "raw" / "other.csv", None)


def test_https_short_answer_is_noticed(tmp_path: Path, https: str) -> None:
    with pytest.raises(SourceUnreachable, match=r"cut short: 8000 bytes are expected, 100 came"):
        fetch(source(f"{https}/short"), tmp_path / "raw" / "rows.csv", None)
    assert not list((tmp_path / "raw").iterdir())


def test_https_missing_page_is_no_network_error(tmp_path: Path, https: str) -> None:
    with pytest.raises(SourceError, match="404") as caught:
        fetch(source(f"{https}/none"), tmp_path / "raw" / "rows.csv", None)
    assert not isinstance(caught.value, SourceUnreachable)


@pytest.mark.parametrize("origin", ["project.tar.gz", "mirror.tar.xz"])
def test_members_of_an_archive_are_kept_alone(tmp_path: Path, origin: str) -> None:
    packed = {f"project-1a2b/{name}": content for name, content in FILES.items()} | {"README.md": b"more"}
    archive = tar(tmp_path / origin, packed, f"w:{origin[-2:]}", mtime=7)
    kept = tar(tmp_path / "kept.tar", {"c.txt": b"two"})
    wanted = Source(
        name="rows.tar",
        sha256=digest_archive(kept),
        part="all",
        origins=[archive.as_uri()],
        members=r"c\.txt$",
    )
    fetch(wanted, tmp_path / "raw" / "rows.tar", None)
    assert (tmp_path / "raw" / "rows.tar").read_bytes() == kept.read_bytes()
    other = wanted.model_copy(update={"members": r"\w\.txt$"})
    with pytest.raises(SourceError, match=f"sha256 {wanted.sha256} is expected"):
        fetch(other, tmp_path / "raw" / "rows.tar", None)


def test_members_are_of_a_tar() -> None:
    with pytest.raises(ValueError, match=r"`members` is for a source whose name ends in \.tar"):
        Source(name="rows.zip", sha256="0" * 64, part="all", origins=["file:/x"], members="x")
    with pytest.raises(ValueError, match="a regular expression is expected"):
        Source(name="rows.tar", sha256="0" * 64, part="all", origins=["file:/x"], members="(")


def test_a_folder_is_packed_and_pinned_by_what_it_holds(tmp_path: Path) -> None:
    folder, raw = write_folder(tmp_path / "mirror" / "deep" / "pets"), tmp_path / "raw" / "pets.tar"
    wrong = source(folder.as_uri(), name="pets.tar", digest="0" * 64)
    digest = digest_archive(tar(tmp_path / "hand.tar", FILES))
    with pytest.raises(SourceError, match=f"sha256 {'0' * 64} is expected, found {digest}"):
        fetch(wrong, raw, None)
    pinned = wrong.model_copy(update={"sha256": digest})
    fetch(pinned, raw, None)
    content = raw.read_bytes()
    nowhere = pinned.model_copy(update={"origins": ["file:/nowhere"]})
    fetch(nowhere, tmp_path / "other" / "pets.tar", tmp_path / "mirror")
    assert (tmp_path / "other" / "pets.tar").read_bytes() == content
    (folder / "a.txt").write_bytes(b"other")
    with pytest.raises(SourceError, match=f"mirror/deep/pets: sha256 {digest} is expected"):
        fetch(nowhere, raw, tmp_path / "mirror")
    assert raw.read_bytes() == content


def test_a_folder_needs_a_source_that_is_a_tar(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pets")
    with pytest.raises(SourceError, match=r"a source name that ends in \.tar is expected, found 'rows\.csv'"):
        fetch(source(folder.as_uri()), tmp_path / "raw" / "rows.csv", None)

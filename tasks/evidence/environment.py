"""What a result depends on beside plan and data: code, lock, commit, interpreter and machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path

from tasks.evidence.digest import canonical_json, digest_file, digest_of, write_atomically
from tasks.evidence.records import Record

ROOT = Path(__file__).resolve().parents[2]  # where flows/, tasks/ and the lock stand
LOCK = "requirements.lock"


class Environment(Record):
    """The environment of a run; equal for two runs of the same code on the same machine.

    Attributes:
        code: `code_digest`.
        lock: SHA-256 of the lock file, None when installed without one.
        commit: git commit of the code, None outside a checkout.
        dirty: whether tracked files differ from the commit (the patch is in the dossier).
        python: version of the interpreter.
        platform: operating system and processor.
        cpu: the processor's model: what float results may depend on.
        cpus: number of processors.
        packages: SHA-256 of environment.json, which names every installed package.
    """

    code: str
    lock: str | None
    commit: str | None
    dirty: bool
    python: str
    platform: str
    cpu: str
    cpus: int
    packages: str


def describe_environment(folder: Path) -> Environment:
    """Describe the running interpreter, its packages and the code's state.

    Leaves environment.json and, if tracked files differ from the commit, dirty.patch in ``folder``.
    """
    lock = ROOT / LOCK
    packages = canonical_json(dict(sorted(_packages()))) + b"\n"
    write_atomically(folder / "environment.json", packages)
    patch = dirty_patch()
    if patch:
        write_atomically(folder / "dirty.patch", patch)
    return Environment(
        code=code_digest(),
        lock=digest_file(lock) if lock.is_file() else None,
        commit=_git("rev-parse", "HEAD") or None,
        dirty=bool(patch),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_model(),
        cpus=os.cpu_count() or 1,
        packages=hashlib.sha256(packages).hexdigest(),
    )


def code_digest() -> str:
    """SHA-256 over the tracked files below flows/ and tasks/ and the lock, as they are on disk.

    Outside a checkout every Python file there counts.
    """
    listed = _git("ls-files", "flows", "tasks", LOCK).splitlines()
    if not listed:
        listed = [
            p.relative_to(ROOT).as_posix()
            for room in ("flows", "tasks")
            for p in ROOT.glob(f"{room}/**/*.py")
        ]
    digests = {name: digest_file(ROOT / name) for name in sorted(listed) if (ROOT / name).is_file()}
    return digest_of(digests)


def dirty_patch() -> bytes:
    """What tracked files below flows/, tasks/ and the lock have beyond the commit, as a patch."""
    return _git_bytes("diff", "--binary", "HEAD", "--", "flows", "tasks", "infra", LOCK)


def _packages() -> list[tuple[str, str]]:
    described = (found.metadata for found in distributions())  # each access reads and parses the file anew
    return [(one["Name"].lower().replace("_", "-"), one["Version"]) for one in described]


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    return _git_bytes(*arguments).decode().strip()


def _git_bytes(*arguments: str) -> bytes:
    """Output of git in the code's folder; empty where there is no git or no checkout."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""

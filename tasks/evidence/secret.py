"""A secret in a file that is its owner's alone: made once, refused where others may read it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tasks.errors import PlanError


def read_secret(path: Path, new: Callable[[], bytes] | None = None) -> bytes:
    """What a file of a secret holds.

    Args:
        path: of the file.
        new: gives what a file that is not there is made with; None: it is there.

    Raises:
        PlanError: others may read it, or it is no file.
    """
    if new is not None and not (path.exists() or path.is_symlink()):
        return made_once(path, new())
    if not path.is_file():
        raise PlanError(str(path), ["a file is expected, found a folder, or a link that leads to none"])
    if mode := path.stat().st_mode & 0o077:
        raise PlanError(str(path), [f"others may read it (mode ...{mode:03o}): `chmod 600 {path}`"])
    return path.read_bytes()


def made_once(path: Path, content: bytes) -> bytes:
    """Write a new secret, mode 0600 from its first byte, its folder 0700; of two at once the first counts.

    Returns:
        What the file holds: ``content``, or what another process wrote just before.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    # A random name: a process that was killed leaves its file, and in containers numbers of processes recur.
    descriptor, temporary = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        return path.read_bytes()
    finally:
        Path(temporary).unlink()
    return content

"""Small archives, for tests of what is read from them."""

import io
import tarfile
import zipfile
from pathlib import Path


def tar(path: Path, files: dict[str, bytes], mode: str = "w", mtime: int = 0, prefix: str = "") -> Path:
    """A tar of these files, in their order."""
    with tarfile.open(path, mode) as bundle:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mtime = len(content), mtime
            bundle.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """A zip of these files, in their order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return path

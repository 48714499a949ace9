"""Fetch a source: from the mirror or its origins, accepted by its SHA-256 alone."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tasks.errors import SourceAbsent, SourceError, SourceUnreachable
from tasks.evidence.records import FileRef
from tasks.ingest.archive import (
    COMPRESSED_ENDINGS,
    DAMAGE,
    PIECE,
    digest_archive,
    is_archive,
    pack,
    pieces,
    repack,
)
from tasks.ingest.origins import obtain
from tasks.plan.source import Source


def fetch(
    source: Source, destination: Path, mirror: Path | None, pinned: Callable[[str], str] = str
) -> FileRef:
    """Bring a source to ``destination``, decompressed; nothing half-written is ever left there.

    The mirror comes first (searched recursively for the name, also with .gz, .xz, .bz2), then
    each origin in order. Wherever it comes from, only the pinned hash is accepted. A folder, in the
    mirror or of a ``file:`` origin, is packed as a tar.

    Args:
        source: what is wanted.
        destination: the file to write.
        mirror: a folder with copies, or None.
        pinned: from a file's SHA-256 to what the plan pins it by: the same, or a keyed hash of it.

    Returns:
        The file as written; its path is ``destination``.

    Raises:
        SourceAbsent: if nothing is at any place; each is listed with its reason.
        SourceUnreachable: likewise, but one of them may answer later.
        SourceError: if a place gave other bytes than the plan pins; names both hashes.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    failures: list[SourceError] = []
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=destination.parent) as scratch:
        places: list[Path | str] = [*_copies(source.name, mirror), *source.origins]
        for number, place in enumerate(places):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            try:
                obtained = place if isinstance(place, Path) else obtain(place, folder)
                obtained = _packed(source, obtained, folder)
                return _accept(source, obtained, destination, folder / "accepted", pinned)
            except SourceError as error:
                failures.append(type(error)(f"{place}: {error}"))
    raise _all_failed(source, failures)


def _copies(name: str, mirror: Path | None) -> list[Path]:
    """What of the mirror may be this file, by name: files, then folders; sorted, so that runs agree."""
    if mirror is None:
        return []
    endings = ("", *COMPRESSED_ENDINGS)
    wanted = {name + ending for ending in endings}
    files = sorted(path for path in mirror.rglob(f"{name}*") if path.name in wanted and path.is_file())
    folder = name.removesuffix(".tar")
    unpacked = mirror.rglob(folder) if folder != name else ()
    return [*files, *sorted(path for path in unpacked if path.is_dir())]


def _packed(source: Source, obtained: Path, folder: Path) -> Path:
    """What was obtained, or the tar of a folder."""
    if not obtained.is_dir():
        return obtained
    if not source.name.endswith(".tar"):
        raise SourceError(
            f"this is a folder, which is packed as a tar; so a source name that ends in .tar is expected, "
            f"found {source.name!r}"
        )
    tar = folder / "packed"
    pack(obtained, tar)
    return tar


def _unpacked(source: Source, obtained: Path, folder: Path) -> Path:
    """What was obtained, or the plan's members of it."""
    if source.members is None:
        return obtained
    chosen = folder / "members"
    repack(obtained, source.members, chosen)
    return chosen


def _accept(
    source: Source, obtained: Path, destination: Path, temporary: Path, pinned: Callable[[str], str]
) -> FileRef:
    """Decompress, compare the hash, and only then let the file take its name."""
    archive = is_archive(source.name)
    digest = hashlib.sha256()
    try:
        unpacked = _unpacked(source, obtained, temporary.parent)
        with temporary.open("wb") as handle, unpacked.open("rb") as raw:
            for piece in iter(lambda: raw.read(PIECE), b"") if archive else pieces(unpacked):
                digest.update(piece)
                handle.write(piece)
            handle.flush()
            os.fsync(handle.fileno())
    except DAMAGE as error:
        raise SourceError(f"cut short or altered: it can't be decompressed ({error})") from error
    named = temporary.rename(temporary.with_name(source.name))
    found = pinned(digest_archive(named) if archive else digest.hexdigest())
    if found != source.sha256:
        size = named.stat().st_size
        what = f"({size} bytes)" if size else "which is empty (0 bytes)"
        raise SourceError(f"sha256 {source.sha256} is expected, found {found} {what}")
    named.replace(destination)
    return FileRef(path=destination.as_posix(), sha256=digest.hexdigest(), bytes=destination.stat().st_size)


def _all_failed(source: Source, failures: list[SourceError]) -> SourceError:
    """One error for all places; unreachable only if every place was, absent only if all were."""
    lines = "".join(f"\n  - {failure}" for failure in failures)
    if all(isinstance(failure, SourceAbsent | SourceUnreachable) for failure in failures):
        later = any(isinstance(failure, SourceUnreachable) for failure in failures)
        return (SourceUnreachable if later else SourceAbsent)(
            f"{source.name}: no origin could be reached{lines}\n"
            "Check the network and the index settings, or put the file into the folder that "
            "ASSAY_MIRROR names."
        )
    return SourceError(
        f"{source.name}: no place holds the file that the plan pins{lines}\n"
        "If the source has a new version, review it and pin its sha256 in the plan; otherwise distrust it."
    )

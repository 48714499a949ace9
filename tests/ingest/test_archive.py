"""Archives are pinned by what they hold, not by how they were packed."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tasks.errors import SourceError
from tasks.evidence.digest import digest_of
from tasks.ingest.archive import digest_archive

from .conftest import sha256

FILES = {"a.txt": b"one", "b/c.txt": b"two"}


def tar(path: Path, files: dict[str, bytes], mode: str = "w", mtime: int = 0, prefix: str = "") -> Path:
    with tarfile.open(path, mode) as bundle:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mtime = len(content), mtime
            bundle.addfile(info, io.BytesIO(content))
    return path


def test_digest_is_that_of_the_sorted_list(tmp_path: Path) -> None:
    expected = digest_of([["a.txt", sha256(b"one")], ["b/c.txt", sha256(b"two")]])
    backwards = dict(reversed(FILES.items()))
    assert digest_archive(tar(tmp_path / "a.tar", FILES)) == expected
    assert digest_archive(tar(tmp_path / "b.tar.xz", backwards, "w:xz", mtime=99, prefix="./")) == expected
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in backwards.items():
            bundle.writestr(name, content)
    assert digest_archive(tmp_path / "c.zip") == expected


@pytest.mark.parametrize(
    "files", [{"a.txt": b"onf", "b/c.txt": b"two"}, {"a.txt": b"one"}, {"A.txt": b"one", "b/c.txt": b"two"}]
)
def test_any_change_of_a_member_changes_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert digest_archive(tar(tmp_path / "a.tar", files)) != digest_archive(tar(tmp_path / "b.tar", FILES))


def test_truncated_archive_is_named(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", {"a": bytes(range(256)) * 99}, "w:gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"a\.tar\.gz: not a whole archive"):
        digest_archive(path)


def test_links_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as bundle:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(info)
    with pytest.raises(SourceError, match="link is a link or a device"):
        digest_archive(tmp_path / "a.tar")

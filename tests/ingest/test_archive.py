"""Archives are pinned by what they hold, not by how they were packed."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tasks.errors import SourceError
from tasks.evidence.digest import digest_of
from tasks.ingest.archive import digest_archive, files_in, repack

from .archives import tar, zipped
from .conftest import sha256

FILES = {"a.txt": b"one", "b/c.txt": b"two"}


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


def test_repacking_keeps_the_members_alone_and_gives_the_same_bytes(tmp_path: Path) -> None:
    files = {"recordings/b.wav": b"two", "recordings/a.wav": b"one", "README.md": b"of recordings"}
    packed = [
        tar(tmp_path / "github", files, "w:gz", mtime=5, prefix="project-26eb9aaf/"),
        tar(tmp_path / "mirror", dict(reversed(files.items())), "w:xz"),
        zipped(tmp_path / "zip", files),
    ]
    for i, archive in enumerate(packed):
        repack(archive, r"recordings/\w+\.wav$", tmp_path / f"{i}.tar")
    assert len({(tmp_path / f"{i}.tar").read_bytes() for i in range(3)}) == 1
    assert [name for name, _ in files_in(tmp_path / "0.tar")] == ["recordings/a.wav", "recordings/b.wav"]
    named = [["recordings/a.wav", sha256(b"one")], ["recordings/b.wav", sha256(b"two")]]
    assert digest_archive(tmp_path / "0.tar") == digest_of(named)


def test_repacking_nothing_or_a_name_twice_is_refused(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar", {"one/a.wav": b"1", "two/a.wav": b"2"})
    with pytest.raises(SourceError, match=r"holds no file that fits `members` '\\\\\.mp3\$'"):
        repack(archive, r"\.mp3$", tmp_path / "b.tar")
    with pytest.raises(SourceError, match=r"holds a\.wav more than once"):
        repack(archive, r"\w\.wav$", tmp_path / "b.tar")

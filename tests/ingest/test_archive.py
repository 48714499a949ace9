"""Archives are pinned by what they hold, not by how they were packed."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tasks.errors import SourceError
from tasks.evidence.digest import digest_of
from tasks.ingest.archive import digest_archive, files_in, pack, repack

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


@pytest.mark.parametrize(("place", "what"), [(8, 1), (10, 77)])  # encrypted; packed in a way unknown here
def test_zip_that_this_program_cannot_read_is_named(tmp_path: Path, place: int, what: int) -> None:
    path = zipped(tmp_path / "zip", {"a.txt": b"one"})
    content = bytearray(path.read_bytes())
    for start, shift in ((content.index(b"PK\x03\x04"), -2), (content.index(b"PK\x01\x02"), 0)):
        content[start + place + shift] = what
    path.write_bytes(content)
    with pytest.raises(SourceError, match="not a whole archive"):
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


def write_folder(top: Path) -> Path:
    for name, content in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return top


def test_a_folder_is_packed_to_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    first, second = write_folder(tmp_path / "one"), write_folder(tmp_path / "deep" / "two")
    (second / "a.txt").chmod(0o600)
    os.utime(second / "a.txt", (1, 1))
    (second / "empty").mkdir()
    for folder in (first, second):
        pack(folder, tmp_path / f"{folder.name}.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert list(files_in(tmp_path / "one.tar")) == sorted(FILES.items())
    assert digest_archive(tmp_path / "one.tar") == digest_archive(tar(tmp_path / "hand.tar", FILES, mtime=7))


def test_a_folder_of_nothing_or_with_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none" / "below").mkdir(parents=True)
    with pytest.raises(SourceError, match="none holds no file"):
        pack(tmp_path / "none", tmp_path / "a.tar")
    for target in ("a.txt", "b"):  # to a file, and to a folder
        folder = write_folder(tmp_path / f"linked {target}")
        (folder / "link").symlink_to(folder / target)
        with pytest.raises(SourceError, match="'link' is a link or a device; only files are expected"):
            pack(folder, tmp_path / "a.tar")


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Different names would become one label."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as bundle:
        bundle.addfile(tarfile.TarInfo("caf\xe9/1.png"))
    for use in (digest_archive, lambda archive: list(files_in(archive))):
        with pytest.raises(SourceError, match=r"the path 'caf\\udce9/1\.png' is not UTF-8; rename the file"):
            use(path)

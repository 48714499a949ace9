"""What remembers publications: damaged, asked in other words, or left half written by a killed process."""

import os
import stat
from pathlib import Path

import pytest

from tasks.audit.once import claim
from tasks.audit.publishing import Wish
from tasks.errors import PlanError
from tasks.evidence.secret import made_once


@pytest.mark.parametrize("content", [b"", b'{"mark": "1', b"[]", b'{"mark": "1"}', b"\xff"])
def test_a_damaged_record_of_what_was_published_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"published/{'a' * 64}.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        PlanError, match=rf"{path}: 1 problem\n  - the record of how rows .* restore it from a copy"
    ):
        claim(tmp_path, ["0" * 64, "a" * 64], "1", "adult: suppressed")
    assert [*path.parent.iterdir()] == [path]  # nothing is on record of the other file


def test_a_refusal_says_what_differs(tmp_path: Path) -> None:
    first = Wish(tmp_path, 1.0, rows_per_person=1).words
    claim(tmp_path, ["a" * 64], "1", first)
    claim(tmp_path, ["a" * 64], "1", first)
    with pytest.raises(PlanError, match=r"before: .* 1 row per person.*now asked for: .* 2 rows per person"):
        claim(tmp_path, ["a" * 64], "2", Wish(tmp_path, 1.0, rows_per_person=2).words)
    with pytest.raises(PlanError, match="of other counts"):
        claim(tmp_path, ["a" * 64], "3", first)


def test_a_killed_process_blocks_no_secret(tmp_path: Path) -> None:
    """In a container the next process may have its number."""
    path, left = tmp_path / "a.key", tmp_path / f".a.key.{os.getpid()}.tmp"
    left.write_bytes(b"half")
    assert made_once(path, b"mine") == b"mine"
    assert made_once(path, b"other") == b"mine"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == [left, path]

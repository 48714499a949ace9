"""What remembers publications: damaged, asked in other words, or left half written by a killed process."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tasks.audit import once
from tasks.audit.once import Claim, admitted, claim
from tasks.audit.publishing import Wish
from tasks.errors import PlanError
from tasks.evidence.secret import made_once, read_secret


def asked(mark: str, epsilon: float | None, **more: Any) -> Claim:
    return Claim(
        **{"mark": mark, "told": mark, "rows_per_person": 1, "epsilon": epsilon, "total": None, **more}
    )


def keep(var: Path, rows: list[str], wanted: Claim) -> float | None:
    """Publish as far as the record goes; the total that is told."""
    found = admitted(var, rows, wanted)
    claim(var, rows, found)
    return found.total


@pytest.mark.parametrize("content", [b"", b'{"mark": "1', b"[]", b'{"mark": "1"}', b"\xff"])
def test_a_damaged_record_of_what_was_published_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"published/{'a' * 64}.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        PlanError, match=rf"{path}: 1 problem\n  - the record of how rows .* restore it from a copy"
    ):
        keep(tmp_path, ["0" * 64, "a" * 64], asked("1", None))
    assert [*path.parent.iterdir()] == [path]  # nothing is on record of the other file


def test_a_refusal_says_what_differs(tmp_path: Path) -> None:
    first, other = (Wish(tmp_path, 1.0, rows_per_person=rows).words for rows in (1, 2))
    keep(tmp_path, ["a" * 64], asked("1", 1.0, told=first))
    keep(tmp_path, ["a" * 64], asked("1", 1.0, told=first))
    with pytest.raises(PlanError, match=r"before: .* 1 row per person.*now asked for: .* 2 rows per person"):
        keep(tmp_path, ["a" * 64], asked("2", 1.0, rows_per_person=2, told=other))
    with pytest.raises(PlanError, match="of other counts"):
        keep(tmp_path, ["a" * 64], asked("3", 1.0, told=first))


def test_rows_are_published_until_their_total_is_spent(tmp_path: Path) -> None:
    """Pure epsilons add up over the people of a source, whichever of its prepared parts was counted."""
    source, january, february = ("s" * 64, "1" * 64, "2" * 64)
    keep(tmp_path, [january, source], asked("1", 0.1, total=0.3))
    assert keep(tmp_path, [february, source], asked("2", 0.1)) == 0.3
    assert keep(tmp_path, [february, source], asked("2", 0.1)) == 0.3
    before = {path: path.read_bytes() for path in (tmp_path / "published").iterdir()}
    for refused, reason in (
        (asked("3", 0.11), r"Epsilon 0\.2 of 0\.3 in all is spent"),
        (asked("3", 0.1, total=0.4), "Their total epsilon, 0.3, was stated with the first"),
        (asked("2", 0.1, total=0.4), "Their total epsilon, 0.3, was stated with the first"),
        (asked("3", 0.1, rows_per_person=2), "as many rows per person"),
        (asked("3", None), "so rows are published once"),
    ):
        for rows in (source, january):
            with pytest.raises(PlanError, match=reason if rows == source else "."):
                keep(tmp_path, ["9" * 64, rows, source], refused)
    assert {path: path.read_bytes() for path in (tmp_path / "published").iterdir()} == before
    keep(tmp_path, [source], asked("3", 0.1))  # three tenths are three tenths, and not a float more
    with pytest.raises(PlanError, match=r"delete it and then .*s\.3\.json"):
        keep(tmp_path, [source], asked("4", 1e-6))


def test_a_smaller_total_of_one_source_stays(tmp_path: Path) -> None:
    keep(tmp_path, ["a" * 64], asked("1", 1.0, total=4.0))
    keep(tmp_path, ["b" * 64], asked("2", 1.0, total=2.0))
    assert keep(tmp_path, ["a" * 64, "b" * 64], asked("3", 1.0)) == 4  # what is promised to people of both
    with pytest.raises(PlanError, match="Epsilon 2 of 2 in all is spent"):
        keep(tmp_path, ["a" * 64, "b" * 64], asked("4", 1.0))
    keep(tmp_path, ["a" * 64], asked("4", 1.0))


def test_suppressed_counts_are_published_once(tmp_path: Path) -> None:
    keep(tmp_path, ["a" * 64], asked("1", None))
    keep(tmp_path, ["a" * 64], asked("1", None))
    for other in (asked("2", None), asked("2", 0.1), asked("2", 0.1, total=4.0)):
        with pytest.raises(PlanError, match="so rows are published once"):
            keep(tmp_path, ["a" * 64], other)


def test_a_record_from_before_there_was_a_total_leaves_room_for_nothing(tmp_path: Path) -> None:
    made_once(tmp_path / f"published/{'a' * 64}.json", b'{"mark": "1", "told": "noised, epsilon 1.0"}')
    for other in (asked("2", None), asked("2", 1e-6, total=9.0)):
        with pytest.raises(PlanError, match=r"before: noised, epsilon 1[.]0.*so rows are published once"):
            keep(tmp_path, ["a" * 64], other)


def test_a_record_that_lacks_a_line_is_refused(tmp_path: Path) -> None:
    """Else whoever deletes an early line could spend it again."""
    for mark in "123":
        keep(tmp_path, ["a" * 64], asked(mark, 1.0, total=9.0))
    (tmp_path / f"published/{'a' * 64}.2.json").unlink()
    with pytest.raises(PlanError, match="not whole"):
        keep(tmp_path, ["a" * 64], asked("4", 1.0))


def test_of_two_processes_at_once_the_total_is_spent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were admitted before either was on record."""
    names, mine = ["a" * 64], asked("1", 1.0)
    first, second = (admitted(tmp_path, names, one) for one in (mine, asked("2", 1.0)))
    claim(tmp_path, names, first)
    with pytest.raises(PlanError, match="Epsilon 1 of 1 in all is spent"):
        claim(tmp_path, names, second)
    late = asked("3", 1.0, total=2.0)
    admitted_late = admitted(tmp_path, ["b" * 64], late)
    held = once._held

    def overtaken(path: Path) -> list[Claim]:
        monkeypatch.setattr(once, "_held", held)
        found = held(path)
        claim(tmp_path, ["b" * 64], admitted(tmp_path, ["b" * 64], asked("4", 1.5, total=2.0)))
        return found

    monkeypatch.setattr(once, "_held", overtaken)
    with pytest.raises(PlanError, match=r"Epsilon 1\.5 of 2 in all is spent"):
        claim(tmp_path, ["b" * 64], admitted_late)


def test_a_killed_process_blocks_no_secret(tmp_path: Path) -> None:
    """In a container the next process may have its number."""
    path, left = tmp_path / "a.key", tmp_path / f".a.key.{os.getpid()}.tmp"
    left.write_bytes(b"half")
    assert made_once(path, b"mine") == b"mine"
    assert made_once(path, b"other") == b"mine"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == [left, path]


def test_a_total_that_another_process_stated_since_is_not_told_as_less(tmp_path: Path) -> None:
    ours = admitted(tmp_path, ["rows"], asked("ours", 1.0))
    claim(tmp_path, ["rows"], admitted(tmp_path, ["rows"], asked("theirs", 1.0, total=3.0)))
    with pytest.raises(PlanError, match="total epsilon, 3, was stated with the first"):
        claim(tmp_path, ["rows"], ours)
    claim(tmp_path, ["rows"], admitted(tmp_path, ["rows"], asked("ours", 1.0)))


def test_a_secret_that_is_a_folder_or_leads_nowhere_is_refused_and_not_made(tmp_path: Path) -> None:
    """As where the disk that holds it is not mounted: a new one would give other noise, and other tokens."""
    path = tmp_path / "a.key"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlanError, match="a link that leads to none"):
        read_secret(path, lambda: b"new")
    path.unlink()
    path.mkdir()
    with pytest.raises(PlanError, match="found a folder"):
        read_secret(path, lambda: b"new")
    assert list(tmp_path.iterdir()) == [path]

"""A client that hangs, or ends, before it has said where it listens."""

from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import pytest

from tasks.errors import AssayError
from tasks.privacy import processes


def test_a_client_that_hangs_at_its_start_is_named_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "STARTED_WITHIN", 0.01)
    ours, theirs = Pipe()
    with ours, pytest.raises(AssayError, match=r"process of client 3 did not answer within 0\.01 s"):
        processes._port(3, ours)
    theirs.close()


def test_a_client_whose_server_was_killed_leaves_no_rows(tmp_path: Path) -> None:
    rows = tmp_path / "1" / "rows"
    rows.parent.mkdir()
    rows.write_bytes(b"of this client")
    ours, theirs = Pipe()
    ours.close()  # as the system does for a process that is killed
    with theirs, suppress(BrokenPipeError):
        processes.answer(lambda _: None, rows.parent, theirs)  # type: ignore[arg-type,return-value]
    assert not rows.parent.exists()


def test_a_client_that_ended_is_named() -> None:
    ours, theirs = Pipe()
    theirs.close()
    with ours, pytest.raises(AssayError, match="process of client 2 did not start"):
        processes._port(2, ours)

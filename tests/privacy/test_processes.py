"""A client that hangs, or ends, before it has said where it listens."""

from multiprocessing import Pipe

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


def test_a_client_that_ended_is_named() -> None:
    ours, theirs = Pipe()
    theirs.close()
    with ours, pytest.raises(AssayError, match="process of client 2 did not start"):
        processes._port(2, ours)

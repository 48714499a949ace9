"""A full disk: no partial file is left, and what was whole before stays whole."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.evidence.digest import digest_file
from tasks.model.predictor import Predictor
from tasks.train.checkpoint import NAME
from tasks.train.frozen import freeze
from tasks.train.loop import State
from tests.train.conftest import Sample
from tests.train.test_train import run


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_no_room_for_a_checkpoint(sample: Sample, tmp_path: Path) -> None:
    with files_of_at_most(4096), pytest.raises(OSError, match="File too large"):
        run(sample, tmp_path)
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "checkpoints"])


def test_no_room_after_some_epochs_leaves_whole_checkpoints(sample: Sample, tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def fill(state: State) -> None:
        if len(state.history) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    with files_of_at_most(hard), pytest.raises(OSError, match="File too large"):
        run(sample, tmp_path, callbacks=[fill])
    left = list((tmp_path / "checkpoints").iterdir())
    assert len(left) == 2
    for path in left:
        named = NAME.fullmatch(path.name)
        assert named
        assert digest_file(path) == named[2]
    assert not (tmp_path / "model").exists()
    assert run(sample, tmp_path).resumed_from == 2


def test_no_room_for_the_frozen_model(sample: Sample, tmp_path: Path) -> None:
    run(sample, tmp_path)
    predictor = Predictor.load(tmp_path / "model")
    with files_of_at_most(4096), pytest.raises(OSError, match="File too large"):
        freeze(predictor, tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())

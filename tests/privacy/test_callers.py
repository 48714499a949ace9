"""Budgets of callers: kept over processes, charged for repeats, and no way to average the noise away."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.model.callers import AnswerRefusedError, caller_of, charge, ledger_path
from tasks.model.noise import RandomisedResponse

NOISE = RandomisedResponse(0.1, 1.0, 2, "adult")


def test_a_budget_runs_out_for_one_caller_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "callers.db"
    key = charge(ledger, "ann", 7, NOISE)
    assert len(key) == 32
    with pytest.raises(
        AnswerRefusedError, match=r"epsilon 0.3 of 1 left .* 3 answers at 0.1 each; 4 were asked"
    ):
        charge(ledger, "ann", 4, NOISE)
    assert charge(ledger, "ann", 3, NOISE) == key  # ten tenths are one whole, and a refusal cost nothing
    with pytest.raises(AnswerRefusedError, match="0 answers"):
        charge(ledger, "ann", 1, NOISE)
    assert charge(ledger, "bob", 10, NOISE) == key
    assert charge(ledger, "ann", 10, replace(NOISE, model="another")) == key
    # A later version of the model, at another epsilon, goes on with what is left of the same budget.
    with pytest.raises(AnswerRefusedError, match=r"1\.5 of 2.5 left .* 1 answers"):
        charge(ledger, "ann", 2, replace(NOISE, epsilon=1.0, budget=2.5))
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    assert charge(tmp_path / "other.db", "ann", 1, NOISE) != key  # from the operating system, not from a seed


def _spend(path: Path) -> int:
    """Answers of one process until it is refused."""
    given = 0
    try:
        while True:
            charge(path, "ann", 1, NOISE)
            given += 1
    except AnswerRefusedError:
        return given


def _in_processes(path: Path) -> list[int]:
    with get_context("fork").Pool(2) as pool:
        return pool.map(_spend, [path, path], chunksize=1)


def _in_threads(path: Path) -> list[int]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(_spend, [path] * 4))


@pytest.mark.parametrize("together", [_in_processes, _in_threads])
def test_two_processes_share_a_ledger(together: Callable[[Path], list[int]], tmp_path: Path) -> None:
    assert sum(together(tmp_path / "callers.db")) == 10


@pytest.mark.parametrize(
    "params", [None, {}, {"caller": ""}, {"caller": " "}, {"caller": 3}, {"caller": "a" * 201}]
)
def test_nobody_is_answered(params: Any) -> None:
    with pytest.raises(AnswerRefusedError, match=r"params=\{'caller': NAME\}"):
        caller_of(params)


def test_without_a_ledger_nothing_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASSAY_CALLERS", raising=False)
    with pytest.raises(AnswerRefusedError, match="set ASSAY_CALLERS"):
        ledger_path()
    monkeypatch.setenv("ASSAY_CALLERS", str(tmp_path))
    with pytest.raises(AnswerRefusedError, match="can't be written"):
        charge(ledger_path(), "ann", 1, NOISE)
    (tmp_path / "torn.db").write_bytes(b"no database" * 100)
    with pytest.raises(AnswerRefusedError, match="can't be written"):
        charge(tmp_path / "torn.db", "ann", 1, NOISE)


def test_asking_again_takes_no_noise_off(tmp_path: Path) -> None:
    """The majority of 60 answers to one question is worth one of them; of fresh noise it would tell."""
    made, decided = replace(NOISE, epsilon=1.0, budget=1e6), np.arange(400) % 2
    key = charge(tmp_path / "callers.db", "ann", 60 * 400, made)
    rows = [str(row).encode() for row in range(400)]
    repeated = np.mean([made.told(decided, key, rows) for _ in range(60)], axis=0).round()
    fresh = np.mean([made.told(decided, bytes([i]), rows) for i in range(60)], axis=0).round()
    deviation = np.sqrt(made.keep * (1 - made.keep) / 400)
    assert abs((repeated == decided).mean() - made.keep) < 4 * deviation
    assert (fresh == decided).mean() > 0.99

"""The ledger of callers: what each has spent of its budget, and the secret key of their noise, in SQLite.

Whoever serves a model that answers with noise names the file (`ASSAY_CALLERS`) and keeps it: without it
nothing is answered, and who can read it can take the noise off. Several processes may share it; each charge
is one transaction.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

from .noise import RandomisedResponse

SETTING = "ASSAY_CALLERS"
MILLION = 1_000_000
"""Epsilons are added up in millionths, in whole numbers: each answer's rounded up, the budget down."""
LONGEST = 200
WAIT_SECONDS = 30.0

TABLES = (
    "create table if not exists secret (one integer primary key check (one = 1), key blob not null)",
    """create table if not exists spent
    (model text, caller text, millionths integer not null, primary key (model, caller))""",
)


class AnswerRefusedError(ValueError):
    """No answer is given: nobody to charge it to, nowhere to charge it, or nothing left to spend."""


def caller_of(params: object) -> str:
    """Who asks, of the parameters given with the rows.

    Raises:
        AnswerRefusedError: nobody is named.
    """
    caller = params.get("caller") if isinstance(params, dict) else None
    if not isinstance(caller, str) or not caller.strip() or len(caller) > LONGEST:
        raise AnswerRefusedError(
            "this model answers with noise, on a budget for each caller: `params={'caller': NAME}` is "
            f"expected, a name of at most {LONGEST} characters, set by what authenticates the caller"
        )
    return caller


def ledger_path() -> Path:
    """The file that the environment names.

    Raises:
        AnswerRefusedError: it names none.
    """
    if not (named := os.environ.get(SETTING)):
        raise AnswerRefusedError(
            f"this model answers with noise, on a budget for each caller: set {SETTING} to the SQLite file "
            "in which budgets are kept; every process that serves the model needs the same one"
        )
    return Path(named)


def charge(path: Path, caller: str, answers: int, noise: RandomisedResponse) -> bytes:
    """Charge answers to a caller, all or none, and return the key of the noise.

    Every answer is charged, also to a question that was asked before: a list of what was asked would be
    one more thing to protect.

    Args:
        path: the ledger; made, readable for its owner alone, if it is not there yet.
        caller: who asks.
        answers: how many rows.
        noise: says what an answer costs, what the budget is, and of which model.

    Raises:
        AnswerRefusedError: the budget does not have it; or the ledger can't be opened or written.
    """
    cost = answers * ceil(Fraction(str(noise.epsilon)) * MILLION)
    budget = floor(Fraction(str(noise.budget)) * MILLION)
    try:
        with _writing(path) as ledger:
            row = ledger.execute(
                "select millionths from spent where model = ? and caller = ?", (noise.model, caller)
            ).fetchone()
            spent = row[0] if row else 0
            if spent + cost > budget:
                raise AnswerRefusedError(_used_up(caller, answers, noise, budget - spent))
            ledger.execute(
                "insert into spent values (?, ?, ?) on conflict (model, caller) do update set millionths = ?",
                (noise.model, caller, cost, spent + cost),
            )
            key: bytes = ledger.execute("select key from secret").fetchone()[0]
            return key
    except (OSError, sqlite3.Error) as error:
        raise AnswerRefusedError(
            f"{path}: the ledger of callers can't be written, so nothing is answered: {error}"
        ) from error


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger in a transaction of its own, which holds the only lock for writing from its begin."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    ledger = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
    try:
        ledger.execute("begin immediate")
        for table in TABLES:
            ledger.execute(table)
        ledger.execute("insert or ignore into secret values (1, ?)", (secrets.token_bytes(32),))
        yield ledger
        ledger.execute("commit")
    finally:
        ledger.close()  # what was not committed is undone


def _used_up(caller: str, answers: int, noise: RandomisedResponse, left: int) -> str:
    spare = max(left, 0) // ceil(Fraction(str(noise.epsilon)) * MILLION)
    return (
        f"caller {caller!r} has epsilon {max(left, 0) / MILLION:g} of {noise.budget:g} left for model "
        f"{noise.model!r}, which is {spare} answers at {noise.epsilon:g} each; {answers} were asked for, and "
        "none is given"
    )

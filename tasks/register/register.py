"""The registration step: a version of the judged model, proven to predict what was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import polars as pl

from tasks.errors import RegistryError
from tasks.evaluate.records import Evaluated
from tasks.evidence.keys import SigningKey
from tasks.fairness.verdict import Verdict, Verdicts
from tasks.model.predictor import noise_in, rule_in
from tasks.monitor.log import description_of, logged_columns
from tasks.plan import Plan
from tasks.register.client import Connection
from tasks.register.described import describe_standings
from tasks.register.model import Logged, log_model
from tasks.register.records import Awaited, Registration
from tasks.register.registry import (
    CHALLENGER,
    CHAMPION,
    Decision,
    Version,
    champion,
    create_version,
    promote,
    resolve,
)
from tasks.register.succession import Succession
from tasks.register.verify import check_served


@dataclass(frozen=True)
class Filing:
    """Where a run is filed.

    Attributes:
        connection: MLflow.
        run_id: the run.
        locks: folder of lock files.
        tags: digests that the version carries.
        key: signs the registered files; None leaves them unsigned.
        author: who started the run; on record where a review awaits.
    """

    connection: Connection
    run_id: str
    locks: Path
    tags: Mapping[str, str]
    key: SigningKey | None = None
    author: str = ""


def register(
    filing: Filing,
    plan: Plan,
    rows: pd.DataFrame,
    truth: pl.Series,
    predictions: pl.DataFrame,
    evaluated: Evaluated,
    verdicts: Verdicts,
    model_folder: Path,
) -> Registration:
    """Make a version of a model without a FAIL, and decide which alias it is to get.

    Args:
        filing: where the run is filed.
        plan: names the model, the margin and the minimum performance.
        rows: the test part's raw rows, as ``pandas.read_csv`` gives them.
        truth: (n,) true classes, or numbers, of these rows.
        predictions: (n,) rows as judged: ``prediction`` and, of classes, ``score``.
        evaluated: the performance on them.
        verdicts: none of them FAIL.
        model_folder: the frozen model.

    Raises:
        RegistryError: when MLflow fails, or the registered model predicts otherwise than judged.
    """
    connection = filing.connection
    version, logged = _make_version(filing, plan, rows, verdicts, model_folder)
    check_served(connection, logged.uri, rows, predictions, plan.judgement)
    reviewed = _asks_for_review(plan, verdicts)
    if verdicts.verdict is not Verdict.PASS and not reviewed:
        because = "\n".join([verdicts.summary, *_undecided(verdicts)])
        return _registration(version, "Undecided", None, because, None, None, evaluated.rows, logged)
    succession = Succession(
        connection,
        plan.judgement,
        rows,
        truth,
        predictions,
        evaluated.performance,
    )
    before = champion(connection, plan.name)
    decision = succession.decide(before)
    alias = CHAMPION if decision.takes_over else CHALLENGER
    because = f"{verdicts.summary}; version {version.version} is {alias}: {decision.because}"
    number = before.version if before else None
    made = _registration(version, "Registered", alias, because, number, succession, evaluated.rows, logged)
    return _awaiting(made, filing.author, verdicts, decision) if reviewed else made


def _make_version(
    filing: Filing, plan: Plan, rows: pd.DataFrame, verdicts: Verdicts, model_folder: Path
) -> tuple[Version, Logged]:
    """Log the frozen model and make a version of it, which says what reads a group and what is noisy."""
    described, payload = plan.judgement.data.described(), plan.judgement.data.payload
    by, noise = rule_in(model_folder).by, noise_in(model_folder)
    inputs = (*plan.judgement.data.inputs, *(by.columns if by else ()))
    # What stands beside a text, an image or a recording is for the predictions log: it may be given.
    beside = {name: None for name in logged_columns(plan.judgement) if name in plan.judgement.data.columns}
    columns = {**(beside if payload else {}), **{name: described.get(name) for name in inputs}}
    logged = log_model(
        filing.connection,
        filing.run_id,
        model_folder,
        rows.head(100),
        columns,
        filing.tags,
        key=filing.key,
        kept=description_of(plan.judgement),
    )
    told = filing.tags.get("assay.privacy")
    description = "\n\n".join(
        [
            *([f"Differentially private: {told}."] if told else []),
            *([f"Answers with noise: {noise.sentence}."] if noise else []),
            *([f"{by.sentence}. Each decision reads {' and '.join(by.columns)}."] if by else []),
            f"{verdicts.summary}, judged on {len(rows):,} test rows.",
        ]
    )
    version = create_version(
        filing.connection, plan.name, filing.run_id, logged.uri, filing.tags, description
    )
    return version, logged


def _undecided(verdicts: Verdicts) -> list[str]:
    return [one.sentence for one in verdicts.judged if one.verdict is Verdict.INCONCLUSIVE]


def _asks_for_review(plan: Plan, verdicts: Verdicts) -> bool:
    """Whether reviewers stand between the version and its alias."""
    if verdicts.verdict is Verdict.PASS:
        return plan.operations.review is not None
    return plan.judgement.on_inconclusive == "review"


def _awaiting(made: Registration, author: str, verdicts: Verdicts, decision: Decision) -> Registration:
    """The same registration without its alias, which reviewers may give."""
    assert made.alias is not None  # noqa: S101 - decided just before
    awaits = (
        f"version {made.version} awaits its review: approved by two reviewers it is {made.alias}; "
        f"{decision.because}"
    )
    return made.model_copy(
        update={
            "ending": "Registered" if verdicts.verdict is Verdict.PASS else "Undecided",
            "alias": None,
            "because": "\n".join([f"{verdicts.summary}; {awaits}", *_undecided(verdicts)]),
            "awaits": Awaited(alias=made.alias, author=author),
        }
    )


def give_alias(filing: Filing, registration: Registration) -> None:
    """Give a registered version the alias on record: a run's last act, when its dossier is whole.

    Raises:
        RegistryError: another version became champion since the comparison.
    """
    if registration.alias is None:
        return
    takes_over = registration.alias == CHAMPION

    def as_recorded(present: Version | None) -> Decision:
        if (present.version if present else None) != registration.champion_before:
            raise RegistryError(
                f"{registration.model} version {registration.version} was compared with version "
                f"{registration.champion_before} as champion, which is now {present}: run again"
            )
        return Decision(takes_over=takes_over, because=registration.because)

    version = resolve(filing.connection, registration.model, registration.version)
    given = promote(filing.connection, filing.locks, version, as_recorded).alias
    describe_standings(filing.connection, version.name)
    if given != registration.alias:
        raise RegistryError(f"{version} is {registration.alias} on record and became {given}: run again")


def _registration(
    version: Version,
    ending: str,
    alias: str | None,
    because: str,
    before: str | None,
    succession: Succession | None,
    rows: int,
    logged: Logged,
) -> Registration:
    return Registration(
        ending=ending,
        model=version.name,
        version=version.version,
        model_uri=version.model_uri,
        alias=alias,
        because=because,
        champion_before=before,
        paired=succession.paired if succession else None,
        served_rows=rows,
        files=dict(logged.files),
    )

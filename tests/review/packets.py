"""Opened test parts of every kind, and the packets that are made of them."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import polars as pl

from tasks.evaluate.predict import predict_part
from tasks.evaluate.predictions import write_predictions
from tasks.evaluate.records import PREDICTIONS
from tasks.evidence.digest import write_atomically
from tasks.evidence.dossier import Entry
from tasks.evidence.records import Record
from tasks.explain.records import Counterfactuals
from tasks.fairness.verdict import Verdicts
from tasks.ingest import described, tabular
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.load import load_plan
from tasks.plan.review import Review
from tasks.register.records import Registration
from tasks.review.changed import Opened
from tasks.review.explained import nearest
from tasks.review.flips import Pool, find_flips
from tasks.review.laid import Laid, lay_out
from tasks.review.packet import PAGE, TABLE
from tasks.review.reasons import reasons_of
from tasks.review.records import PACKET
from tasks.review.standing import Standing
from tasks.review.weighed import Told
from tasks.train.train import train

ROWS, TESTED = 2000, 200
QUICK = (
    "recipe.training.epochs=3",
    "recipe.training.batch=128",
    "recipe.training.optimizer.rate=0.01",
    "recipe.mitigation=[]",
    "recipe.model.hidden=[16]",
    "recipe.features.bins=8",
    "recipe.features.embedding=4",
)


def with_review(plan: Plan) -> Plan:
    """The plan with a review, on one thread."""
    review = Review(reviewers={"ada": "00" * 32, "berta": "01" * 32}, decisions=20, wrong_share=0.25)
    compute = plan.operations.compute.model_copy(update={"threads": 1})
    operations = plan.operations.model_copy(update={"review": review, "compute": compute})
    return plan.model_copy(update={"operations": operations})


def changed(plan: Plan, **judgement: object) -> Plan:
    return plan.model_copy(update={"judgement": plan.judgement.model_copy(update=judgement)})


def no_table(_rows: object) -> Counterfactuals | str:
    raise AssertionError("the nearest counterfactual is looked for of tables alone")


class Table:
    """A small model of the first rows of UCI Adult; the rows after these are its test part."""

    def __init__(self, mirror: Path, folder: Path, *changes: str) -> None:
        """Train in a second."""
        self.plan, self.folder = with_review(load_plan("adult", Path("data"), (*QUICK, *changes))), folder
        text = gzip.decompress((mirror / "adult" / "adult.data.gz").read_bytes())
        (folder / "adult.data").write_bytes(b"\n".join(text.splitlines()[:ROWS]) + b"\n")
        judgement = self.plan.judgement
        typed = described.type_frame(tabular.read([folder / "adult.data"], judgement.data), judgement)
        digests = pl.Series("row_digest", described.row_digests(typed, judgement.data))
        typed = typed.with_columns(digests, pl.Series("row_id", range(typed.height), pl.UInt32))
        self.train, tested = typed[:-TESTED], typed[-TESTED:]
        table = described.describe(self.train, judgement)
        train(self.train, table, None, self.plan, folder / "model", folder / "checkpoints")
        predictor = Predictor.load(folder / "model")
        tested = tested.filter(~predictor.features.unknown_rows(tested))
        tested = tested.with_columns(pl.Series("row_id", range(tested.height), pl.UInt32))
        self.opened = Opened(self.plan, predictor, tested, described.describe(tested, judgement))

    def pool(self) -> Pool:
        recorded = pl.Series(self.opened.decided(self.opened.frame))
        near = partial(nearest, self.opened, train=lambda: self.train, folder=self.folder)
        return find_flips(self.opened, recorded, near, seed=1, most=20)


def no_training() -> pl.DataFrame:
    raise AssertionError("training rows are read for tables alone")


def opened(name: str, predictor: Predictor, frame: pl.DataFrame, **data: int) -> Opened:
    read = with_review(load_plan(name, Path("data"), []))
    given = read.judgement.data
    label = given.label.model_copy(update={"values": list(predictor.rule.classes)})  # type: ignore[union-attr]
    read = changed(read, data=given.model_copy(update={"label": label, **data}))
    digests = pl.Series("row_digest", [f"{row:016x}" for row in range(frame.height)])
    return Opened(read, predictor, frame.with_columns(digests), described.describe(frame, read.judgement))


class Shown:
    """The packet of an opened test part, laid out as the flow does it, in a dossier of what that takes."""

    def __init__(self, seen: Opened, folder: Path) -> None:
        """Freeze, predict, draw, explain, and write page and table."""
        self.seen, self.folder = seen, folder
        for name, content in seen.predictor.contents().items():
            write_atomically(folder / "model" / name, content)
        judgement = seen.plan.judgement
        write_predictions(
            predict_part(seen.predictor, seen.frame, judgement), judgement, folder / PREDICTIONS
        )
        self.laid = lay_out(self.standing(), seen.frame, no_training)
        self.packet = self.laid.packet("2030-01-01T00:00:00+00:00")
        self.laid.write(self.packet, folder / "out")
        self.laid.kept.write(folder)
        self.cases, self.sheets, self.kept = self.laid.asking.cases, self.laid.sheets, self.laid.kept
        told = [self.kept.rows.get(case.row_id, Told()) for case in self.cases]
        self.reasons = reasons_of(told, self.laid.rows, seen.predictor.features)
        self.page = (folder / "out" / PAGE).read_text()
        self.table = (folder / "out" / TABLE).read_text()
        self.articles = self.page.split("<article")[1:]

    def standing(self, *more: tuple[str, Record]) -> Standing:
        """With further records in the chain."""
        bodies = [
            ("verdicts", Verdicts(judged=()).model_dump(mode="json")),
            ("freeze", {"digest": "ab" * 32}),
            *((step, record.model_dump(mode="json")) for step, record in more),
        ]
        entries = tuple(
            Entry(index=at, step=step, previous="", files=(), body=body)
            for at, (step, body) in enumerate(bodies)
        )
        registration = Registration(
            ending="Registered",
            model="m",
            version="1",
            model_uri="",
            alias=None,
            because="",
            champion_before=None,
            paired=None,
            served_rows=0,
        )
        return Standing(self.folder, entries, self.seen.plan, registration)

    def again(self) -> Laid:
        """Laid out once more, from what is kept."""
        return lay_out(self.standing((PACKET, self.packet)), self.seen.frame, no_training)

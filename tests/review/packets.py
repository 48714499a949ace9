"""Opened test parts of every kind, and the packets that are made of them."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import polars as pl

from tasks.explain.records import Counterfactuals
from tasks.ingest import described, tabular
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.load import load_plan
from tasks.plan.review import Review
from tasks.review.changed import Opened
from tasks.review.explained import explain_rows, nearest
from tasks.review.flips import Pool, find_flips
from tasks.review.packet import packet_page, packet_table, sheets_of
from tasks.review.pictures import spectrogram_uri
from tasks.review.reasons import reasons_of
from tasks.review.records import Case, Packet
from tasks.train.train import train

ROWS, TESTED = 2000, 300
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


def opened(name: str, predictor: Predictor, frame: pl.DataFrame, **data: int) -> Opened:
    read = with_review(load_plan(name, Path("data"), []))
    read = changed(read, data=read.judgement.data.model_copy(update=data))
    return Opened(read, predictor, frame, described.describe(frame, read.judgement))


class Shown:
    """A packet of the first rows, every fourth of them shown wrong on purpose."""

    def __init__(self, seen: Opened, folder: Path = Path("none"), count: int = 20) -> None:
        """Explain, and lay out."""
        decided = seen.decided(seen.frame.head(count))
        classes = list(seen.predictor.rule.classes)  # type: ignore[union-attr]
        self.kept = explain_rows(seen, range(count), lambda: seen.frame, folder)
        rows, features = seen.frame.head(count), seen.predictor.features
        told = reasons_of([self.kept[row] for row in range(count)], rows, features)
        self.reasons = dict(enumerate(told))
        self.cases = [
            Case(
                number=row + 1,
                row_id=row,
                row_digest="",
                why="wrong on purpose" if row % 4 == 0 else "random",
                prediction=own,
                shown=next(other for other in classes if other != own) if row % 4 == 0 else own,
            )
            for row, own in enumerate(decided)
        ]
        self.sheets = sheets_of(self.cases, rows.to_dicts(), seen.plan, self.reasons, seed=1)
        pool = find_flips(seen, pl.Series(seen.decided(seen.frame)), no_table, seed=1, most=20)
        self.packet = Packet(
            model="m", version="1", digest="d", cases=count, drawn={}, flips=pool.record, deadline="x"
        )
        heard = seen.plan.judgement.data.kind == "audio"
        spectrograms = {
            sheet.number: spectrogram_uri(features, row)  # type: ignore[arg-type]
            for sheet, row in zip(self.sheets, rows.iter_slices(1), strict=True)
            if heard and sheet.reasons.cells
        }
        self.page = packet_page(self.packet, self.sheets, seen.plan, classes, spectrograms)
        self.table = packet_table(self.packet, self.sheets)
        self.articles = self.page.split("<article")[1:]

    def of(self, case: Case) -> str:
        return self.articles[case.number - 1]

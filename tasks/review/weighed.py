"""What in a text, an image or a recording spoke for the decision: by the first way that holds its checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import torch

from tasks.evidence.records import Record
from tasks.explain.answer import Floats, evaluation
from tasks.explain.budget import Budget
from tasks.explain.context import Context
from tasks.explain.given import Given
from tasks.explain.inputs import Looks, checked, looks_of
from tasks.explain.shown import shows_rows
from tasks.explain.ways import found_by, ways_of
from tasks.model.audio import AudioFeatures
from tasks.model.rule import ClassRule
from tasks.model.text import TextFeatures
from tasks.plan.explanations import Explanations
from tasks.review.changed import Opened
from tasks.review.draw import Rows

MOST_CELLS = 64
"""Cells of a map along an axis; what is finer is added up."""
BRIGHTEST = 99.5
"""Percentile of a map's sizes that counts as all, so that one cell does not pale all others."""
WHOLE = 100
STRONGEST = 3
OF = "of the decision, in hundredths of the greatest"


class Told(Record):
    """Why a decision is as it is.

    Attributes:
        sentences: for a reader.
        method: that gave the weights.
        weights: -100 to 100, above 0 for the decision: of each token of a text, or of each cell of a map,
            line by line from above; none where no way holds its checks, or no picture may be kept.
        width: cells in a line of the map, 0 of a text.
    """

    sentences: tuple[str, ...] = ()
    method: str = ""
    weights: tuple[int, ...] = ()
    width: int = 0

    def with_sentence(self, told: str) -> Self:
        """The same with another sentence at the end."""
        return self.model_copy(update={"sentences": (*self.sentences, told)})


def unreliable(method: str) -> str:
    """What is said in place of an explanation that fails a check."""
    return f"{method}: unreliable here, it fails its own checks; nothing is shown."


def explain_inputs(opened: Opened, at: Rows, folder: Path, budget: Budget) -> dict[int, Told]:
    """Explain decisions on texts, images or recordings, all of them by one way; by row_id.

    Ways are tried in the order of their importance (integrated gradients, saliency, ...); of those that fail
    a check on these rows the name alone is told.

    Args:
        opened: the test part and its frozen model.
        at: positions of the rows.
        folder: the dossier; nothing is written there.
        budget: decides how finely integrated gradients are taken.
    """
    context = _context(opened, at, folder, budget)
    ways, reasons = ways_of(context)
    if not ways:
        because = Told(sentences=(f"No explanation: {'; '.join(reasons)}.",))
        return dict.fromkeys(at.tolist(), because)
    failed = list[str]()
    with evaluation(opened.predictor.network):
        given = Given.of(opened.predictor, context.frame, _decided(opened, context.frame))
        looks = looks_of(context, given)
        for name, way in ways.items():
            found = found_by(way.method, given)
            checks, _ = checked(way, looks, found, context.rng(name))
            if checks and all(check.holds for check in checks):
                told = _told(name, looks, found, context)
                kept = [one.model_copy(update={"sentences": (*failed, *one.sentences)}) for one in told]
                return dict(zip(at.tolist(), kept, strict=True))
            failed.append(unreliable(name))
    return dict.fromkeys(at.tolist(), Told(sentences=tuple(failed)))


def _context(opened: Opened, at: Rows, folder: Path, budget: Budget) -> Context:
    settings = opened.plan.operations.explanations or Explanations()
    frame = opened.frame[at]
    return Context(
        plan=opened.plan,
        settings=settings.model_copy(update={"rows": len(at)}),
        predictor=opened.predictor,
        frame=frame,
        described=opened.described[at],
        background=frame.clear(),
        proxies=(),
        folder=folder,
        budget=budget,
    )


def _decided(opened: Opened, frame: pl.DataFrame) -> torch.Tensor:
    """Positions (n,) of the classes that the model decided for, which need not be the likeliest."""
    rule = opened.predictor.rule
    assert isinstance(rule, ClassRule)  # noqa: S101 - the plan asks for no review of numbers
    return torch.tensor([rule.classes.index(told) for told in opened.decided(frame)])


def _told(name: str, looks: Looks, found: Floats, context: Context) -> Iterator[Told]:
    """What is kept of each row: of a text weights by place alone, since its words are the row's own."""
    if isinstance(context.predictor.features, TextFeatures):
        for row in found:
            yield Told(method=name, weights=_hundredths(row, WHOLE))
        return
    lower_first = isinstance(context.predictor.features, AudioFeatures)
    summed, names = looks.regions.sums(found), looks.regions.names
    for row, regions in zip(found, summed, strict=True):
        weights = _hundredths(regions, WHOLE)
        strongest = sorted(range(len(names)), key=lambda i: (-abs(weights[i]), i))[:STRONGEST]
        listed = "; ".join(f"{names[i]} {weights[i]:+d}" for i in strongest)
        cells = _coarse(row[::-1] if lower_first else row)
        kept = {"weights": _hundredths(cells, BRIGHTEST), "width": cells.shape[1]}
        sentences = (f"{name} {OF}: {listed}.",)
        yield Told(sentences=sentences, method=name, **(kept if shows_rows(context.plan) else {}))


def _coarse(cells: Floats) -> Floats:
    """A map (height, width), neighbours added up where it is finer than is kept."""
    for axis in (0, 1):
        size = cells.shape[axis]
        if size > MOST_CELLS:
            starts = np.arange(MOST_CELLS) * size // MOST_CELLS
            cells = np.add.reduceat(cells, starts, axis=axis)
    return cells


def _hundredths(found: Floats, percentile: float) -> tuple[int, ...]:
    """Whole numbers from -100 to 100, so that the last bits of a sum tell nothing."""
    most = float(np.percentile(np.abs(found), percentile)) or float(np.abs(found).max())
    if most == 0:
        return (0,) * found.size
    return tuple(np.clip(np.rint(found.ravel() / most * WHOLE), -WHOLE, WHOLE).astype(int).tolist())

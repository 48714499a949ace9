"""What a look at a champion's new rows hands on."""

from __future__ import annotations

from typing import Literal

from tasks.evidence.records import FileRef, Record
from tasks.represent.records import ColumnDrift, Effect, Ratio


class Watched(Record):
    """The champion, and what it is compared with.

    Attributes:
        model: the plan's name.
        version: of the champion.
        run: the MLflow run that made it.
        judgement: digest of the judgement that it was judged by, whose limits hold here too.
        same_judgement: whether plan.yaml still has that judgement.
        train: the prepared part that it learned from.
    """

    model: str
    version: str
    run: str
    judgement: str
    same_judgement: bool
    train: FileRef


class NewRows(Record):
    """New rows, as they were read; the rows themselves are kept for the look alone.

    Attributes:
        files: what was read.
        snapshot: the typed rows with predictions and labels, deleted when the look ends.
        rows: of the champion's version, within the window.
        labelled: of these, rows whose label has come.
        left_out: why rows of the files were not looked at -> how many.
        first: time of the first row, UTC; "" where files hold none.
        last: of the last.
        digest: of all rows with their predictions: equal rows are one look.
        digest_labelled: of the labelled rows with their labels.
        short: why nothing may be judged of these rows, or "".
    """

    files: tuple[FileRef, ...]
    snapshot: FileRef
    rows: int
    labelled: int
    left_out: dict[str, int]
    first: str
    last: str
    digest: str
    digest_labelled: str
    short: str = ""


class Look(Record):
    """What one look may spend of alpha, drawn before anything is compared.

    Attributes:
        of: "rows" (the population) or "labels" (the fairness gate); each has an alpha of its own.
        number: place among the looks at this champion, from 1; the same rows again keep theirs.
        alpha: the level in force, the plan's alpha / (number (number + 1)).
        spent: alpha that all looks so far have spent together, below the plan's.
    """

    of: Literal["rows", "labels"]
    number: int
    alpha: float
    spent: float


class Looks(Record):
    """What a look spends; ``labels`` is None where too few have come to be judged."""

    rows: Look
    labels: Look | None


class Compared(Record):
    """New rows against the champion's.

    Attributes:
        drift: each input column, from the champion's training part.
        drifted_share: share of input columns that drifted.
        predictions: how far the answers are from those on the champion's test part.
        ratios: representation of each level compared with the reference population.
        effects: distances of whole distributions from it, where the plan limits them.
        crossed: limits of the plan that the rows break, each with both sides.
        open: what the plan asks and these rows can't show.
        notes: what was not asked, and what drifted within what the plan allows.
        reports: Evidently's page and figures.
    """

    drift: tuple[ColumnDrift, ...]
    drifted_share: float
    predictions: tuple[ColumnDrift, ...]
    ratios: tuple[Ratio, ...]
    effects: tuple[Effect, ...]
    crossed: tuple[str, ...]
    open: tuple[str, ...]
    notes: tuple[str, ...]
    reports: tuple[FileRef, ...]


class Trend(Record):
    """One number over the looks, as the figure shows it; None where a look did not measure it.

    Attributes:
        name: in words.
        limit: the plan's.
        at: of each look, UTC.
        value: measured.
        low: its lower bound.
        high: its upper bound.
    """

    name: str
    limit: float
    at: tuple[str, ...]
    value: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

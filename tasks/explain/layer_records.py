"""What the report on a model's layers hands on; figures over many rows, none of a single one."""

from __future__ import annotations

from tasks.evidence.records import Record


class Separates(Record):
    """How well a linear reading of a layer tells an attribute, on rows that it was not fitted on.

    Attributes:
        attribute: protected attribute, or "label".
        auc: mean over the levels of the area under the ROC curve of each against the rest, 0 to 1.
        low: lower end of its 95% interval.
        high: upper end.
        rows: read.
        levels: level -> its own area; levels of fewer than 20 rows in either half are left out.
    """

    attribute: str
    auc: float
    low: float
    high: float
    rows: int
    levels: dict[str, float]


class Layer(Record):
    """One layer, from the front to the last before the output.

    Attributes:
        name: as the weights' names have it.
        activation: "ReLU", "GELU", "state" (of a recurrent cell) or "none".
        values: numbers that a probe reads of a row.
        units: units of the activation; 0 where there is none.
        dead: units that were flat at every row (every step, every pixel), and so tell nothing.
        flat: share of all places at which the activation's slope is near zero, 0 to 1: ReLU at 0 and below,
            GELU below -3, a state within 0.005 of its bounds.
        weight_norm: Euclidean length of the layer's weights.
        gradient_norm: Euclidean length of the mean loss's gradient by them; None where it has no weights.
        separates: the label, then each protected attribute; without those of too few rows.
    """

    name: str
    activation: str
    values: int
    units: int
    dead: int
    flat: float
    weight_norm: float
    gradient_norm: float | None
    separates: tuple[Separates, ...]

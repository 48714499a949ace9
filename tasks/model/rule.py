"""From a network's outputs to an answer: a class with probabilities, or a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from .columns import Codes
from .grouped import Grouped

Scores: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClassRule:
    """From outputs to a class.

    Attributes:
        classes: the classes' spellings, in the order of the network's outputs.
        positive: of two classes, the one whose probability is compared with the threshold.
        threshold: probability from which a row is positive; of more classes the likeliest is taken.
        score_edges: rising inner edges of the score bins, quantiles of the validation scores.
        outputs: one for each class, or a single one, the log odds of ``positive``.
        by: of two classes, what is done for each group; None for one threshold and no calibration.
    """

    classes: tuple[str, ...]
    positive: str | None
    threshold: float
    score_edges: tuple[float, ...]
    outputs: int
    by: Grouped | None = None

    def scores(self, outputs: torch.Tensor) -> torch.Tensor:
        """Probabilities (n, classes), the mean over the members, of outputs (members, n, outputs)."""
        if self.outputs > 1:
            return outputs.softmax(dim=2).mean(dim=0)
        of_positive = outputs.sigmoid().mean(dim=0)
        pair = [1 - of_positive, of_positive]
        return torch.cat(pair if self.classes[1] == self.positive else pair[::-1], dim=1)

    def calibrated(self, scores: Scores, groups: Codes | None) -> Scores:
        """Scores (n, classes) as they are, or calibrated by group, from those of the network.

        Raises:
            ValueError: the calibration is by group, and no groups are given.
        """
        if self.by is None:
            return scores
        positive = self.classes.index(str(self.positive))
        own = self.by.calibrated(scores[:, positive], self._known(groups)).astype(np.float32)
        same = own == scores[:, positive]
        pair = np.empty_like(scores)
        pair[:, positive] = own
        # Adding up to one, unless that would change the last bit of what was left alone.
        pair[:, 1 - positive] = np.where(same, scores[:, 1 - positive], 1 - own)
        return pair

    def decide(self, scores: Scores, groups: Codes | None = None) -> npt.NDArray[np.int64]:
        """Position of each row's class (n,).

        Args:
            scores: (n, classes), calibrated where the rule says so.
            groups: positions (n,) of the rows' levels in ``by``; needed where there is one.

        Raises:
            ValueError: the thresholds are by group, and no groups are given.
        """
        if self.positive is None or len(self.classes) > 2:
            return np.asarray(scores.argmax(axis=1), dtype=np.int64)
        positive = self.classes.index(self.positive)
        least: Any = np.float32(self.threshold)
        if self.by is not None:
            least = self.by.thresholds(self._known(groups))
        return np.where(scores[:, positive] >= least, positive, 1 - positive)

    def _known(self, groups: Codes | None) -> Codes:
        if groups is None:
            raise ValueError("the decision reads the group: each row's level is expected, found none")
        return groups

    def answers(self, scores: Scores, groups: Codes | None = None) -> dict[str, Any]:
        """``prediction`` and ``probability`` of the positive class, or ``probability_<class>`` for each."""
        return self.told(self.decide(scores, groups), scores)

    def told(self, decided: Codes, scores: Scores) -> dict[str, Any]:
        """The same of rows whose class is decided: positions (n,)."""
        columns: dict[str, Any] = {"prediction": np.array(self.classes, dtype=object)[decided]}
        if len(self.classes) == 2 and self.positive is not None:
            columns["probability"] = scores[:, self.classes.index(self.positive)]
        else:
            columns |= {f"probability_{name}": scores[:, i] for i, name in enumerate(self.classes)}
        return columns

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        stored = {"kind": "classes", **asdict(self)}
        return stored if self.by is not None else {k: v for k, v in stored.items() if k != "by"}


@dataclass(frozen=True)
class NumberRule:
    """From the output, a standardised number, to the number.

    Attributes:
        mean: of the fit rows' labels.
        deviation: standard deviation of the fit rows' labels.
        minimum: smallest number that there can be; no answer lies below it.
        maximum: largest one; no answer lies above it.
        score_edges: rising inner edges of the histogram of predictions, quantiles on validation rows.
    """

    mean: float
    deviation: float
    minimum: float
    maximum: float
    score_edges: tuple[float, ...]
    outputs: int = 1
    by: ClassVar[None] = None

    def scores(self, outputs: torch.Tensor) -> torch.Tensor:
        """Numbers (n, 1) in the label's unit, the mean over the members, cut to the label's range."""
        return (outputs.mean(dim=0) * self.deviation + self.mean).clamp(self.minimum, self.maximum)

    def calibrated(self, scores: Scores, groups: Codes | None) -> Scores:  # noqa: ARG002 - as for classes
        """Numbers as they are."""
        return scores

    def answers(self, scores: Scores, groups: Codes | None = None) -> dict[str, Any]:  # noqa: ARG002 - as for classes
        """``prediction``: the number, float64."""
        return {"prediction": scores[:, 0].astype(np.float64)}

    def to_json(self) -> dict[str, Any]:
        """As model.json keeps it."""
        return {"kind": "number", **asdict(self)}


Rule: TypeAlias = ClassRule | NumberRule


def rule_from_json(stored: Mapping[str, Any]) -> Rule:
    """The opposite of ``to_json``."""
    own = {name: value for name, value in stored.items() if name != "kind"}
    own["score_edges"] = tuple(own["score_edges"])
    if stored["kind"] == "number":
        return NumberRule(**own)
    by = Grouped.from_json(own["by"]) if own.get("by") is not None else None
    return ClassRule(**{**own, "classes": tuple(own["classes"]), "by": by})

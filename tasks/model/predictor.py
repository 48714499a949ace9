"""A frozen model: loaded from its two files, it predicts tables."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.torch
import torch

from .encode import Encoders, Table
from .mlp import Architecture, Network

SCHEMA = "assay.model/1"
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"
BATCH = 8192  # rows scored at a time, so that memory stays bounded


@dataclass(frozen=True)
class Rule:
    """From probabilities to a class.

    Attributes:
        classes: the classes' spellings, in the order of the network's outputs.
        positive: of two classes, the one whose probability is compared with the threshold.
        threshold: probability from which a row is positive; of more classes the likeliest is taken.
        score_edges: rising inner edges of the score bins, quantiles of the validation scores.
    """

    classes: tuple[str, ...]
    positive: str | None
    threshold: float
    score_edges: tuple[float, ...]

    def decide(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Position of each row's class (n,) from its scores (n, classes)."""
        if self.positive is None or len(self.classes) > 2:
            return np.asarray(scores.argmax(axis=1), dtype=np.int64)
        positive = self.classes.index(self.positive)
        return np.where(scores[:, positive] >= np.float32(self.threshold), positive, 1 - positive)


@dataclass(frozen=True)
class Predictor:
    """Encoders, network and decision rule.

    Attributes:
        encoders: from columns to tensors.
        shape: of the network.
        network: in evaluation mode, on the CPU.
        rule: from probabilities to a class.
    """

    encoders: Encoders
    shape: Architecture
    network: Network
    rule: Rule

    def scores(self, frame: Table) -> npt.NDArray[np.float32]:
        """Probabilities, float32 (n, classes), of a pandas or polars table.

        Raises:
            ValueError: names everything in the table that the model can't take.
        """
        rows = self.encoders.encode(frame)
        scores = np.empty((len(frame), len(self.rule.classes)), np.float32)
        with torch.inference_mode():
            for start in range(0, len(frame), BATCH):
                batch = slice(start, start + BATCH)
                scores[batch] = self.network.probabilities(rows.rows(batch)).numpy()
        return scores

    def predict(self, frame: Table) -> pd.DataFrame:
        """``prediction`` (the class) and ``probability`` of the positive class, a row for each of ``frame``.

        With more than two classes there is one column ``probability_<class>`` for each instead.

        Raises:
            ValueError: names everything in the table that the model can't take.
        """
        scores = self.scores(frame)
        classes = self.rule.classes
        columns: dict[str, Any] = {"prediction": np.array(classes, dtype=object)[self.rule.decide(scores)]}
        if len(classes) == 2 and self.rule.positive is not None:
            columns["probability"] = scores[:, classes.index(self.rule.positive)]
        else:
            columns |= {f"probability_{name}": scores[:, i] for i, name in enumerate(classes)}
        return pd.DataFrame(columns, index=frame.index if isinstance(frame, pd.DataFrame) else None)

    def contents(self) -> dict[str, bytes]:
        """The files of the model, name to bytes; the description pins the weights' SHA-256."""
        weights = safetensors.torch.save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        )
        description = {
            "schema": SCHEMA,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "architecture": asdict(self.shape),
            "rule": asdict(self.rule),
            "encoders": self.encoders.to_json(),
        }
        text = json.dumps(description, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return {WEIGHTS: weights, DESCRIPTION: text.encode() + b"\n"}

    @classmethod
    def load(cls, folder: Path | str) -> Predictor:
        """Load the model from ``folder``; nothing in it is executed.

        Raises:
            ValueError: another schema, or weights other than the ones described.
        """
        folder = Path(folder)
        stored = json.loads((folder / DESCRIPTION).read_bytes())
        if stored.get("schema") != SCHEMA:
            raise ValueError(
                f"{folder / DESCRIPTION}: schema {SCHEMA!r} expected, found {stored.get('schema')!r}"
            )
        weights = (folder / WEIGHTS).read_bytes()
        found = hashlib.sha256(weights).hexdigest()
        if found != stored["weights_sha256"]:
            raise ValueError(
                f"{folder / WEIGHTS}: SHA-256 {stored['weights_sha256']} expected, found {found}: "
                "the weights are not the ones that were frozen"
            )
        encoders = Encoders.from_json(stored["encoders"])
        shape = Architecture(**{**stored["architecture"], "hidden": tuple(stored["architecture"]["hidden"])})
        rule = stored["rule"]
        network = Network(encoders, shape)
        network.load_state_dict(safetensors.torch.load(weights))
        network.eval()
        return cls(
            encoders,
            shape,
            network,
            Rule(tuple(rule["classes"]), rule["positive"], rule["threshold"], tuple(rule["score_edges"])),
        )

"""A frozen model: loaded from its two files, it predicts tables of samples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from .columns import Codes
from .features import features_from_json
from .inputs import Features, Table
from .network import Network
from .rule import Rule, Scores, rule_from_json

SCHEMA = "assay.model/2"
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


def rule_in(folder: Path) -> Rule:
    """The decision rule of the model in ``folder``."""
    return rule_from_json(json.loads((folder / DESCRIPTION).read_bytes())["rule"])


@dataclass(frozen=True)
class Predictor:
    """Features, network and decision rule.

    Attributes:
        features: from samples to tensors.
        settings: of the network, as the plan has them.
        network: in evaluation mode, on the CPU.
        rule: from outputs to an answer.
    """

    features: Features
    settings: Mapping[str, Any]
    network: Network
    rule: Rule

    def scores(self, frame: Table) -> Scores:
        """Probabilities (n, classes) or numbers (n, 1), float32, of a pandas or polars table.

        Probabilities are calibrated by group where the rule says so.

        Raises:
            ValueError: names everything in the table that the model can't take.
        """
        inputs = self.features.encode(frame)
        size = self.network.rows_at_once
        starts = range(0, len(frame), size)
        with torch.inference_mode():
            found = [self.rule.scores(self.network(inputs.rows(slice(s, s + size)))) for s in starts]
        if not found:
            return np.zeros((0, 1), np.float32)
        return self.rule.calibrated(torch.cat(found).numpy(), self.groups(frame))

    def groups(self, frame: Table) -> Codes | None:
        """Each row's group (n,), as the rule numbers them; None where decisions read no group.

        Raises:
            ValueError: names the columns that are missing, or hold no numbers where they should.
        """
        return None if self.rule.by is None else self.rule.by.positions(frame)

    def predict(self, frame: Table) -> pd.DataFrame:
        """``prediction`` for each row of ``frame``, and the probabilities of classes.

        With two classes there is ``probability`` of the positive one, with more ``probability_<class>`` for
        each.

        Raises:
            ValueError: names everything in the table that the model can't take.
        """
        columns = self.rule.answers(self.scores(frame), self.groups(frame))
        return pd.DataFrame(columns, index=frame.index if isinstance(frame, pd.DataFrame) else None)

    def contents(self) -> dict[str, bytes]:
        """The files of the model, name to bytes; the description pins the weights' SHA-256."""
        weights = safetensors.torch.save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        )
        description = {
            "schema": SCHEMA,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "features": self.features.to_json(),
            "network": dict(self.settings),
            "rule": self.rule.to_json(),
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
        features, rule = features_from_json(stored["features"]), rule_from_json(stored["rule"])
        network = Network(features, stored["network"], rule.outputs)
        network.load_state_dict(safetensors.torch.load(weights))
        return cls(features, stored["network"], network.eval(), rule)

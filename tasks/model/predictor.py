"""A frozen model: loaded from its two files, it predicts tables of samples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from .callers import charge
from .columns import Codes
from .features import features_from_json
from .inputs import Features, Table
from .network import Network
from .noise import RandomisedResponse, asked_of
from .rule import ClassRule, Rule, Scores, rule_from_json

SCHEMA = "assay.model/2"
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


def rule_in(folder: Path) -> Rule:
    """The decision rule of the model in ``folder``."""
    return rule_from_json(json.loads((folder / DESCRIPTION).read_bytes())["rule"])


def noise_in(folder: Path) -> RandomisedResponse | None:
    """The noise of the answers of the model in ``folder``; None where they have none."""
    stored = json.loads((folder / DESCRIPTION).read_bytes()).get("noise")
    return None if stored is None else RandomisedResponse.from_json(stored)


@dataclass(frozen=True)
class Predictor:
    """Features, network and decision rule.

    Attributes:
        features: from samples to tensors.
        settings: of the network, as the plan has them.
        network: in evaluation mode, on the CPU.
        rule: from outputs to an answer.
        noise: with which callers are answered; None for answers as decided.
        digest: SHA-256 of model.json, which pins all of the model; "" before it is frozen.
    """

    features: Features
    settings: Mapping[str, Any]
    network: Network
    rule: Rule
    noise: RandomisedResponse | None = None
    digest: str = ""

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
        """``prediction`` for each row of ``frame``, and the probabilities of classes; always without noise.

        With two classes there is ``probability`` of the positive one, with more ``probability_<class>`` for
        each.

        Raises:
            ValueError: names everything in the table that the model can't take.
        """
        return _beside(frame, self.rule.answers(self.scores(frame), self.groups(frame)))

    def answer(self, frame: Table, caller: str, ledger: Path) -> pd.DataFrame:
        """``prediction`` with noise for each row, charged to a caller's budget; no probabilities.

        Raises:
            ValueError: names everything in the table that the model can't take: nothing is charged then.
            AnswerRefusedError: the budget does not have it, or its ledger can't be written.
        """
        rule, noise = self._noisy()
        groups = self.groups(frame)
        decided = rule.decide(self.scores(frame), groups)
        asked = asked_of(self.digest, caller, self.features.encode(frame), groups)
        told = noise.told(decided, charge(ledger, caller, len(decided), noise), asked)
        return _beside(frame, {"prediction": np.array(rule.classes, dtype=object)[told]})

    def judged(self, frame: Table, digests: Sequence[str]) -> pd.DataFrame:
        """What :meth:`predict` gives, of answers with noise as they are judged: probabilities are 0 or 1.

        Args:
            frame: rows of the test part or of an audit set, all of them.
            digests: of these rows.
        """
        rule, noise = self._noisy()
        decided = rule.decide(self.scores(frame), self.groups(frame))
        told = noise.judged(decided, digests, self.digest)
        return _beside(frame, rule.told(told, certain(told, len(rule.classes))))

    def _noisy(self) -> tuple[ClassRule, RandomisedResponse]:
        if self.noise is None or not isinstance(self.rule, ClassRule) or not self.digest:
            raise ValueError("a frozen model of classes that answers with noise is expected")
        return self.rule, self.noise

    def without_noise(self) -> Predictor:
        """The same model, whose answers are its decisions."""
        return replace(self, noise=None)

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
            **({"noise": self.noise.to_json()} if self.noise is not None else {}),
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
        described = (folder / DESCRIPTION).read_bytes()
        stored = json.loads(described)
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
        digest = hashlib.sha256(described).hexdigest()
        return cls(features, stored["network"], network.eval(), rule, noise_in(folder), digest)


def certain(decided: Codes, classes: int) -> Scores:
    """Scores (n, classes) of answers that come without any: 1 for the class that is told, else 0."""
    return np.eye(classes, dtype=np.float32)[decided]


def _beside(frame: Table, columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=frame.index if isinstance(frame, pd.DataFrame) else None)

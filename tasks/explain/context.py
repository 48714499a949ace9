"""What every part of explaining works on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import safetensors.numpy

from tasks.evidence.digest import write_atomically
from tasks.evidence.records import FileRef
from tasks.explain.budget import Budget
from tasks.explain.records import Counterfactuals, Explanation
from tasks.model.predictor import Predictor
from tasks.plan import Plan
from tasks.plan.explanations import Explanations
from tasks.represent.records import Proxy

Arrays = Mapping[str, npt.NDArray[np.float32]]
FOLDER = "explanations"


@dataclass(frozen=True)
class Context:
    """A frozen model and the rows that it is explained on.

    Attributes:
        plan: as carried out, with the settings that a search chose.
        settings: ``operations.explanations``.
        predictor: the frozen model, in evaluation mode, on the CPU; a part leaves it as it is.
        frame: typed validation rows, n of them, that the model can take, in a random order of the recipe's
            seed: the first k are a sample of k.
        described: of the same rows: a String column a protected attribute, and ``label``.
        background: typed fit rows to compare with, in such an order too, up to 2,000.
        proxies: how much each column tells of each protected attribute, on the training part.
        folder: the dossier's; arrays that figures need go into it by :meth:`keep`.
        budget: what is left; a part asks before it starts and counts what it spends.
    """

    plan: Plan
    settings: Explanations
    predictor: Predictor
    frame: pl.DataFrame
    described: pl.DataFrame
    background: pl.DataFrame
    proxies: tuple[Proxy, ...]
    folder: Path
    budget: Budget

    def rng(self, part: str) -> np.random.Generator:
        """A generator of a part's own, so that a part left out moves no other; from the recipe's seed."""
        digest = hashlib.sha256(f"{self.plan.recipe.seed} {part}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))

    def keep(self, name: str, arrays: Arrays) -> FileRef:
        """File arrays as ``explanations/NAME.safetensors``, from which tasks/report draws figures."""
        path = self.folder / FOLDER / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: np.ascontiguousarray(array, np.float32) for key, array in arrays.items()}
        write_atomically(path, safetensors.numpy.save(tensors))
        return FileRef.of(path, relative_to=self.folder)


Made = Explanation | Counterfactuals
"""What a part returns some of."""

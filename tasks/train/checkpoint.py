"""Checkpoints: one safetensors file an epoch, whole or not there, and named by its own digest.

A file's name ends in the SHA-256 of its bytes, because safetensors loads a flipped bit without a word.
Nothing is unpickled. The generator's state is not kept: each epoch seeds its own (see loop.run).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import safetensors.torch
import torch

from tasks.evidence.digest import digest_file, write_atomically
from tasks.train.loop import State
from tasks.train.records import Epoch

NAME = re.compile(r"epoch-(\d{5})-([0-9a-f]{64})\.safetensors")
KEPT = 2  # the last one may be altered, so the one before it stays


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training run.

    Attributes:
        folder: where they lie; nothing else may.
        key: digest of all that decides the result; checkpoints of another run are not gone on from.
        refused: sentences on the checkpoints that were found truncated or altered.
    """

    folder: Path
    key: str
    refused: list[str] = field(default_factory=list)

    def __call__(self, state: State) -> None:
        """Write the state after an epoch, then remove the checkpoints before the last two."""
        content = safetensors.torch.save(_tensors(state), metadata={"state": _summary(state, self.key)})
        name = f"epoch-{len(state.history):05d}-{sha256(content).hexdigest()}.safetensors"
        write_atomically(self.folder / name, content)
        for path in self._newest_first()[KEPT:]:
            path.unlink(missing_ok=True)  # whoever follows may have found it harmed

    def resume(self, state: State) -> int | None:
        """Bring a state to the newest whole checkpoint of this run that stands after an epoch beyond it.

        A harmed checkpoint is told of once and removed, so that whoever looks again finds it gone: its name
        can't be remembered instead, for the epoch is trained again, to the same bytes under the same name.

        Returns:
            The epoch that it stands after, None when there is no such checkpoint.
        """
        while True:
            try:
                return self._resume(state)
            except FileNotFoundError:  # rank 0 removed it after it was listed, because newer ones are there
                continue

    def _resume(self, state: State) -> int | None:
        for path in self._newest_first():
            named = NAME.fullmatch(path.name)
            assert named is not None  # noqa: S101 - the names that are listed match
            if int(named[1]) <= len(state.history):
                return None
            if digest_file(path) != named[2]:
                path.unlink()
                self.refused.append(
                    f"{path.name}: its bytes do not have the SHA-256 that its name states; "
                    "the checkpoint is truncated or altered and was not used"
                )
                continue
            with safetensors.safe_open(path, framework="pt") as stored:
                summary = json.loads(stored.metadata()["state"])
                if summary["key"] == self.key:
                    # Cloned, because the file stays mapped to memory otherwise.
                    tensors = {name: stored.get_tensor(name).clone() for name in stored.offset_keys()}
                    _restore(state, tensors, summary)
                    return len(state.history)
        return None

    def begin(self, state: State) -> int | None:
        """Bring a fresh state to the newest whole checkpoint of this run, or clear the way for its first.

        Those of another run would count as newer than this one's first, which would be removed at once.
        """
        resumed_from = self.resume(state)
        if resumed_from is None:
            self.clear()
        return resumed_from

    def clear(self) -> None:
        """Remove every checkpoint: the run has its result, or begins anew."""
        for path in [*self._newest_first(), *self.folder.glob(".epoch-*.tmp")]:
            path.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        return sorted((p for p in self.folder.glob("epoch-*") if NAME.fullmatch(p.name)), reverse=True)


def _summary(state: State, key: str) -> str:
    epochs = [epoch.model_dump() for epoch in state.history]
    return json.dumps({"key": key, "best_epoch": state.best_epoch, "history": epochs}, sort_keys=True)


def _tensors(state: State) -> dict[str, torch.Tensor]:
    """Every tensor of the state under one name each."""
    tensors = {f"network/{name}": value for name, value in state.network.state_dict().items()}
    if state.pressure is not None:
        tensors |= {f"pressure/{name}": value for name, value in state.pressure.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in state.best.items()}
    for position, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{position}/{name}": value for name, value in moments.items()}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _restore(state: State, tensors: dict[str, torch.Tensor], summary: dict[str, object]) -> None:
    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

    state.network.load_state_dict(under("network/"))
    if state.pressure is not None:
        state.pressure.load_state_dict(under("pressure/"))
    state.best = under("best/")
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in under("optimizer/").items():
        position, moment = name.split("/")
        moments.setdefault(int(position), {})[moment] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    state.history = [Epoch.model_validate(epoch) for epoch in summary["history"]]  # type: ignore[attr-defined]
    state.best_epoch = int(summary["best_epoch"])  # type: ignore[call-overload]

"""Pretrained weights: fetched by hash, put into the network, and which of them learn in which epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import safetensors.torch
import torch

from tasks.errors import Refusal, SourceAltered
from tasks.ingest.pretrained import fetch_pretrained
from tasks.model.network import Network
from tasks.model.pretrained import Bert
from tasks.model.transformer import Block
from tasks.plan.model import TOKENIZER, WEIGHTS, Pretrained
from tasks.train.loop import State

OF_A_BLOCK = {
    "answered": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "linear.0": "intermediate.dense",
    "linear.3": "output.dense",
    "linear_norm": "output.LayerNorm",
}
"""A block's parts by our names, each with BERT's name for it."""


class Start(NamedTuple):
    """What training starts from: the tokenizer's JSON and the encoder's tensors by BERT's names."""

    tokenizer: str
    tensors: Mapping[str, torch.Tensor]

    @property
    def width(self) -> int:
        """Of a token's vector."""
        return int(self.tensor("embeddings.word_embeddings.weight").shape[1])

    def tensor(self, name: str) -> torch.Tensor:
        """One of the tensors.

        Raises:
            SourceAltered: there is none of that name.
        """
        if name not in self.tensors:
            raise SourceAltered(
                f"{WEIGHTS}: a tensor {name!r} is expected, as BERT's encoder has it, found "
                f"{len(self.tensors)} others, such as {min(self.tensors, default='none')!r}. Name the "
                "weights of such an encoder in recipe.model.files, and as many recipe.model.layers as it has"
            )
        return self.tensors[name]


def read_pretrained(model: Pretrained) -> Start:
    """The tokenizer and the tensors, from the fetched files.

    Raises:
        SourceError: as :func:`fetch_pretrained`.
    """
    files = fetch_pretrained(model)
    tensors = safetensors.torch.load_file(files[WEIGHTS])
    return Start(files[TOKENIZER].read_text(encoding="utf-8"), tensors)


def load_pretrained(network: Network, start: Start) -> None:
    """Replace the network's weights by the pretrained ones; the head keeps its own.

    Raises:
        SourceAltered: for a tensor that is missing or has another shape than the plan's structure.
        Refusal: the heads of attention do not divide the width, which no tensor's shape tells.
    """
    blocks = [block for block in network.modules() if isinstance(block, Block)]
    heads = blocks[0].heads
    if start.width % heads:
        raise Refusal(
            f"recipe.model.heads: a divisor of {start.width}, the width of a token's vector in {WEIGHTS}, is "
            f"expected, found {heads}; the encoder's own config.json says it (num_attention_heads)"
        )
    wanted = {name: value for name, value in network.state_dict().items() if not _of_head(name)}
    given = dict(_renamed(start, len(blocks)))
    strange = [
        name for name, value in wanted.items() if name not in given or given[name].shape != value.shape
    ]
    if strange:
        raise SourceAltered(
            f"{WEIGHTS}: {len(strange)} of {len(wanted)} tensors are missing or have another shape than "
            f"recipe.model says (layers, heads, feedforward, positions); the first: {strange[0]}"
        )
    network.load_state_dict(given, strict=False)


def _renamed(start: Start, layers: int) -> Iterator[tuple[str, torch.Tensor]]:
    yield "front.vectors.weight", start.tensor("embeddings.word_embeddings.weight")
    yield "body.places.weight", start.tensor("embeddings.position_embeddings.weight")
    yield "body.kind", start.tensor("embeddings.token_type_embeddings.weight")[0]
    for part in ("weight", "bias"):
        yield f"body.norm.{part}", start.tensor(f"embeddings.LayerNorm.{part}")
        for layer in range(layers):
            theirs, ours = f"encoder.layer.{layer}", f"body.blocks.{layer}"
            asked = [
                start.tensor(f"{theirs}.attention.self.{name}.{part}") for name in ("query", "key", "value")
            ]
            yield f"{ours}.asked.{part}", torch.cat(asked)
            for our, their in OF_A_BLOCK.items():
                yield f"{ours}.{our}.{part}", start.tensor(f"{theirs}.{their}.{part}")


def _of_head(name: str) -> bool:
    return name.startswith("body.output.")


class Thaw:
    """A callback of the loop: the head learns first, then the layers above those that stay frozen."""

    def __init__(self, model: Pretrained) -> None:
        """Take the plan's member."""
        self.model = model

    def __call__(self, state: State) -> None:
        """Settle which parameters learn in the epoch that comes next."""
        layers = len(state.history) >= self.model.head_epochs
        body = state.network.body
        assert isinstance(body, Bert)  # noqa: S101 - the plan's model is pretrained
        for name, parameter in state.network.named_parameters():
            parameter.requires_grad_(_of_head(name) or (layers and not self._frozen(name)))

    def _frozen(self, name: str) -> bool:
        """Whether a parameter lies below the layers that learn."""
        if not self.model.frozen_layers:
            return False
        lowest = [f"body.blocks.{layer}." for layer in range(self.model.frozen_layers)]
        return not name.startswith("body.blocks.") or name.startswith(tuple(lowest))

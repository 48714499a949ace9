"""What training hands on."""

from __future__ import annotations

from tasks.plan.model import MLP, TOKENIZER, WEIGHTS, Pretrained
from tasks.train.records import evaluations_of


def test_frozen_blocks_and_epochs_of_the_head_alone_count_less_than_gradients() -> None:
    files = [{"name": n, "sha256": "0" * 64, "origins": ["file:x"]} for n in (WEIGHTS, TOKENIZER)]
    half = Pretrained.model_validate(
        {"kind": "pretrained", "files": files, "layers": 6, "frozen_layers": 3, "head_epochs": 1}
    )
    assert evaluations_of(MLP(kind="mlp"), rows=1000, passes=3) == 9000
    assert evaluations_of(half, rows=1000, passes=3) == 1000 + 2 * 2000  # half a backward pass
    assert evaluations_of(half, rows=1000, passes=1) == 1000

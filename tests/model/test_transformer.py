"""The Transformer encoder: its mask, its places, and torch's own encoder as reference."""

from __future__ import annotations

import torch
from torch import nn

from tasks.model.inputs import Steps
from tasks.model.transformer import Block, Transformer


def made(shape: tuple[int, ...] = (7, 8), width: int = 8) -> Transformer:
    torch.manual_seed(1)
    return Transformer(shape, 2, width, 2, 2, 16, 0.2).eval()


def sequences() -> Steps:
    """Three sequences of 7, 4 and 1 real steps; what fills them up is far from zero."""
    torch.manual_seed(2)
    real = torch.arange(7)[None] < torch.tensor([7, 4, 1])[:, None]
    return Steps(torch.where(real[:, :, None], torch.randn(3, 7, 8), torch.full((), 1e3)), real)


def test_what_fills_up_changes_nothing() -> None:
    network, steps = made(), sequences()
    together = network(steps)
    assert together.shape == (1, 3, 2)
    for row, length in enumerate((7, 4, 1)):
        alone = network(Steps(steps.values[row : row + 1, :length]))
        assert torch.allclose(together[:, row : row + 1], alone, atol=1e-5)


def test_a_block_is_torchs_own_encoder_layer() -> None:
    torch.manual_seed(3)
    block, steps = Block(8, 2, 16, 0.0), sequences()
    reference = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    names = {
        "self_attn.in_proj_weight": "asked.weight",
        "self_attn.in_proj_bias": "asked.bias",
        "self_attn.out_proj.weight": "answered.weight",
        "self_attn.out_proj.bias": "answered.bias",
        "norm1.weight": "attention_norm.weight",
        "norm1.bias": "attention_norm.bias",
        "norm2.weight": "linear_norm.weight",
        "norm2.bias": "linear_norm.bias",
        "linear1.weight": "linear.0.weight",
        "linear1.bias": "linear.0.bias",
        "linear2.weight": "linear.3.weight",
        "linear2.bias": "linear.3.bias",
    }
    own = block.state_dict()
    reference.load_state_dict({theirs: own[ours] for theirs, ours in names.items()})
    assert steps.real is not None
    expected = reference(steps.values, src_key_padding_mask=~steps.real)
    found = block(steps.values, steps.real)
    assert torch.allclose(found[steps.real], expected[steps.real], atol=1e-5)


def test_the_order_matters_by_the_places_alone() -> None:
    network, steps = made(), Steps(sequences().values[:1])
    turned = Steps(steps.values.flip(1))
    assert not torch.allclose(network(steps), network(turned), atol=1e-4)
    with torch.no_grad():
        network.places.weight.zero_()
    assert torch.allclose(network(steps), network(turned), atol=1e-5)


def test_a_grid_is_read_column_by_column_at_the_encoders_width() -> None:
    network = made((2, 4, 7), width=6)
    grid = torch.randn(3, 2, 4, 7)
    columns = torch.stack([grid[:, :, :, i].flatten(1) for i in range(7)], dim=1)
    assert torch.equal(network(Steps(grid)), network(Steps(columns)))
    assert network(Steps(grid)).shape == (1, 3, 2)

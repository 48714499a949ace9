"""What single rows pass through, where gradients are taken row by row: no part of it looks at other rows."""

from __future__ import annotations

import torch
from torch import nn

from tasks.model.inputs import Inputs
from tasks.model.network import Network
from tasks.model.pretrained import Bert
from tasks.plan.model import Model, Pretrained
from tasks.train.loop import State
from tasks.train.pretrained import Thaw
from tasks.train.rows import Rows

ENCODED = "encoded"


class Whole(nn.Module):
    """A network without what leaves out the end of all rows that only fills up."""

    def __init__(self, network: Network) -> None:
        """Share the parts of ``network``."""
        super().__init__()
        self.front, self.body = network.front, network.body

    def shortened(self, inputs: Inputs) -> Inputs:
        """Some rows together, no longer than the longest needs."""
        return self.front.shortened(inputs)

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Outputs (members, n, outputs)."""
        outputs: torch.Tensor = self.body(self.front.whole(inputs))
        return outputs


class Head(nn.Module):
    """A pretrained encoder's head, over what the encoder made of each text."""

    def __init__(self, body: Bert) -> None:
        """Share the head of ``body``."""
        super().__init__()
        self.dropout, self.output = body.dropout, body.output

    def shortened(self, inputs: Inputs) -> Inputs:
        """The same: a vector has no end."""
        return inputs

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Outputs (1, n, outputs)."""
        outputs: torch.Tensor = self.output(self.dropout(inputs[ENCODED]))
        return outputs[None]


def single_rows(state: State, model: Model, fit: Rows) -> tuple[Whole | Head, Rows]:
    """What learns of a network, and the rows as it takes them in.

    Of a pretrained encoder the head alone learns, so what the encoder makes of each text is computed once.

    Args:
        state: fresh, or as a checkpoint left it; of a pretrained encoder all but the head is frozen here.
        model: the plan's.
        fit: rows to learn from.
    """
    network = state.network
    if not isinstance(model, Pretrained):
        return Whole(network), fit
    Thaw(model)(state)
    body = network.body
    assert isinstance(body, Bert)  # noqa: S101 - the plan's model is pretrained
    return Head(body), _encoded(network, body, fit)


@torch.no_grad()
def _encoded(network: Network, body: Bert, rows: Rows) -> Rows:
    network.eval()
    here, there = rows.labels.device, next(network.parameters()).device
    size = network.rows_at_once
    given = (rows.inputs.rows(slice(s, s + size)).to(there) for s in range(0, len(rows.labels), size))
    vectors = torch.cat([body.encode(network.front(some)).to(here) for some in given])
    return rows._replace(inputs=Inputs({ENCODED: vectors}))

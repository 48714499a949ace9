"""Attributions of one answer to the values it was given: saliency, integrated gradients and Grad-CAM.

By captum. Each gives one number a unit: a pixel (its channels together), a cell of a spectrogram, or a token
(its vector's entries together).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tasks.explain.answer import Answer, Flags, Floats, parts
from tasks.model.cnn import CNN
from tasks.model.inputs import Steps

PIECES = (16, 64, 128)
"""Points of the path from the baseline at which the gradient is taken (Gauss-Legendre); more where the answer
is steep, as near a text of nothing before a normalisation."""
ROWS = 16
"""Rows explained at a time."""

Method = Callable[[Answer, Steps, torch.Tensor, torch.Tensor], Floats]
"""(answer, steps, targets, baseline) to attributions (n, units...)."""


def saliency(answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor) -> Floats:  # noqa: ARG001 - as its peers
    """Size of the gradient at each unit, at least 0 (Simonyan, Vedaldi and Zisserman 2013).

    Args:
        answer: what is explained.
        steps: of the rows, (n, ...).
        targets: classes asked about, (n,).
        baseline: not read.

    Returns:
        Euclidean length over a unit's values, (n, units...), in the answer's unit a unit of a value.
    """
    from captum.attr import Saliency  # noqa: PLC0415 - captum loads in a second and a half

    def explain(values: torch.Tensor, real: torch.Tensor | None, asked: torch.Tensor) -> torch.Tensor:
        found = Saliency(answer.of).attribute(values, additional_forward_args=(real, asked))
        return _over_unit(found.square()).sqrt()

    return _explained(explain, steps, targets)


def integrated_gradients(
    answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor, pieces: int = PIECES[0]
) -> Floats:
    """What each unit adds to the answer, on the way from the baseline (Sundararajan, Taly and Yan 2017).

    Args:
        answer: what is explained.
        steps: of the rows, (n, ...).
        targets: classes asked about, (n,).
        baseline: values that say nothing, as :func:`baseline_of` has them.
        pieces: points of the path.

    Returns:
        Signed, (n, units...), in the answer's unit; over all units it adds up to the answer's difference from
        the one at the baseline, but for the error of the integral.
    """
    from captum.attr import IntegratedGradients  # noqa: PLC0415 - as above

    def explain(
        values: torch.Tensor, real: torch.Tensor | None, asked: torch.Tensor, start: torch.Tensor
    ) -> torch.Tensor:
        found = IntegratedGradients(answer.of).attribute(
            values,
            baselines=start,
            additional_forward_args=(real, asked),
            n_steps=pieces,
            internal_batch_size=4 * ROWS,
        )
        return _over_unit(found)

    return _explained(explain, steps, targets, baseline)


def grad_cam(answer: Answer, steps: Steps, targets: torch.Tensor, baseline: torch.Tensor) -> Floats:  # noqa: ARG001 - as its peers
    """Where the last convolution speaks for the answer, at least 0 (Selvaraju et al. 2017).

    Args:
        answer: of a convolutional network.
        steps: of the rows, (n, channels, height, width).
        targets: classes asked about, (n,).
        baseline: not read.

    Returns:
        (n, height, width), enlarged from the convolution's grid by bilinear interpolation.
    """
    from captum.attr import LayerAttribution, LayerGradCam  # noqa: PLC0415 - as above

    body, size = answer.network.body, tuple(steps.values.shape[2:])
    assert isinstance(body, CNN)  # noqa: S101 - who calls has looked
    block = body.blocks[-1]
    assert isinstance(block, nn.Sequential)  # noqa: S101 - a CNN's blocks are

    def explain(values: torch.Tensor, real: torch.Tensor | None, asked: torch.Tensor) -> torch.Tensor:
        found = LayerGradCam(answer.of, block[2]).attribute(
            values, additional_forward_args=(real, asked), relu_attributions=True
        )
        enlarged: torch.Tensor = LayerAttribution.interpolate(found, size, "bilinear")[:, 0]
        return enlarged

    return _explained(explain, steps, targets)


def _explained(
    explain: Callable[..., torch.Tensor], steps: Steps, targets: torch.Tensor, *others: torch.Tensor
) -> Floats:
    found = []
    for rows in parts(len(targets), ROWS):
        part = steps.rows(rows)
        values = part.values.clone().requires_grad_()
        found.append(explain(values, part.real, targets[rows], *(other[rows] for other in others)).detach())
    result: Floats = torch.cat(found).double().numpy()
    return result


def _over_unit(found: torch.Tensor) -> torch.Tensor:
    """Summed over channels of a grid, or a token's vector; a vector's values are units themselves."""
    return found if found.dim() == 2 else found.sum(dim=1 if found.dim() == 4 else 2)


def baseline_of(steps: Steps, empty: torch.Tensor | None = None, kept: Flags | None = None) -> torch.Tensor:
    """Values that say nothing, of the rows' shape.

    A pixel or a spectrogram's cell at 0 has the fit rows' mean, since fronts standardise. A token's place
    gets the vector of what fills up a text.

    Args:
        steps: of the rows.
        empty: vector (width,) of the token that fills up, for texts.
        kept: bool (n, steps), places that stay as they are: tokens that every text has.
    """
    if empty is None:
        return torch.zeros_like(steps.values)
    filled = empty.expand_as(steps.values)
    if kept is None:
        return filled.clone()
    return torch.where(torch.from_numpy(kept)[:, :, None], steps.values, filled)


def with_only(steps: Steps, baseline: torch.Tensor, kept: Flags) -> Steps:
    """The rows with the units in ``kept``, bool (n, units...), and the baseline elsewhere."""
    flags = torch.from_numpy(kept)
    if steps.values.dim() != flags.dim():
        flags = flags.unsqueeze(1 if steps.values.dim() == 4 else 2)
    return Steps(torch.where(flags, steps.values, baseline), steps.real)

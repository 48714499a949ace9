"""What bodies over sequences share: a grid read column by column, and sums over real steps alone."""

from __future__ import annotations

import torch

from .inputs import Steps


def sequence_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(steps, width) of what :func:`sequence_of` gives, from the front's shape."""
    if len(shape) == 3:
        channels, height, width = shape
        return width, channels * height
    steps, width = shape
    return steps, width


def sequence_of(steps: Steps) -> Steps:
    """A sequence as it is; a grid (n, channels, height, width) as (n, width, channels x height)."""
    if steps.values.dim() == 4:
        return Steps(steps.values.permute(0, 3, 1, 2).flatten(2))
    return steps


def mean_of(values: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """Mean (n, width) over the real steps of (n, steps, width); each row has at least one."""
    if real is None:
        return values.mean(dim=1)
    kept = real[:, :, None].to(values.dtype)
    return (values * kept).sum(dim=1) / kept.sum(dim=1)


def maximum_of(values: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """Largest values (n, width) over the real steps of (n, steps, width)."""
    if real is None:
        return values.amax(dim=1)
    return values.masked_fill(~real[:, :, None], -torch.inf).amax(dim=1)


def last_of(values: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """The last real step (n, width) of (n, steps, width)."""
    if real is None:
        return values[:, -1]
    last = real.sum(dim=1) - 1
    return values[torch.arange(len(values), device=values.device), last]


def reversed_of(values: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """The real steps of (n, steps, width) from the last to the first; what fills up stays at the end."""
    if real is None:
        return values.flip(1)
    place = torch.arange(values.shape[1], device=values.device)
    backwards = real.sum(dim=1, keepdim=True) - 1 - place
    order = torch.where(backwards >= 0, backwards, place)
    return values.gather(1, order[:, :, None].expand_as(values))

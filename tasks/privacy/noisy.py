"""opacus' optimiser with noise that can't be guessed; apart from the steps because opacus takes a second."""

from __future__ import annotations

import torch
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer import _check_processed_flag, _mark_as_processed

from tasks.privacy.randomness import fresh_key, normals

DRAWS = 4
"""Normal numbers of which each is made, as in opacus' secure mode (Holohan and Braghin 2021, section 5.1).

The bits of a single one tell which one it was, and so what it was added to (Mironov 2012).
"""


class NoisyOptimizer(DPOptimizer):  # type: ignore[misc] # opacus has no types
    """Cuts, adds up and scales as opacus does; its noise is of keystreams, not of torch's generator."""

    def add_noise(self) -> None:
        """Set each parameter's ``grad`` to the sum of cut gradients and noise.

        They are added in float64 and rounded once: on a coarser grid the last bits of the result would tell
        the sum (Haney et al. 2022). That is done on the CPU, since not every device has float64.
        """
        deviation = self.noise_multiplier * self.max_grad_norm
        for parameter in self.params:
            summed = parameter.summed_grad
            _check_processed_flag(summed)
            noise = torch.zeros(summed.numel(), dtype=torch.float64)
            for _ in range(DRAWS):
                noise += normals(fresh_key(), len(noise))
            noisy = summed.cpu().double() + deviation * DRAWS**-0.5 * noise.view(summed.shape)
            parameter.grad = noisy.to(summed).view_as(parameter)
            _mark_as_processed(summed)

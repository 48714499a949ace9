"""What a step costs. Timings are no evidence: they are filed apart."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Cost:
    """Measured between the start and the end of ``measured``.

    Attributes:
        wall_seconds: by the clock.
        cpu_seconds: of this process, all threads.
        gpu_seconds: wall seconds on a GPU device, 0 on a CPU.
        peak_memory_bytes: largest resident memory of the process so far.
        peak_gpu_memory_bytes: largest memory that torch held on the GPU, 0 on a CPU.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    peak_gpu_memory_bytes: int = 0


@contextmanager
def measured(device: torch.device) -> Iterator[Cost]:
    """Fill a ``Cost`` when the block ends, however it ends."""
    cost = Cost()
    wall, cpu = time.perf_counter(), time.process_time()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        yield cost
    finally:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            cost.peak_gpu_memory_bytes = torch.cuda.max_memory_allocated(device)
        cost.wall_seconds = time.perf_counter() - wall
        cost.cpu_seconds = time.process_time() - cpu
        cost.gpu_seconds = 0.0 if device.type == "cpu" else cost.wall_seconds
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
        cost.peak_memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""Where and how exactly a model is computed: device, threads, determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def choose_device() -> torch.device:
    """The best device of this machine: cuda, then mps, then cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Compute the same bytes at each run on the same machine; leave torch's global state as it was.

    Args:
        threads: CPU threads; how sums are split, and so their last bit, depends on it.
    """
    threads_before = torch.get_num_threads()
    algorithms_before = torch.get_deterministic_debug_mode()
    filled_before = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS refuses to be deterministic without
    torch.set_num_threads(threads)
    # The same as `use_deterministic_algorithms`, without its import of the compiler, which takes seconds.
    torch.set_deterministic_debug_mode("error")
    # Else torch writes NaN into all that it allocates: nothing here reads what nothing wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # The moments of a dead unit decay to numbers so small that a processor takes a hundred times as long
    # over them; they end as 0. There is no way to ask what was set before: torch starts with False.
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.utils.deterministic.fill_uninitialized_memory = filled_before  # type: ignore[attr-defined]
        torch.set_deterministic_debug_mode(algorithms_before)
        torch.set_num_threads(threads_before)

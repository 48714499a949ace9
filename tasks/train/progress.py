"""A progress bar as a callback of the loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from tasks.train.loop import Callback, State


@contextmanager
def progress_bar(epochs: int) -> Iterator[Callback]:
    """Show epochs and validation figures on standard error, if a person may be looking."""
    with tqdm(total=epochs, desc="train", unit="epoch", disable=None) as bar:

        def show(state: State) -> None:
            last = state.history[-1]
            bar.set_postfix(loss=f"{last.validation_loss:.4f}", metric=f"{last.validation_metric:.4f}")
            bar.update(len(state.history) - bar.n)

        yield show

"""A progress bar as a callback of the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from tasks.train.loop import Callback, State
from tasks.train.records import Trial


@contextmanager
def progress_bar(epochs: int) -> Iterator[Callback]:
    """Show epochs and validation figures on standard error, if a person may be looking."""
    with tqdm(total=epochs, desc="train", unit="epoch", disable=None) as bar:

        def show(state: State) -> None:
            last = state.history[-1]
            bar.set_postfix(loss=f"{last.validation_loss:.4f}", metric=f"{last.validation_metric:.4f}")
            bar.update(len(state.history) - bar.n)

        yield show


@contextmanager
def trials_bar(trials: int) -> Iterator[Callable[[Trial], None]]:
    """Show the trials of a search, and the best performance within the limits so far."""
    best: list[float] = []
    with tqdm(total=trials, desc="tune", unit="trial", disable=None) as bar:

        def show(trial: Trial) -> None:
            if trial.performance is not None and trial.excess is not None and trial.excess <= 0:
                best.append(trial.performance)
            bar.set_postfix(best=f"{max(best):.4f}" if best else "none within limits")
            bar.update(trial.number + 1 - bar.n)

        yield show

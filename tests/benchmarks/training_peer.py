"""One training of MNIST's 784-128-10 with a peer, timed in its own environment by bench_training.

`python training_peer.py PEER MNIST.npz EPOCHS THREADS` prints, as JSON, the peer's version, the seconds of
each epoch and the accuracy on the test images after each. Needs numpy and the peer alone. Data is loaded and
the first batch is computed before the clock starts, so neither imports nor compilation count.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

BATCH, RATE, DROPOUT = 32, 0.001, 0.2
Epoch = Callable[[], None]
Accuracy = Callable[[], float]
Made = tuple[str, Epoch, Accuracy]


def keras(data: dict[str, np.ndarray], threads: int) -> Made:
    import keras as library
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(DROPOUT),
            layers.Dense(10),
        ]
    )
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=library.optimizers.Adam(RATE), loss=loss, metrics=["accuracy"])
    x, y, test_x, test_y = data["x"], data["y"], data["test_x"], data["test_y"]
    model.fit(x[:BATCH], y[:BATCH], verbose=0)  # compiles

    def epoch() -> None:
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)

    def accuracy() -> float:
        return float(model.evaluate(test_x, test_y, batch_size=1000, verbose=0)[1])

    return f"Keras {library.__version__} on TensorFlow {tf.__version__}", epoch, accuracy


def _network() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(128, 10)
    )


def _tensors(data: dict[str, np.ndarray]) -> Iterator[Any]:
    import torch

    return (torch.from_numpy(data[name]) for name in ("x", "y", "test_x", "test_y"))


def _right(network: Any, x: Any, y: Any) -> float:
    import torch

    network.eval()
    with torch.inference_mode():
        return float((network(x).argmax(dim=1) == y).float().mean())


def dataloader(data: dict[str, np.ndarray], threads: int) -> Made:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(threads)
    x, y, test_x, test_y = _tensors(data)
    network, loss = _network(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)

    def epoch() -> None:
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss(network(images), labels).backward()
            optimizer.step()

    return f"PyTorch {torch.__version__} with a DataLoader", epoch, lambda: _right(network, test_x, test_y)


def lightning(data: dict[str, np.ndarray], threads: int) -> Made:
    import lightning as library
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(threads)
    x, y, test_x, test_y = _tensors(data)

    class Module(library.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network()

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=RATE)

    module = Module()
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = library.Trainer(max_epochs=0, accelerator="cpu", enable_model_summary=False, **quiet)

    def epoch() -> None:
        trainer.fit_loop.max_epochs += 1
        module.train()
        trainer.fit(module, loader)

    return f"Lightning {library.__version__}", epoch, lambda: _right(module.network, test_x, test_y)


def skorch(data: dict[str, np.ndarray], threads: int) -> Made:
    import skorch as library
    import torch

    torch.set_num_threads(threads)
    _, _, test_x, test_y = _tensors(data)
    net = library.NeuralNetClassifier(
        _network(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.initialize()

    def epoch() -> None:
        net.partial_fit(data["x"], data["y"])

    # partial_fit with epochs left at 10 would run ten.
    net.set_params(max_epochs=1)
    return f"skorch {library.__version__}", epoch, lambda: _right(net.module_, test_x, test_y)


PEERS = {"keras": keras, "dataloader": dataloader, "lightning": lightning, "skorch": skorch}


def main(peer: str, path: str, epochs: int, threads: int) -> None:
    loaded = np.load(path)
    scaled = {name: (loaded[name].astype(np.float32) - 33.3) / 78.6 for name in ("x", "test_x")}
    labels = {name: loaded[name].astype(np.int64) for name in ("y", "test_y")}
    version, epoch, accuracy = PEERS[peer](scaled | labels, threads)
    seconds, right = [], []
    for _ in range(epochs):
        start = perf_counter()
        epoch()
        seconds.append(perf_counter() - start)
        right.append(accuracy())
    print(json.dumps({"version": version, "seconds": seconds, "accuracy": right}))  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peers' own
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

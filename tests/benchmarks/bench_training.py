"""Training MNIST's 784-128-10 beside its peers: `bench_training.py [TURNS [THREADS]]`.

The recipe is the same for all: dropout 0.2, Adam at 0.001, batches of 32, 5 epochs over the 60,000 images.
A turn runs every peer once and ours once, because a machine's speed drifts; reported are the medians of the
turns and of their ratios. Then: seconds until 97.5% of the test images are right, for which ours takes a
recipe of its own, found on validation images; our loop beside the same kernels on batches that lie ready;
and the arithmetic bound, floating-point operations over the rate at which this machine multiplies matrices.

Peers run in environments of their own, since their locks and ours do not agree:

    python3.11 -m venv KERAS && KERAS/bin/pip install tensorflow-cpu
    python3.11 -m venv TORCH && TORCH/bin/pip install torch==2.13.0 && TORCH/bin/pip install lightning skorch
    export KERAS_PYTHON=KERAS/bin/python TORCH_PYTHON=TORCH/bin/python ASSAY_MIRROR=...
    python tests/benchmarks/bench_training.py

A peer whose environment is not named is said to be missing. ASSAY_MIRROR has mnist/ with the four IDX files.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.model.device import deterministic
from tasks.model.image import ImageFeatures
from tasks.model.inputs import Inputs
from tasks.model.network import Network
from tasks.plan import Plan, load_plan
from tasks.train import loop
from tasks.train.fitting import settings_of
from tasks.train.objective import objective_of
from tasks.train.optimizers import optimizer_of
from tasks.train.rows import Rows

EPOCHS, GOAL = 5, 0.975
ENVIRONMENTS = {
    "keras": "KERAS_PYTHON",
    "dataloader": "TORCH_PYTHON",
    "lightning": "TORCH_PYTHON",
    "skorch": "TORCH_PYTHON",
}
ESSAY = (  # as the peers have it
    "recipe.training.batch=32",
    "recipe.training.optimizer.rate=0.001",
    f"recipe.training.epochs={EPOCHS}",
    "recipe.training.schedule={kind: constant}",
)
QUICK = (  # found on 10,000 of the training images, held out: 97.7% there
    "recipe.training.batch=192",
    "recipe.training.optimizer.rate=0.01",
    "recipe.training.epochs=3",
    "recipe.model.dropout=0.0",
    "recipe.training.schedule={kind: cosine, warmup_epochs: 0.3}",
)
FLOPS = 2 * (2 * 784 * 128 + 3 * 128 * 10)  # a sample: products forward, for weights, and for hidden units


def show(what: str, figure: str, note: str = "") -> None:
    print(f"{what:<64} {figure:>12}  {note}", flush=True)  # noqa: T201 - a report


def mnist() -> dict[str, np.ndarray]:
    folder = Path(os.environ["ASSAY_MIRROR"]) / "mnist"

    def read(name: str, header: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((folder / f"{name}.gz").read_bytes()), np.uint8, offset=header)

    return {
        "x": read("train-images-idx3-ubyte", 16).reshape(-1, 28, 28),
        "y": read("train-labels-idx1-ubyte", 8),
        "test_x": read("t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28),
        "test_y": read("t10k-labels-idx1-ubyte", 8),
    }


def rows_of(x: np.ndarray, y: np.ndarray) -> Rows:
    labels = torch.from_numpy(y.astype(np.int64))
    return Rows(Inputs({"pixels": torch.from_numpy(x[:, None].copy())}), labels, torch.ones(len(y)))


def ours(data: dict[str, np.ndarray], *settings: str) -> tuple[list[float], list[float]]:
    """Seconds of each epoch, and the accuracy on the test images after each, which is not timed."""
    fit, test = rows_of(data["x"], data["y"]), rows_of(data["test_x"], data["test_y"])
    plan, _, state = fresh(fit, settings)
    objective = objective_of(plan, fit.labels)
    seconds, right, start = list[float](), list[float](), [perf_counter()]

    def look(state: loop.State) -> None:
        seconds.append(perf_counter() - start[0])
        scores = loop.score(state.network, test, objective.rule)
        right.append(float((scores.argmax(dim=1) == test.labels).float().mean()))
        start[0] = perf_counter()

    # The loop looks at validation rows after each epoch; the peers have none, so ours has one.
    loop.run(state, fit, fit.at(torch.arange(1)), objective, plan.recipe.training, 1, [look])
    return seconds, right


def fresh(fit: Rows, settings: tuple[str, ...]) -> tuple[Plan, Network, loop.State]:
    plan = load_plan("mnist", Path(__file__).parents[2] / "data", settings)
    torch.manual_seed(plan.recipe.seed)
    features = ImageFeatures("image", 28, 28, 1, 0.1307, 0.3081)
    network = Network(features, settings_of(plan), 10)
    optimizer = optimizer_of(network.parameters(), plan.recipe.training.optimizer, torch.device("cpu"))
    return plan, network, loop.State(network, optimizer)


def peer(name: str, path: Path, threads: int) -> dict[str, object]:
    """One run of a peer; raises KeyError where its environment is not named."""
    command = [
        os.environ[ENVIRONMENTS[name]],
        str(Path(__file__).with_name("training_peer.py")),
        name,
        str(path),
        str(8 if name == "keras" else EPOCHS),  # Keras may need more epochs to reach the goal
        str(threads),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def until_goal(seconds: list[float], right: list[float]) -> float:
    reached = [i for i, share in enumerate(right) if share >= GOAL]
    return sum(seconds[: reached[0] + 1]) if reached else float("inf")


def side_by_side(data: dict[str, np.ndarray], turns: int, threads: int) -> None:
    names = [name for name, variable in ENVIRONMENTS.items() if variable in os.environ]
    for name in sorted(set(ENVIRONMENTS) - set(names)):
        show(f"{name} is missing", "", f"{ENVIRONMENTS[name]} names no interpreter, see above")
    epochs: dict[str, list[float]] = {name: [] for name in [*names, "ours"]}
    goal: dict[str, list[float]] = {name: [] for name in [*names, "ours"]}
    versions, accuracy = {"ours": "ours"}, dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        path = Path(folder) / "mnist.npz"
        np.savez(path, **data)
        for _ in range(turns):
            for name in names:
                found = peer(name, path, threads)
                versions[name] = str(found["version"])
                add(name, found["seconds"], found["accuracy"], epochs, goal, accuracy)  # type: ignore[arg-type]
            add("ours", *ours(data, *ESSAY), epochs, goal, accuracy)
            goal["ours"][-1] = until_goal(*ours(data, *QUICK))
    for name, taken in epochs.items():
        ratios = sorted(theirs / own for theirs, own in zip(taken, epochs["ours"], strict=True))
        times = f"{median(ratios):.2f} times ours ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        show(f"{versions[name]}, {EPOCHS} epochs", f"{median(taken):.2f} s", times)
        show("    accuracy on the test images, last turn", f"{accuracy[name]:.4f}")
        ratios = sorted(theirs / own for theirs, own in zip(goal[name], goal["ours"], strict=True))
        times = f"{median(ratios):.1f} times ours ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        show(f"    until {GOAL:.1%}", f"{median(goal[name]):.2f} s", times)


def add(
    name: str,
    seconds: list[float],
    right: list[float],
    epochs: dict[str, list[float]],
    goal: dict[str, list[float]],
    accuracy: dict[str, float],
) -> None:
    epochs[name].append(sum(seconds[:EPOCHS]))
    goal[name].append(until_goal(seconds, right))
    accuracy[name] = right[EPOCHS - 1]


def bench_overhead(data: dict[str, np.ndarray], turns: int) -> None:
    """Our loop, and the same network, loss and optimiser on batches that were cut before the clock starts."""
    fit = rows_of(data["x"][:16_000], data["y"][:16_000])
    pixels = torch.from_numpy(data["x"][:16_000].astype(np.float32)).flatten(1) / 78.6 - 0.42
    batches = list(zip(pixels.split(32), fit.labels.split(32), strict=True))
    bare = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    adam = torch.optim.Adam(bare.parameters(), fused=True)
    plan, _, state = fresh(fit, ESSAY)
    objective = objective_of(plan, fit.labels)

    def kernels() -> None:
        for _ in range(EPOCHS):
            for x, y in batches:
                adam.zero_grad()
                nn.functional.cross_entropy(bare(x), y).backward()
                adam.step()

    def own() -> None:
        state.history.clear()
        loop.run(state, fit, fit.at(torch.arange(1)), objective, plan.recipe.training, 1, [])

    pairs = [(timed(own), timed(kernels)) for _ in range(turns)]
    ratio = median(mine / theirs for mine, theirs in pairs)
    show("our loop over its bare kernels, 16,000 images", f"{ratio:.2f}", "median of the turns (goal 1.10)")


def timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def bench_bound(images: int) -> None:
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    rate = 2 * 1024**3 / min(timed(lambda: left @ right) for _ in range(30))
    bound = FLOPS * images * EPOCHS / rate
    show(f"arithmetic bound at {rate / 1e9:.0f} Gflop/s, {EPOCHS} epochs", f"{bound:.2f} s", "products alone")


if __name__ == "__main__":
    turns, threads = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 3), (2, 2)))
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {threads} threads")  # noqa: T201
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")  # noqa: T201
    images = mnist()
    with deterministic(threads):
        side_by_side(images, turns, threads)
        bench_overhead(images, 3 * turns)
        bench_bound(len(images["y"]))

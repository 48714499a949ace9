"""Training by several processes: each takes a share of every batch, and they add up their gradients.

The processes are started by torch's own launcher (torchrun), with gloo on a CPU and nccl on GPUs. What they
need lies in a folder; what they make are the checkpoints of rank 0, which this process follows.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import safetensors.torch
import torch
from torch import distributed

from tasks.errors import AssayError, NotEnoughMemory, Refusal
from tasks.model.device import choose_device, deterministic
from tasks.model.features import features_from_json
from tasks.model.inputs import Inputs
from tasks.plan.plan import Plan
from tasks.plan.training import Training
from tasks.train import loop
from tasks.train.checkpoint import Checkpoints
from tasks.train.fitting import begin, fit
from tasks.train.objective import objective_of
from tasks.train.prepare import Prepared
from tasks.train.rows import Rows
from tasks.train.team import Together

LOOKED_EVERY = 0.2  # seconds between two looks at the checkpoints
LAST_LINES = 15
ENDED_BY = (Refusal, NotEnoughMemory, AssayError)
"""What may end a worker, the first that fits: whoever follows raises the same, since a search goes on after
the first two, which are a trial's own. The file that tells it has the error's name."""


def fit_together(
    state: loop.State,
    prepared: Prepared,
    plan: Plan,
    saved: Checkpoints,
    callbacks: Sequence[loop.Callback],
) -> int | None:
    """Let ``recipe.training.workers`` processes fit; ``state`` ends as rank 0's last checkpoint has it.

    Returns:
        The epoch of the checkpoint that they went on from.

    Raises:
        Refusal: the loss is no longer a finite number.
        NotEnoughMemory: the device of a process has no room.
        AssayError: a process failed, whose last lines are told; or what they left is not whole.
    """
    resumed_from = saved.begin(state)
    with TemporaryDirectory(prefix="assay-workers-") as name:
        folder = Path(name)
        _write_job(folder, prepared, plan, saved)
        command = _launcher(plan.recipe.training.workers, folder)
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT) as process,
        ):
            try:
                while process.poll() is None:
                    time.sleep(LOOKED_EVERY)
                    _follow(state, saved, callbacks)
            finally:
                process.terminate()  # the launcher ends its workers
        _raise_failure(folder, process.returncode)
    _follow(state, saved, callbacks)
    _require_last(state, plan.recipe.training, saved)
    return resumed_from


def _launcher(workers: int, folder: Path) -> list[str]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
    return [*launch, "-m", "tasks.train.workers", str(folder)]


def _follow(state: loop.State, saved: Checkpoints, callbacks: Sequence[loop.Callback]) -> None:
    """Bring the state to the newest checkpoint, and tell of it if it is new."""
    if saved.resume(state) is not None:
        for callback in callbacks:
            callback(state)


def _require_last(state: loop.State, training: Training, saved: Checkpoints) -> None:
    """Refuse to take an epoch before the last for the result: the last one's checkpoint may be harmed."""
    epochs = len(state.history)
    if epochs < training.epochs and not loop.stale(state, training):
        harmed = f": {saved.refused[-1]}" if saved.refused else ""
        raise AssayError(
            f"training: the workers ended, and the checkpoint of their last epoch is expected, found is that "
            f"of epoch {epochs} of {training.epochs}{harmed}. Start again: training goes on from there"
        )


def _write_job(folder: Path, prepared: Prepared, plan: Plan, saved: Checkpoints) -> None:
    """What a worker reads: tensors, and everything else as JSON."""
    tensors: dict[str, torch.Tensor] = {}
    for side, rows in (("fit", prepared.fit), ("validation", prepared.validation)):
        tensors |= {f"{side}/{name}": value for name, value in rows.beside_inputs().items()}
        tensors |= {f"{side}/inputs/{name}": value for name, value in rows.tensors().items()}
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in tensors.items()}, folder / "rows.safetensors"
    )
    told = {
        "plan": plan.model_dump(mode="json"),
        "features": prepared.features.to_json(),
        "checkpoints": str(saved.folder.resolve()),
        "key": saved.key,
    }
    (folder / "job.json").write_text(json.dumps(told))


def _raise_failure(folder: Path, code: int) -> None:
    """Raise what the workers failed of."""
    for error in ENDED_BY:
        if (told := folder / error.__name__).is_file():
            raise error(told.read_text())
    if code != 0:
        last = "\n".join((folder / "log").read_text(errors="replace").splitlines()[-LAST_LINES:])
        raise AssayError(f"training: a worker ended with status {code}; the last lines of all:\n{last}")


def rows_of(tensors: dict[str, torch.Tensor], side: str) -> Rows:
    """One side of the division, as ``_write_job`` left it."""
    prefix = f"{side}/inputs/"
    inputs = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    groups = tensors.get(f"{side}/groups")
    return Rows(Inputs(inputs), tensors[f"{side}/labels"], tensors[f"{side}/weights"], groups)


def _end_with_parent(folder: Path) -> None:
    """End when the process that follows the workers does, lest they write where its successor reads.

    The input of all workers is a pipe that it holds open: however it ends, also killed, the pipe closes. The
    rows in its folder, which it can't remove when it is killed, go too.
    """

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def main(folder: Path) -> None:
    """Fit as one of the processes; called by the launcher."""
    _end_with_parent(folder)
    try:
        _fit_share(folder)
    except AssayError as error:
        kind = next(kind for kind in ENDED_BY if isinstance(error, kind))
        (folder / kind.__name__).write_text(str(error))
        sys.exit(1)
    distributed.destroy_process_group()


def _fit_share(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    plan = Plan.model_validate(job["plan"])
    tensors = safetensors.torch.load_file(folder / "rows.safetensors")
    rows = rows_of(tensors, "fit"), rows_of(tensors, "validation")
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = choose_device()
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    saved = Checkpoints(Path(job["checkpoints"]), job["key"])
    with deterministic(max(1, plan.operations.compute.threads // size)):
        objective = objective_of(plan, rows[0].labels)
        state = begin(features_from_json(job["features"]), objective, plan, device, rows[0])
        fit(state, rows, objective, plan, saved, [], Together(rank, size))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

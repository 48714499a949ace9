"""Each member of the plan's training, on a small real slice."""

from __future__ import annotations

import gzip
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import polars as pl
import pytest
import torch

from tasks.errors import AssayError, Refusal
from tasks.ingest.described import describe
from tasks.model.device import deterministic
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.plan.load import load_plan
from tasks.plan.plan import Plan
from tasks.plan.training import SGD, Adam, Constant, GradientDescent, Plateau
from tasks.train import loop
from tasks.train.fitting import begin, has_bfloat16, memory_named, require_able
from tasks.train.objective import ClassObjective, objective_of
from tasks.train.prepare import prepare
from tests.train.conftest import Sample, one_thread
from tests.train.test_train import Killed, files, kill_after, recipe, run

CPU = torch.device("cpu")


def weights_after(sample: Sample, plan: Plan) -> dict[str, torch.Tensor]:
    """The network's weights when the loop has ended."""
    with deterministic(1):
        prepared = prepare(sample.frame, sample.described, None, plan)
        objective = objective_of(plan, prepared.fit.labels)
        state = begin(prepared.features, objective, plan, CPU, prepared.fit)
        training = plan.recipe.training
        loop.run(state, prepared.fit, prepared.validation, objective, training, 1, [])
    return state.network.state_dict()


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], within: float) -> bool:
    return all(torch.allclose(one[name], other[name], atol=within, rtol=0) for name in one)


def still(sample: Sample, **changed: object) -> Plan:
    """Without dropout, one epoch, one rate."""
    plan = recipe(sample.plan, "model", dropout=0.0)
    return recipe(plan, "training", **{"epochs": 1, "patience": None, "clip_norm": None, **changed})


def test_gradient_descent_steps_once_an_epoch_by_the_full_gradient(sample: Sample) -> None:
    descent = GradientDescent(kind="gradient_descent", rate=0.1)
    small = weights_after(sample, still(sample, optimizer=descent, batch=100))
    whole = weights_after(sample, still(sample, optimizer=descent, batch=5000))
    plain = SGD(kind="sgd", rate=0.1, momentum=0.0)
    by_sgd = weights_after(sample, still(sample, optimizer=plain, batch=5000))
    assert close(small, whole, 1e-6)
    assert close(whole, by_sgd, 1e-6)
    assert not close(small, weights_after(sample, still(sample, optimizer=plain, batch=100)), 1e-6)


def test_accumulated_batches_are_a_larger_batch(sample: Sample) -> None:
    sgd = SGD(kind="sgd", rate=0.05)
    parts = weights_after(sample, still(sample, optimizer=sgd, batch=50, accumulate=4))
    assert close(parts, weights_after(sample, still(sample, optimizer=sgd, batch=200)), 1e-6)
    assert not close(parts, weights_after(sample, still(sample, optimizer=sgd, batch=50)), 1e-6)


@pytest.mark.parametrize("kind", ["gradient_descent", "sgd", "adam", "adamw"])
def test_every_optimiser_learns(sample: Sample, tmp_path: Path, kind: str) -> None:
    rates = {"gradient_descent": 0.5, "sgd": 0.05, "adam": 0.003, "adamw": 0.003}
    member = {"kind": kind, "rate": rates[kind]}
    training = type(sample.plan.recipe.training).model_validate(
        {"epochs": 6, "batch": 64, "optimizer": member, "schedule": {"kind": "constant"}, "patience": None}
    )
    trained = run(sample, tmp_path, plan=recipe(sample.plan, "training", **dict(training)))
    assert trained.history[-1].train_loss < trained.history[0].train_loss


def test_patience_null_never_stops(sample: Sample, tmp_path: Path) -> None:
    fast = {"optimizer": Adam(kind="adam", rate=0.05), "epochs": 12}
    stopped = run(sample, tmp_path / "a", plan=recipe(sample.plan, "training", patience=1, **fast))
    never = run(sample, tmp_path / "b", plan=recipe(sample.plan, "training", patience=None, **fast))
    assert len(stopped.history) < len(never.history) == 12


def test_the_best_epoch_is_frozen_and_not_the_last(sample: Sample, tmp_path: Path) -> None:
    settings = {"optimizer": Adam(kind="adam", rate=0.05), "schedule": Constant(kind="constant")}
    plan = recipe(sample.plan, "training", epochs=20, patience=3, **settings)
    trained = run(sample, tmp_path, plan=plan)
    assert len(trained.history) == trained.best_epoch + 3 < 20
    network = Predictor.load(tmp_path / "model").network
    prepared = prepare(sample.frame, sample.described, None, plan)
    objective, rows = objective_of(plan, prepared.fit.labels), prepared.validation
    loss, _ = objective.measure(loop.score(network, rows, objective.rule), rows.labels, rows.weights)
    assert loss == pytest.approx(trained.history[trained.best_epoch - 1].validation_loss, abs=1e-6)
    assert loss < trained.history[-1].validation_loss - 1e-3


def test_bfloat16_learns_as_float32_does_and_is_refused_where_it_is_lacking(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = recipe(sample.plan, "training", precision="bfloat16")
    trained = run(sample, tmp_path / "mixed", plan=mixed)
    exact = run(sample, tmp_path / "exact")
    assert trained.digest != exact.digest
    assert trained.history[-1].train_loss == pytest.approx(exact.history[-1].train_loss, abs=0.01)
    stored = Predictor.load(tmp_path / "mixed" / "model").network.state_dict()
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert not has_bfloat16(torch.device("cuda"))
    with pytest.raises(AssayError, match=r"precision is bfloat16.* set it to float32"):
        require_able(mixed, torch.device("cuda"))


# Torch's own, of its own compiler.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_compiled_network_keeps_the_names_of_its_weights(sample: Sample, tmp_path: Path) -> None:
    plan = recipe(still(sample, epochs=2, batch=5000), "model", hidden=[8])  # each shape is compiled anew
    plain = run(sample, tmp_path / "plain", plan=plan)
    compiled = run(sample, tmp_path / "compiled", plan=recipe(plan, "training", compile=True))
    names = [set(Predictor.load(tmp_path / n / "model").network.state_dict()) for n in ("plain", "compiled")]
    assert names[0] == names[1]
    assert compiled.history[-1].train_loss == pytest.approx(plain.history[-1].train_loss, abs=1e-4)


def test_compiling_without_a_compiler_is_refused(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssayError, match=r"needs a C\+\+ compiler; none was found"):
        require_able(recipe(sample.plan, "training", compile=True), CPU)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, max allowed: 9.07 GB)"),
        RuntimeError("CUDA error: out of memory"),  # as when memory is pinned
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_too_little_memory_says_what_to_lower(sample: Sample, tmp_path: Path, error: Exception) -> None:
    def exhaust(_: loop.State) -> None:
        raise error

    with pytest.raises(AssayError, match=r"Lower recipe\.training\.batch .*recipe\.model.*length.*bfloat16"):
        run(sample, tmp_path, callbacks=[exhaust])
    with pytest.raises(RuntimeError, match="another"), memory_named(sample.plan, CPU):
        raise RuntimeError("another")


def test_a_network_without_room_says_what_to_lower(sample: Sample) -> None:
    prepared = prepare(sample.frame, sample.described, None, sample.plan)
    objective = objective_of(sample.plan, prepared.fit.labels)
    wide = recipe(sample.plan, "model", hidden=[2**40])
    with pytest.raises(AssayError, match=r"device cpu .* for the network\. Lower the width and layers"):
        begin(prepared.features, objective, wide, CPU, prepared.fit)


def test_binary_cross_entropy_is_that_of_two_classes() -> None:
    rng = torch.Generator().manual_seed(0)
    logit = torch.randn(1, 50, 1, generator=rng, requires_grad=True)
    labels = torch.randint(0, 2, (50,), generator=rng)
    classes = ("no", "yes")
    binary = ClassObjective(ClassRule(classes, "yes", 0.5, (), 1), 0.0).losses(logit, labels)
    both = torch.cat([torch.zeros_like(logit), logit], dim=2)
    crossed = ClassObjective(ClassRule(classes, "yes", 0.5, (), 2), 0.0).losses(both, labels)
    assert torch.allclose(binary, crossed, atol=1e-6)
    (one,) = torch.autograd.grad(binary.sum(), logit)
    (other,) = torch.autograd.grad(crossed.sum(), logit)
    assert torch.allclose(one, other, atol=1e-6)


def test_smoothing_spreads_probability_over_all_classes() -> None:
    outputs, labels = torch.tensor([[[2.0, 0.0, -1.0]]]), torch.tensor([0])
    rule = ClassRule(("a", "b", "c"), None, 0.5, (), 3)
    logs = torch.log_softmax(outputs[0, 0], dim=0)
    expected = -(0.9 * logs[0] + 0.1 * logs.mean())
    assert torch.allclose(ClassObjective(rule, 0.1).losses(outputs, labels), expected)


def test_balanced_classes_have_the_same_weight_in_all(sample: Sample) -> None:
    loss = sample.plan.recipe.training.loss.model_copy(update={"class_weights": "balanced"})
    plan = recipe(sample.plan, "training", loss=loss)
    fit = prepare(sample.frame, sample.described, None, plan).fit
    sums = torch.bincount(fit.labels, fit.weights)
    assert float(sums[0]) == pytest.approx(float(sums[1]), rel=1e-4)
    assert float(fit.weights.mean()) == pytest.approx(1.0, abs=1e-5)


DIGITS = 1200


@pytest.fixture(scope="module")
def digits(mirror: Path) -> Sample:
    """Images of MNIST and the convolutional network: batch normalisation has buffers."""
    plan = one_thread(load_plan("mnist-cnn", Path("data"), ["recipe.model.channels=[4, 4]"]))
    plateau = Plateau(kind="plateau", patience=1)
    plan = recipe(plan, "training", epochs=5, batch=64, schedule=plateau, patience=3)
    data = plan.judgement.data
    pixels = gzip.decompress((mirror / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    names = gzip.decompress((mirror / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    images = [pixels[784 * i : 784 * (i + 1)] for i in range(DIGITS)]
    frame = pl.DataFrame(
        {
            data.payload: images,
            data.label.column: [str(name) for name in names[:DIGITS]],
            "row_digest": [f"{i:016x}" for i in range(DIGITS)],
        }
    )
    return Sample(plan, frame, describe(frame, plan.judgement))


def test_buffers_plateaus_and_patience_survive_a_resumption(digits: Sample, tmp_path: Path) -> None:
    undisturbed = run(digits, tmp_path / "undisturbed")
    with pytest.raises(Killed):
        run(digits, tmp_path / "killed", callbacks=[kill_after(2)])
    resumed = run(digits, tmp_path / "killed")
    assert resumed.resumed_from == 2
    assert resumed.history == undisturbed.history
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")
    stored = Predictor.load(tmp_path / "killed" / "model").network.state_dict()
    assert any("running_mean" in name and value.any() for name, value in stored.items())


BLOCKS = 6  # the last sees one pixel: 28, 14, 7, 4, 2, 1


@pytest.mark.parametrize(
    ("channels", "norm", "left", "refused"),
    [
        ([2] * BLOCKS, "batch", 1, r"batch of one row; .* recipe\.training\.batch"),
        ([2] * BLOCKS, "batch", 2, None),
        ([2] * (BLOCKS - 1), "batch", 1, None),
        ([2] * BLOCKS, "none", 1, None),
        ([2] * BLOCKS, "group", 2, r"one channel in each group .* recipe\.model\.norm to batch"),
        ([4, 4, 4, 4, 4, 8], "group", 1, None),
        ([2, 2, 2, 2, 2, 3], "group", 1, None),
    ],
)
def test_a_block_that_would_normalise_one_number_is_refused(
    digits: Sample, channels: list[int], norm: str, left: int, refused: str | None
) -> None:
    prepared = prepare(digits.frame, digits.described, None, digits.plan)
    plan = recipe(digits.plan, "model", channels=channels, norm=norm)
    plan = recipe(plan, "training", batch=len(prepared.fit.labels) - left)
    objective = objective_of(plan, prepared.fit.labels)
    if refused is not None:
        with pytest.raises(Refusal, match=f"block 6 .* one pixel, .*{refused}"):
            begin(prepared.features, objective, plan, CPU, prepared.fit)
        return
    network = begin(prepared.features, objective, plan, CPU, prepared.fit).network
    network(prepared.fit.inputs.rows(slice(left)))


RUN = """
import pickle, sys
from pathlib import Path
from tasks.train.train import train
frame, described, plan, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
print("begins", flush=True)
train(frame, described, None, plan, folder / "model", folder / "checkpoints")
"""


def test_killed_at_any_batch_it_ends_with_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    plan = recipe(sample.plan, "training", epochs=4, batch=4, patience=None)
    run(sample, tmp_path / "undisturbed", plan=plan)
    job, folder = tmp_path / "job", tmp_path / "killed"
    job.write_bytes(pickle.dumps((sample.frame, sample.described, plan, folder)))
    random, killed = Random(os.getpid()), 0  # noqa: S311 - when to kill
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", RUN, str(job)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"begins\n"
        try:
            process.wait(timeout=random.uniform(0.3, 1.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        process.stdout.close()
        if (folder / "model" / "model.json").is_file():
            break
    resumed = run(sample, folder, plan=plan)
    assert killed
    assert resumed.torch
    assert files(folder) == files(tmp_path / "undisturbed")

"""Rows that a device has no room for are copied to it while it computes."""

from __future__ import annotations

import pytest
import torch

from tasks.model.device import choose_device, deterministic
from tasks.train import loop, streaming
from tasks.train.batches import batches, outputs_of
from tasks.train.fitting import begin
from tasks.train.objective import objective_of
from tasks.train.prepare import Prepared, prepare
from tasks.train.rows import Rows
from tasks.train.streaming import placed
from tests.train.conftest import Sample
from tests.train.test_members import still

META = torch.device("meta")  # computes shapes alone, but refuses what is on another device, as a GPU does


@pytest.fixture(scope="module")
def prepared(sample: Sample) -> Prepared:
    return prepare(sample.frame, sample.described, None, sample.plan)


def size(rows: Rows) -> int:
    return sum(tensor.nbytes for tensor in (*rows.tensors().values(), *rows.beside_inputs().values()))


def test_rows_go_to_the_device_where_half_of_its_free_memory_holds_them(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = prepared.fit
    for free, where in ((2 * size(rows), META), (2 * size(rows) - 1, torch.device("cpu"))):
        monkeypatch.setattr(streaming, "free_memory", lambda _, free=free: free)
        there = placed(rows, META)
        assert {each.device for each in (*there.tensors().values(), *there.beside_inputs().values())} == {
            where
        }


def test_batches_of_rows_that_stay_come_whole_and_on_the_device(sample: Sample, prepared: Prepared) -> None:
    objective = objective_of(sample.plan, prepared.fit.labels)
    state = begin(prepared.features, objective, sample.plan, torch.device("cpu"), prepared.fit)
    network = state.network.to(META)
    drawn = list(batches(network, prepared.fit, torch.randperm(len(prepared.fit.labels)), 100))
    rows = len(prepared.fit.labels)
    assert [len(batch.labels) for batch in drawn] == [100] * (rows // 100) + [rows % 100]
    for batch in drawn:
        assert (batch.labels.device, batch.weights.device) == (META, META)
        assert outputs_of(network, batch.inputs).shape[1] == len(batch.labels)  # refused if it were elsewhere


@pytest.mark.gpu
def test_rows_that_stay_train_the_network_that_rows_on_the_device_do(
    sample: Sample, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = choose_device()
    if device.type == "cpu":
        pytest.skip("a CUDA or MPS device is needed, found none")
    plan = still(sample, batch=100)
    objective = objective_of(plan, prepared.fit.labels)
    found = []
    for share in (1.0, 0.0):
        monkeypatch.setattr(streaming, "SHARE", share)
        with deterministic(1):
            state = begin(prepared.features, objective, plan, device, prepared.fit)
            rows = placed(prepared.fit, device), placed(prepared.validation, device)
            assert rows[0].labels.device.type == (device.type if share else "cpu")
            loop.run(state, *rows, objective, plan.recipe.training, 1, [])
        found.append({name: value.cpu() for name, value in state.network.state_dict().items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])

"""Training under differential privacy: what is on record, what stays unknown, what a crash costs."""

import base64
import json
import math
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.errors import Refusal
from tasks.plan.data import Tabular
from tasks.plan.load import parse_plan
from tasks.plan.plan import Plan
from tasks.privacy.accountant import epsilon_of
from tasks.privacy.records import Mechanism
from tasks.train import private
from tasks.train.features import fit_features
from tasks.train.loop import Callback, State
from tasks.train.records import Trained
from tasks.train.train import train
from tests.train.conftest import Sample

RECIPE = {
    "seed": 1,
    "features": {"exclude": ["fnlwgt"], "bins": 8, "embedding": 4},
    "privacy": {"kind": "dp_sgd", "epsilon": 8, "delta": 5e-4, "noise": 1.2, "at_once": 100},
    "model": {"kind": "mlp", "hidden": [8], "dropout": 0.1},
    "training": {"epochs": 2, "batch": 128, "patience": None, "clip_norm": None},
}


def private_plan(sample: Sample, **changes: object) -> Plan:
    """Adult without raking and mitigation, small, by the recipe above with some settings changed."""
    document = sample.plan.model_dump(mode="json")
    document["judgement"]["population"] = None
    document["recipe"] = RECIPE
    plan = parse_plan("adult", document, "test")
    return plan.changed({key.replace("__", "."): value for key, value in changes.items()})


def trained(sample: Sample, plan: Plan, folder: Path, *callbacks: Callback) -> Trained:
    described = sample.described
    return train(sample.frame, described, None, plan, folder / "model", folder / "checkpoints", callbacks)


@dataclass(frozen=True)
class Runs:
    """Two trainings by one plan; of the first the keys that it drew, and what files had its checkpoints."""

    plan: Plan
    first: Trained
    second: Trained
    folder: Path
    keys: list[bytes]
    checkpoints: dict[str, bytes]


@pytest.fixture(scope="module")
def runs(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    plan = private_plan(sample)
    one, other = (tmp_path_factory.mktemp("private") for _ in range(2))
    keys, checkpoints, fresh = list[bytes](), dict[str, bytes](), secrets.token_bytes

    def token_bytes(size: int) -> bytes:
        keys.append(fresh(size))
        return keys[-1]

    def look(_: State) -> None:  # called before an epoch's own checkpoint is written
        checkpoints.update({path.name: path.read_bytes() for path in (one / "checkpoints").iterdir()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", token_bytes)
        first = trained(sample, plan, one, look)
    return Runs(plan, first, trained(sample, plan, other), one, keys, checkpoints)


def test_the_record_says_what_was_spent_and_by_what(runs: Runs) -> None:
    found = runs.first.privacy
    assert found is not None
    rows = runs.first.fit_rows
    assert found.mechanism == Mechanism(noise=1.2, rate=128 / rows, steps=2 * math.ceil(rows / 128))
    assert found.epsilon == epsilon_of([found.mechanism], 5e-4) < 8
    assert f"epsilon {found.epsilon:.3g} at delta 0.0005" in found.summary


def test_the_noise_is_another_in_every_training_and_no_record_holds_its_seed(runs: Runs) -> None:
    assert runs.first.digest != runs.second.digest
    first, second = (each.model_dump(mode="json") for each in (runs.first, runs.second))
    differing = {key for key in first if first[key] != second[key]}
    assert differing <= {"files", "digest", "history", "validation"}  # nothing that could seed it again
    assert "seed" not in json.dumps(first)
    assert sorted(path.name for path in (runs.folder / "checkpoints").iterdir()) == []


def test_no_key_of_the_noise_or_the_draws_is_in_what_a_training_leaves(runs: Runs) -> None:
    steps = 2 * math.ceil(runs.first.fit_rows / 128)
    assert len(runs.keys) >= steps * (1 + 4 * 2)  # the rows; four draws for each of two tensors or more
    assert any(name.startswith("epoch-") for name in runs.checkpoints)
    model = [path.read_bytes() for path in (runs.folder / "model").rglob("*") if path.is_file()]
    left = b"\n".join([*runs.checkpoints.values(), *model, runs.first.model_dump_json().encode()])
    for key in runs.keys:
        for spelt in (key, key.hex().encode(), base64.b64encode(key)[:40], str(list(key))[1:-1].encode()):
            assert spelt not in left


def test_no_loss_of_rows_learned_from_and_no_bin_of_private_scores_is_on_record(runs: Runs) -> None:
    assert [epoch.train_loss for epoch in runs.first.history] == [None, None]
    assert runs.first.best_epoch == 2
    assert runs.first.score_edges == pytest.approx([i / 20 for i in range(1, 20)])


def test_features_are_the_plan_s_whatever_the_rows_are(sample: Sample, runs: Runs) -> None:
    half = sample.frame.head(40)
    found = fit_features(half, (half["age"] > 30), runs.plan)
    assert found == fit_features(sample.frame, sample.frame["age"] > 0, runs.plan)
    data = runs.plan.judgement.data
    assert isinstance(data, Tabular)
    known = {category["name"]: category["known"] for category in found.to_json()["categories"]}
    assert list(known["native-country"]) == sorted(data.columns["native-country"].values or ())
    age = next(number for number in found.to_json()["numbers"] if number["name"] == "age")
    assert age["mean"] == (17 + 90) / 2


class Killed(BaseException):
    """As a process is."""


def test_an_epoch_lost_to_a_crash_is_paid_for_and_not_made_up(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = private_plan(sample, training__epochs=3)

    def killed(state: State) -> None:
        if len(state.history) == 2:
            raise Killed  # before its checkpoint is written

    here = (sample.frame, sample.described, None, plan, tmp_path / "model", tmp_path / "checkpoints")
    with pytest.raises(Killed):
        train(*here, callbacks=[killed])
    found = train(*here)
    assert found.resumed_from == 1
    assert [epoch.epoch for epoch in found.history] == [1, 2]
    assert found.privacy is not None
    assert found.privacy.mechanism.steps == 3 * math.ceil(found.fit_rows / 128)
    assert not (tmp_path / "checkpoints" / private.COUNT).exists()


def test_a_training_whose_epochs_crashes_used_up_is_refused(sample: Sample, tmp_path: Path) -> None:
    plan = private_plan(sample)
    private.begun_of(sample.frame, plan, tmp_path / "checkpoints").write(2)
    with pytest.raises(Refusal, match="begun and lost to a crash"):
        trained(sample, plan, tmp_path)


def test_several_rows_of_one_person_are_refused(sample: Sample, tmp_path: Path) -> None:
    plan = private_plan(sample)
    judgement = plan.judgement.model_copy(update={"unit": "age"})
    with pytest.raises(Refusal, match=r"the promise is for one row, and the 1,\d+ rows to learn from are of"):
        trained(sample, plan.model_copy(update={"judgement": judgement}), tmp_path)

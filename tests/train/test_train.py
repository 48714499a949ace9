"""Training on a small real slice: what it may see, that it is deterministic, and how it goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.errors import Refusal
from tasks.evaluate.evaluate import TENTHS
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.plan.load import load_plan
from tasks.plan.plan import Plan
from tasks.plan.training import BinaryCrossEntropy
from tasks.train import fitting
from tasks.train.loop import State
from tasks.train.objective import ClassObjective
from tasks.train.prepare import held_out, prepare
from tasks.train.private import public_rule
from tasks.train.records import Trained
from tasks.train.train import train
from tests.train.conftest import Sample


def run(sample: Sample, folder: Path, **changed: object) -> Trained:
    """Train into ``folder``, with the sample's own arguments but for ``changed``."""
    arguments: dict[str, object] = {
        "frame": sample.frame,
        "described": sample.described,
        "row_weights": None,
        "plan": sample.plan,
        "folder": folder / "model",
        "checkpoints": folder / "checkpoints",
    }
    return train(**{**arguments, **changed})  # type: ignore[arg-type]


def recipe(plan: Plan, block: str, **changed: object) -> Plan:
    """The plan with some keys of ``recipe.<block>`` changed."""
    part = getattr(plan.recipe, block).model_copy(update=changed)
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={block: part})})


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "model").iterdir()}


class Killed(BaseException):
    """Stands for kill -9: nothing of the program handles it."""


def kill_after(epoch: int) -> object:
    def callback(state: State) -> None:
        if len(state.history) == epoch + 1:  # the checkpoint of `epoch` is written, this one's is not
            raise Killed

    return callback


@pytest.fixture(scope="module")
def undisturbed(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return run(sample, folder), folder


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_score_bins_are_of_the_positive_class_where_there_is_one(classes: tuple[str, ...]) -> None:
    scores = np.random.default_rng(1).dirichlet(np.ones(len(classes)), 50).astype(np.float32)
    objective = ClassObjective(ClassRule(classes, "b", 0.5, (), len(classes)), 0.0)
    edges = objective.frozen(scores, objective.rule).score_edges
    assert len(edges) > 20
    assert {*edges} <= {*scores[:, 1].astype(float).tolist(), *TENTHS}
    assert len(public_rule(objective.rule).score_edges) == 19
    nameless = replace(objective.rule, positive=None)
    assert ClassObjective(nameless, 0.0).frozen(scores, nameless).score_edges == ()


def test_what_is_frozen(sample: Sample, undisturbed: tuple[Trained, Path]) -> None:
    trained, folder = undisturbed
    assert (
        {file.path for file in trained.files} == {"weights.safetensors", "model.json"} == set(files(folder))
    )
    assert trained.fit_rows + trained.validation_rows + trained.set_aside_rows == sample.frame.height
    assert len(trained.history) == 4
    assert trained.history[trained.best_epoch - 1].validation_loss == min(
        epoch.validation_loss for epoch in trained.history
    )
    assert trained.validation["auc"] > 0.7
    assert not list((folder / "checkpoints").iterdir())
    rule = json.loads((folder / "model" / "model.json").read_text())["rule"]
    assert rule["threshold"] == 0.5
    assert tuple(rule["score_edges"]) == trained.score_edges
    assert list(trained.score_edges) == sorted(set(trained.score_edges))


def test_the_same_inputs_give_the_same_bytes(
    sample: Sample, undisturbed: tuple[Trained, Path], tmp_path: Path
) -> None:
    again = run(sample, tmp_path)
    assert again.digest == undisturbed[0].digest
    assert files(tmp_path) == files(undisturbed[1])


def test_another_seed_gives_other_weights(
    sample: Sample, undisturbed: tuple[Trained, Path], tmp_path: Path
) -> None:
    other = sample.plan.model_copy(update={"recipe": sample.plan.recipe.model_copy(update={"seed": 5})})
    assert run(sample, tmp_path, plan=other).digest != undisturbed[0].digest


def test_raking_weights_reach_the_loss(
    sample: Sample, undisturbed: tuple[Trained, Path], tmp_path: Path
) -> None:
    raked = np.where(sample.described["sex"].to_numpy() == "Female", 1.4, 0.8)
    assert run(sample, tmp_path, row_weights=raked).digest != undisturbed[0].digest


def test_features_never_see_validation_rows(sample: Sample) -> None:
    held = held_out(sample.frame, sample.plan)
    assert 0.1 < held.mean() < 0.2
    changed = sample.frame.with_columns(
        pl.when(pl.Series(held)).then(90).otherwise(pl.col("age")).alias("age"),
        pl.when(pl.Series(held)).then(pl.lit("Private")).otherwise(pl.col("workclass")).alias("workclass"),
    )
    assert not changed.equals(sample.frame)
    before = prepare(sample.frame, sample.described, None, sample.plan)
    after = prepare(changed, sample.described, None, sample.plan)
    assert before.features == after.features


def test_a_validation_row_with_a_category_unknown_to_the_fit_rows_is_set_aside(sample: Sample) -> None:
    held = held_out(sample.frame, sample.plan)
    first = int(np.flatnonzero(held)[0])
    changed = sample.frame.with_columns(
        pl.when(pl.int_range(pl.len()) == first)
        .then(pl.lit("Elsewhere"))
        .otherwise("workclass")
        .alias("workclass")
    )
    before = prepare(sample.frame, sample.described, None, sample.plan)
    after = prepare(changed, sample.described, None, sample.plan)
    assert after.set_aside == before.set_aside + 1
    assert len(after.validation.labels) == len(before.validation.labels) - 1
    assert after.features == before.features


def test_one_class_is_refused(sample: Sample) -> None:
    one = sample.described.with_columns(label=pl.lit("<=50K"))
    with pytest.raises(Refusal, match="no fit row has the label '>50K'"):
        prepare(sample.frame, one, None, sample.plan)


def test_validation_rows_of_one_number_are_refused_before_training(sample: Sample) -> None:
    plan = load_plan("adult-hours", Path("data"))
    held = pl.Series(held_out(sample.frame, plan))
    hours = sample.described.with_columns(label=sample.frame["hours-per-week"].cast(pl.Float64))
    prepare(sample.frame, hours, None, plan)
    same = hours.with_columns(label=pl.when(held).then(40.0).otherwise("label"))
    with pytest.raises(
        Refusal, match=r"validation rows all have the same label, .*recipe\.split\.validation"
    ):
        prepare(sample.frame, same, None, plan)


def test_going_on_after_a_kill_gives_the_bytes_of_an_undisturbed_run(
    sample: Sample, undisturbed: tuple[Trained, Path], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        run(sample, tmp_path, callbacks=[kill_after(2)])
    assert not (tmp_path / "model").exists()
    resumed = run(sample, tmp_path)
    assert resumed.resumed_from == 2
    assert resumed.history == undisturbed[0].history
    assert files(tmp_path) == files(undisturbed[1])


@pytest.mark.parametrize("harm", ["flipped", "truncated"])
def test_a_harmed_checkpoint_is_refused_and_the_one_before_used(
    sample: Sample, undisturbed: tuple[Trained, Path], tmp_path: Path, harm: str
) -> None:
    with pytest.raises(Killed):
        run(sample, tmp_path, callbacks=[kill_after(3)])
    newest = max((tmp_path / "checkpoints").iterdir())
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(bytes(content) if harm == "flipped" else bytes(content[:-100]))
    resumed = run(sample, tmp_path)
    assert resumed.resumed_from == 2
    assert len(resumed.refused_checkpoints) == 1
    assert newest.name in resumed.refused_checkpoints[0]
    assert files(tmp_path) == files(undisturbed[1])


def test_checkpoints_of_another_recipe_are_not_gone_on_from(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(sample, tmp_path, callbacks=[kill_after(2)])
    other = recipe(sample.plan, "training", batch=128)
    assert run(sample, tmp_path, plan=other).resumed_from is None


def test_checkpoints_of_other_code_are_not_gone_on_from(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        run(sample, tmp_path, callbacks=[kill_after(2)])
    monkeypatch.setattr(fitting, "_loaded_code", lambda: "another")
    assert run(sample, tmp_path).resumed_from is None


def test_a_network_that_was_to_say_the_other_class_is_not_gone_on_from(
    sample: Sample, tmp_path: Path
) -> None:
    plan = recipe(sample.plan, "training", loss=BinaryCrossEntropy(kind="binary_cross_entropy"))
    with pytest.raises(Killed):
        run(sample, tmp_path, plan=plan, callbacks=[kill_after(2)])
    data = plan.judgement.data
    other = data.label.values[data.label.values[0] == data.label.positive]
    turned = data.model_copy(update={"label": data.label.model_copy(update={"positive": other})})
    judgement = plan.judgement.model_copy(update={"data": turned})
    trained = run(sample, tmp_path, plan=plan.model_copy(update={"judgement": judgement}))
    assert trained.resumed_from is None
    assert trained.validation["accuracy"] > 0.7


def test_checkpoints_of_another_recipe_do_not_push_out_this_ones(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(sample, tmp_path, callbacks=[kill_after(3)])
    other = recipe(sample.plan, "training", batch=128)
    with pytest.raises(Killed):
        run(sample, tmp_path, plan=other, callbacks=[kill_after(2)])
    assert run(sample, tmp_path, plan=other).resumed_from == 2


def test_a_loss_that_is_not_finite_stops_training(sample: Sample, tmp_path: Path) -> None:
    training = sample.plan.recipe.training
    wild = training.optimizer.model_copy(update={"rate": 1e30})
    plan = recipe(sample.plan, "training", optimizer=wild, clip_norm=None)
    with pytest.raises(Refusal, match=r"epoch 1, batch \d+ of \d+: the loss is .*Lower"):
        run(sample, tmp_path, plan=plan)
    assert not (tmp_path / "model").exists()


def test_the_frozen_model_scores_as_in_training(sample: Sample, undisturbed: tuple[Trained, Path]) -> None:
    predictor = Predictor.load(undisturbed[1] / "model")
    held = held_out(sample.frame, sample.plan)
    rows = sample.frame.filter(held & ~_strange(predictor, sample.frame, held))
    predicted = predictor.predict(rows)["prediction"].to_numpy()
    right = predicted == rows[sample.plan.judgement.data.label.column].to_numpy()
    assert right.mean() == undisturbed[0].validation["accuracy"]


def _strange(predictor: Predictor, frame: pl.DataFrame, held: np.ndarray) -> np.ndarray:
    strange = np.zeros(len(held), bool)
    strange[held] = predictor.features.unknown_rows(frame.filter(held))
    return strange

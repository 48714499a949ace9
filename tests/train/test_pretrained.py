"""A pretrained encoder: its weights by BERT's names, the head first, and what is frozen stays as it was."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch

from tasks.errors import PlanError, Refusal, SourceAltered
from tasks.model.device import deterministic
from tasks.model.inputs import Inputs
from tasks.model.network import Network
from tasks.model.text import TextFeatures
from tasks.plan.load import load_plan
from tasks.plan.model import Pretrained
from tasks.train import fitting
from tasks.train.checkpoint import Checkpoints
from tasks.train.fitting import begin, fit
from tasks.train.loop import Callback, State
from tasks.train.objective import objective_of
from tasks.train.pretrained import Start, Thaw, load_pretrained
from tasks.train.rows import Rows
from tests.pretrained import STRUCTURE, write_pretrained

TEXTS = ["the quick brown fox", "jumps over the lazy dog"]
FILES = [
    {"name": name, "sha256": "0" * 64, "origins": ["file:nowhere"]}
    for name in ("model.safetensors", "tokenizer.json")
]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    folder = tmp_path_factory.mktemp("pretrained")
    write_pretrained(folder, TEXTS)
    tokenizer = (folder / "tokenizer.json").read_text()
    return Start(tokenizer, safetensors.torch.load_file(folder / "model.safetensors"))


def network_of(start: Start, **changes: int) -> Network:
    torch.manual_seed(0)
    features = TextFeatures("text", 12, start.width, start.tokenizer)
    settings = {"kind": "pretrained", "dropout": 0.0, **STRUCTURE, **changes}
    return Network(features, settings, outputs=3).eval()


def by_hand(start: Start, tokens: list[int]) -> torch.Tensor:
    """BERT's mean of the last layer for one text, written down from Devlin et al. with torch's own layers."""
    given = start.tensors
    x = given["embeddings.word_embeddings.weight"][tokens]
    x = x + given["embeddings.position_embeddings.weight"][: len(tokens)]
    x = x + given["embeddings.token_type_embeddings.weight"][0]
    x = torch.nn.functional.layer_norm(x, x.shape[-1:], eps=1e-12)[None]
    for layer in range(STRUCTURE["layers"]):
        at = f"encoder.layer.{layer}"
        block = torch.nn.TransformerEncoderLayer(
            start.width,
            STRUCTURE["heads"],
            STRUCTURE["feedforward"],
            dropout=0.0,
            activation="gelu",
            layer_norm_eps=1e-12,
            batch_first=True,
        )
        asked = [f"{at}.attention.self.{name}" for name in ("query", "key", "value")]
        parts = {"self_attn.out_proj": "attention.output.dense", "norm1": "attention.output.LayerNorm"}
        parts |= {"linear1": "intermediate.dense", "linear2": "output.dense", "norm2": "output.LayerNorm"}
        state = {
            f"self_attn.in_proj_{p}": torch.cat([given[f"{n}.{p}"] for n in asked])
            for p in ("weight", "bias")
        }
        state |= {
            f"{ours}.{p}": given[f"{at}.{their}.{p}"]
            for ours, their in parts.items()
            for p in ("weight", "bias")
        }
        block.load_state_dict(state)
        x = block.train()(x)  # dropout is 0; in evaluation torch takes another way of computing
    return x[0].mean(dim=0)


def test_it_computes_what_bert_does_of_each_text_alone(start: Start) -> None:
    network = network_of(start)
    load_pretrained(network, start)
    inputs = network_inputs(start)
    found = network.body.encode(network.front(inputs))
    for row in range(len(TEXTS)):
        tokens = [token for token in inputs["tokens"][row].tolist() if token]
        assert tokens[0] == 2  # [CLS]
        assert tokens[-1] == 3  # [SEP]
        assert torch.allclose(found[row], by_hand(start, tokens), atol=1e-6)


def network_inputs(start: Start) -> Inputs:
    return TextFeatures("text", 12, start.width, start.tokenizer).encode(pd.DataFrame({"text": TEXTS}))


def test_another_structure_than_the_weights_is_refused(start: Start) -> None:
    with pytest.raises(SourceAltered, match="the first: body"):
        load_pretrained(network_of(start, feedforward=8), start)
    with pytest.raises(SourceAltered, match=r"'encoder\.layer\.2\..* as many recipe\.model\.layers"):
        load_pretrained(network_of(start, layers=3), start)
    with pytest.raises(Refusal, match=r"recipe\.model\.heads: a divisor of 16, .* found 3"):
        load_pretrained(network_of(start, heads=3), start)


def test_weights_under_other_names_are_refused_by_what_is_missing(start: Start) -> None:
    other = Start(start.tokenizer, {f"bert.{name}": value for name, value in start.tensors.items()})
    with pytest.raises(SourceAltered, match=r"'embeddings\.word_embeddings\.weight' .* such as 'bert\."):
        network_of(other)


def test_the_head_learns_first_and_frozen_layers_never(start: Start) -> None:
    model = Pretrained.model_validate(
        {"kind": "pretrained", "files": FILES, **STRUCTURE, "head_epochs": 1, "frozen_layers": 1}
    )
    network = network_of(start)
    state = State(network, torch.optim.SGD(network.parameters()))
    Thaw(model)(state)
    learning = {name for name, value in network.named_parameters() if value.requires_grad}
    assert learning == {"body.output.weight", "body.output.bias"}
    state.history.append(None)  # type: ignore[arg-type] # only how many there are counts
    Thaw(model)(state)
    learning = {name for name, value in network.named_parameters() if value.requires_grad}
    assert {"body.output.weight", "body.blocks.1.asked.weight"} <= learning
    assert not any(name.startswith(("front.", "body.places", "body.blocks.0.")) for name in learning)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_checkpoint_from_either_side_of_the_thaw_is_gone_on_from_to_the_same_bytes(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    """The head learns alone for two epochs of four: until then no layer has moments in the optimiser."""
    monkeypatch.setattr(fitting, "read_pretrained", lambda _: start)
    model = {"kind": "pretrained", "files": FILES, **STRUCTURE, "head_epochs": 2, "frozen_layers": 1}
    settings = {"training.epochs": 4, "training.batch": 4, "training.optimizer.rate": 0.01}
    plan = load_plan("hate-speech-minilm", Path("data")).changed({"model": model, **settings})
    features = TextFeatures("text", 12, start.width, start.tokenizer)
    inputs = features.encode(pd.DataFrame({"text": [TEXTS[n % 2] + " fox" * n for n in range(9)]}))
    rows = Rows(inputs, torch.arange(9) % 3, torch.ones(9))

    def killed(state: State) -> None:
        if len(state.history) == epoch + 1:  # its checkpoint is not written
            raise KeyboardInterrupt

    def learned(folder: Path, callbacks: list[Callback]) -> tuple[int | None, State]:
        with deterministic(1):
            objective = objective_of(plan, rows.labels)
            state = begin(features, objective, plan, torch.device("cpu"), rows)
            return fit(state, (rows, rows), objective, plan, Checkpoints(folder, "key"), callbacks), state

    _, whole = learned(tmp_path / "whole", [])
    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path / "killed", [killed])
    resumed_from, resumed = learned(tmp_path / "killed", [])
    assert resumed_from == epoch
    assert resumed.history == whole.history
    # A checkpoint's name ends in the digest of all that it holds, weights and moments.
    assert max(tmp_path.glob("killed/*")).name == max(tmp_path.glob("whole/*")).name
    moved = {n for n, value in whole.network.state_dict().items() if not torch.equal(value, given(start)[n])}
    assert {"body.output.weight", "body.blocks.1.asked.weight"} <= moved
    assert not any(name.startswith(("front.", "body.places", "body.blocks.0.")) for name in moved)


def given(start: Start) -> dict[str, torch.Tensor]:
    """The weights that training starts from, but for the head's."""
    network = network_of(start)
    load_pretrained(network, start)
    return network.state_dict()


def test_files_of_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be model.safetensors and tokenizer.json, found config.json"):
        Pretrained.model_validate(
            {"kind": "pretrained", "files": [{**FILES[0], "name": "config.json"}, FILES[1]], **STRUCTURE}
        )


def test_a_text_of_more_tokens_than_the_encoder_has_places_for_is_refused_with_the_plan() -> None:
    changes = ["recipe.features.length=64", "recipe.model.positions=63"]
    with pytest.raises(
        PlanError, match=r"features\.length: at most recipe\.model\.positions \(63\) .*found 64"
    ):
        load_plan("hate-speech-minilm", Path("data"), changes)

"""The price of differential privacy: `bench_privacy.py adult [REPEATS]`, or `mnist`, `tweets`, `digits`.

Adult is trained without privacy and at epsilon 8, 3 and 1 (delta 1e-5), by one recipe set beforehand;
reported are the test part's accuracy, its gaps and each group's own rates, and what a membership-inference
attack on the losses reaches, of rows learned from against test rows. MNIST is trained by a small CNN at
epsilon 3, delta 1e-5. Tweets and spoken digits are trained without privacy and at two epsilons, from the
parts that `assay retrain` has prepared in data/. ASSAY_MIRROR names the folder with adult/ and mnist/. A
table is printed, and a figure is written beside it, where PRICE names a folder.
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from tasks.evaluate.performance import macro_f1
from tasks.ingest.described import describe, row_digests, type_frame
from tasks.ingest.kinds import kind_of
from tasks.model.predictor import Predictor
from tasks.plan import Plan, load_plan, parse_plan
from tasks.plan.data import Classes
from tasks.privacy.membership import attack, greatest_advantage
from tasks.train.private import fit_rows
from tasks.train.records import Trained
from tasks.train.train import train

EPSILONS = (None, 8.0, 3.0, 1.0)
JUDGED = 200  # rows of a group below which its rates are shown and no gap is made of them
ADULT: dict[str, Any] = {
    "seed": 20260101,
    "features": {"exclude": ["fnlwgt"], "bins": 16, "embedding": 8},
    "model": {"kind": "mlp", "hidden": [64], "dropout": 0.0},
    "training": {
        "epochs": 8,
        "batch": 1024,
        "optimizer": {"kind": "adam", "rate": 0.01},
        "schedule": {"kind": "cosine", "warmup_epochs": 0.0},
        "patience": None,
        "clip_norm": None,
    },
}
MNIST: dict[str, Any] = {
    "seed": 20260101,
    "split": {"validation": 0.02},
    "privacy": {"kind": "dp_sgd", "epsilon": 3, "delta": 1e-5, "clip": 1.0},
    "model": {"kind": "cnn", "channels": [16, 32], "hidden": [32], "dropout": 0.0, "norm": "group"},
    "training": {
        "epochs": int(os.environ.get("EPOCHS", "12")),
        "batch": 512,
        "optimizer": {"kind": "sgd", "rate": 0.5, "momentum": 0.9},
        "schedule": {"kind": "cosine", "warmup_epochs": 0.5},
        "patience": None,
        "clip_norm": None,
    },
}
SLOPE: dict[str, Any] = {
    "schedule": {"kind": "cosine", "warmup_epochs": 0.5},
    "patience": None,
    "clip_norm": None,
}
MINILM = load_plan("hate-speech-minilm", Path(__file__).parents[2] / "data").model_dump(mode="json")[
    "recipe"
]["model"]
HEAD_ALONE: dict[str, Any] = {
    "features": {"length": 32},
    "model": {**MINILM, "frozen_layers": MINILM["layers"]},
    "training": {"epochs": 15, "batch": 1024, "optimizer": {"kind": "adam", "rate": 0.005}, **SLOPE},
}
BYTES: dict[str, Any] = {
    "features": {"tokenizer": "byte", "length": 140, "embedding": 32},
    "model": {"kind": "transformer", "width": 32, "heads": 2, "layers": 1, "feedforward": 64, "dropout": 0.0},
    "training": {"epochs": 10, "batch": 512, "optimizer": {"kind": "adam", "rate": 0.002}, **SLOPE},
}
DIGITS: dict[str, Any] = {
    "features": {"kind": "audio", "mels": 40, "window_seconds": 0.032, "hop_seconds": 0.016, "seconds": 1.0},
    "model": {"kind": "cnn", "channels": [16, 32], "hidden": [32], "dropout": 0.0, "norm": "group"},
    "training": {"epochs": 30, "batch": 256, "optimizer": {"kind": "adam", "rate": 0.003}, **SLOPE},
}
OTHERS: dict[str, tuple[tuple[str, str, float, dict[str, Any]], ...]] = {
    "tweets": (
        ("the head on MiniLM, 32 tokens", "hate-speech-minilm", 1e-5, HEAD_ALONE),
        ("a Transformer of bytes", "hate-speech", 1e-5, BYTES),
    ),
    "digits": (("a CNN on log-mel spectrograms", "spoken-digits", 1e-4, DIGITS),),
}
"""What is trained of texts and recordings: in words, whose plan judges it, delta, and the recipe."""


def show(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a report


def plan_of(name: str, recipe: dict[str, Any]) -> Plan:
    """A shipped plan by another recipe, without raking, on one thread."""
    document = load_plan(name, Path(__file__).parents[2] / "data").model_dump(mode="json")
    document["judgement"]["population"] = None
    document["operations"]["compute"] = {"threads": 1}
    return parse_plan(name, {**document, "recipe": recipe}, name)


def part_of(plan: Plan, part: str) -> pl.DataFrame:
    """Typed rows with their digests, from the mirror."""
    data = plan.judgement.data
    with tempfile.TemporaryDirectory() as scratch:
        paths = []
        for source in data.sources:
            if source.part == part:
                packed = Path(os.environ["ASSAY_MIRROR"]) / plan.name / f"{source.name}.gz"
                paths.append(Path(scratch) / source.name)
                paths[-1].write_bytes(gzip.decompress(packed.read_bytes()))
        typed = type_frame(kind_of(data).read(paths, data), plan.judgement)
    return typed.with_columns(pl.Series("row_digest", row_digests(typed, data)))


def trained(plan: Plan, frame: pl.DataFrame, folder: Path) -> tuple[Trained, Predictor, float]:
    """The plan's model, and the seconds that it took."""
    begun = perf_counter()
    described = describe(frame, plan.judgement)
    found = train(frame, described, None, plan, folder / "model", folder / "checkpoints")
    return found, Predictor.load(folder / "model"), perf_counter() - begun


def losses(predictor: Predictor, frame: pl.DataFrame, plan: Plan) -> np.ndarray:
    """Cross-entropy (n,) of each row."""
    label = plan.judgement.data.label
    assert isinstance(label, Classes)
    scores = np.asarray(predictor.scores(frame), dtype=float)
    truth = frame[label.column].replace_strict({name: i for i, name in enumerate(label.values)}).to_numpy()
    return -np.log(np.clip(scores[np.arange(len(truth)), truth], 1e-12, None))


def rates(predictor: Predictor, frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """One row for each group of each attribute, and one for all: n, accuracy, selection rate, TPR, FPR."""
    label = plan.judgement.data.label
    assert isinstance(label, Classes)
    answers = predictor.predict(frame.to_pandas())["prediction"].to_numpy()
    described = describe(frame, plan.judgement).with_columns(
        chosen=pl.Series(answers == label.positive), positive=pl.col("label") == label.positive
    )
    figures = [
        pl.len().alias("n"),
        pl.col("positive").sum().alias("positives"),
        (pl.col("chosen") == pl.col("positive")).mean().alias("accuracy"),
        pl.col("chosen").mean().alias("selection rate"),
        pl.col("chosen").filter(pl.col("positive")).mean().alias("TPR"),
        pl.col("chosen").filter(~pl.col("positive")).mean().alias("FPR"),
    ]
    parts = [described.select(pl.lit("all").alias("group"), *figures)]
    for attribute in plan.judgement.protected:
        own = described.group_by(pl.col(attribute).alias("group")).agg(figures).sort("group")
        parts.append(
            own.with_columns(pl.concat_str(pl.lit(f"{attribute}: "), pl.col("group")).alias("group"))
        )
    return pl.concat(parts)


def gap(found: pl.DataFrame, attribute: str, rate: str) -> float:
    """Greatest difference of a rate between groups of an attribute that are judged."""
    own = found.filter(pl.col("group").str.starts_with(f"{attribute}: ") & (pl.col("n") >= JUDGED))[rate]
    return float(own.max() - own.min())  # type: ignore[operator]


def adult(repeats: int) -> None:
    plain = plan_of("adult", ADULT)
    learned, test = part_of(plain, "train"), part_of(plain, "test")
    table: dict[float | None, list[pl.DataFrame]] = {}
    show("| epsilon | noise | accuracy | gap by sex: selection, TPR, FPR | by race: accuracy | attack | s |")
    show("|---|---|---|---|---|---|---|")
    for epsilon in EPSILONS:
        privacy = (
            None if epsilon is None else {"kind": "dp_sgd", "epsilon": epsilon, "delta": 1e-5, "at_once": 512}
        )
        plan = plan_of("adult", {**ADULT, "privacy": privacy})
        members = learned.filter(pl.col("row_digest").is_in(fit_rows(learned, plan)))
        for _ in range(1 if epsilon is None else repeats):  # without noise each is the same
            with tempfile.TemporaryDirectory() as scratch:
                record, predictor, seconds = trained(plan, learned, Path(scratch))
            found = rates(predictor, test, plan)
            table.setdefault(epsilon, []).append(found)
            reached = attack(losses(predictor, members, plan), losses(predictor, test, plan))
            by_sex = ", ".join(f"{gap(found, 'sex', rate):.3f}" for rate in ("selection rate", "TPR", "FPR"))
            most = "" if epsilon is None else f" (at most {greatest_advantage(epsilon, 1e-5):.2f})"
            noise = f"{record.privacy.mechanism.noise:.3f}" if record.privacy else "none"
            show(
                f"| {epsilon or 'none'} | {noise} | {found['accuracy'][0]:.4f} | {by_sex} "
                f"| {gap(found, 'race', 'accuracy'):.3f} | {reached.advantage:+.4f} "
                f"[{reached.low:+.4f}, {reached.high:+.4f}]{most} | {seconds:.0f} |"
            )
    means = {epsilon: _mean(runs) for epsilon, runs in table.items()}
    figures = ("accuracy", "selection rate", "TPR", "FPR")
    show(
        "\n| group | n | " + " | ".join(f"{', '.join(figures)} at {each or 'none'}" for each in means) + " |"
    )
    show("|---|---|" + "---|" * len(means))
    for i, group in enumerate(means[None]["group"]):
        cells = [", ".join(f"{one[figure][i]:.3f}" for figure in figures) for one in means.values()]
        show(f"| {group} | {means[None]['n'][i]:,} | " + " | ".join(cells) + " |")
    if folder := os.environ.get("PRICE"):
        draw(table, Path(folder) / "privacy_price.png")


def _mean(runs: list[pl.DataFrame]) -> pl.DataFrame:
    """Mean of each figure over repeated trainings, groups in order."""
    return (
        pl.concat(runs)
        .group_by("group", maintain_order=True)
        .mean()
        .with_columns(pl.col("n", "positives").cast(int))
    )


def draw(table: dict[float | None, list[pl.DataFrame]], path: Path) -> None:
    """What each group's accuracy and TPR lose against the model without privacy, by epsilon.

    A mark is the mean of the trainings, its line reaches from the least to the most. Groups with too few rows
    (of the positive class for TPR) are left out: there a row or two make the change.
    """
    import matplotlib.pyplot as plt

    from tasks.report.style import COLOURS

    figure, both = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    private = [epsilon for epsilon in table if epsilon is not None]
    for axes, (rate, rows) in zip(both, (("accuracy", "n"), ("TPR", "positives")), strict=True):
        without = _mean(table[None])
        kept = (without[rows] >= JUDGED).to_numpy().nonzero()[0]
        places = np.arange(len(kept))
        for k, epsilon in enumerate(private):
            runs = np.stack([one[rate].to_numpy()[kept] for one in table[epsilon]])
            change = runs - without[rate].to_numpy()[kept]
            middle, at = change.mean(axis=0), places + 0.22 * (k - 1)
            reach = np.abs(np.stack([change.min(axis=0), change.max(axis=0)]) - middle)
            name = f"epsilon {epsilon:g}"
            axes.errorbar(middle, at, xerr=reach, fmt="osd"[k], color=COLOURS[k], label=name, markersize=5)
        axes.axvline(0, color="0.6", linewidth=1)
        axes.set_xlabel(f"change in {rate} against no privacy")
        axes.set_yticks(places, [f"{without['group'][int(i)]} ({without[rows][int(i)]:,})" for i in kept])
        axes.invert_yaxis()
        axes.set_title("all rows of a group" if rows == "n" else "rows of the positive class", fontsize=10)
        axes.locator_params(axis="x", nbins=5)
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(private))
    figure.savefig(path, dpi=150)
    show(f"\nFigure: {path}")


def mnist() -> None:
    plan = plan_of("mnist", MNIST)
    frame, test = part_of(plan, "train"), part_of(plan, "test")
    with tempfile.TemporaryDirectory() as scratch:
        record, predictor, seconds = trained(plan, frame, Path(scratch))
    label = plan.judgement.data.label.column
    answers = predictor.predict(test.to_pandas())["prediction"].to_numpy()
    right = float((answers == test[label].to_numpy()).mean())
    show(f"MNIST, {record.parameters:,} parameters, {record.fit_rows:,} rows: accuracy {right:.4f}")
    show(f"{record.privacy.summary if record.privacy else ''}; {seconds:.0f} s")


def others(name: str) -> None:
    """Accuracy and macro-F1 on the test part, by one recipe set beforehand, without privacy and with."""
    show("| model | epsilon | noise | accuracy | macro-F1 | s |\n|---|---|---|---|---|---|")
    for what, of, delta, recipe in OTHERS[name]:
        # Without privacy the blocks, which never learn, would be computed again in each epoch.
        for epsilon in (None, 8.0, 3.0) if recipe is not HEAD_ALONE else (8.0, 3.0):
            private = {"kind": "dp_sgd", "epsilon": epsilon, "delta": delta, "clip": 1.0, "at_once": 256}
            own = {**recipe, "seed": 20260101, "split": {"validation": 0.05}}
            plan = plan_of(of, own if epsilon is None else {**own, "privacy": private})
            learned, test = (prepared_part(plan, part) for part in ("train", "test"))
            with tempfile.TemporaryDirectory() as scratch:
                record, predictor, seconds = trained(plan, learned, Path(scratch))
            label = plan.judgement.data.label
            assert isinstance(label, Classes)
            place = {value: i for i, value in enumerate(label.values)}
            answers = predictor.predict(test.to_pandas())["prediction"]
            truth, told = (
                np.array([place[str(value)] for value in values]) for values in (test[label.column], answers)
            )
            noise = f"{record.privacy.mechanism.noise:.3f}" if record.privacy else "none"
            figures = f"{(truth == told).mean():.4f} | {macro_f1(truth, told, len(place)).value:.4f}"
            show(f"| {what} | {epsilon or 'none'} | {noise} | {figures} | {seconds:.0f} |")


def prepared_part(plan: Plan, part: str) -> pl.DataFrame:
    """Typed rows with their digests, as DVC's stages prepared them."""
    path = Path(__file__).parents[2] / "data" / plan.name / "prepared" / f"{part}.parquet"
    raw = pl.read_parquet(path)
    return type_frame(raw, plan.judgement).with_columns(raw["row_digest"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["mnist"]:
        mnist()
    elif sys.argv[1:] and sys.argv[1] in OTHERS:
        others(sys.argv[1])
    else:
        adult(int(sys.argv[2]) if len(sys.argv) > 2 else 1)

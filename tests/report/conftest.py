"""Records of an invented run, plausible in every number."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tasks.evaluate.records import Estimate, Opened, Paired
from tasks.evidence.records import Dataset, FileRef, Part
from tasks.fairness.cube import Cube
from tasks.fairness.verdict import GroupRate, Judged, Verdict, Verdicts
from tasks.register.records import Registration
from tasks.represent.records import ColumnDrift, Raked, Ratio, Represented
from tasks.train.records import Epoch, Trained

FILE = FileRef(path="x", sha256="ab" * 32, bytes=1)
SELECTED = {
    "White": (0.22, 13946),
    "Black": (0.13, 1561),
    "Asian-Pac-Islander": (0.25, 480),
    "Amer-Indian-Eskimo": (0.11, 159),
    "Other": (0.14, 135),
}


def rate(name: str, group: str, share: float, n: int, *, judged: bool = True) -> GroupRate:
    half = 1.96 * (share * (1 - share) / n) ** 0.5
    low, high = max(0.0, share - half), min(1.0, share + half)
    return GroupRate(
        rate_name=name,
        group=group,
        events=round(share * n),
        n=n,
        rate=share,
        low=low,
        high=high,
        judged=judged,
    )


def limit(metric: str, attribute: str, verdict: Verdict, groups: list[GroupRate], **more: Any) -> Judged:
    fields = {
        "metric": metric,
        "attribute": attribute,
        "limit": 0.14,
        "verdict": verdict,
        "measurement": 0.0834,
        "low": 0.0712,
        "high": 0.0957,
        "alpha": 0.05,
        "comparisons": 2,
        "n": 16281,
        "worst": (groups[0].rate_name, groups[0].group, groups[-1].group),
        "groups": tuple(groups),
        "sentence": f"{metric} 0.0834 against the limit 0.14",
    }
    return Judged(**{**fields, **more})


@pytest.fixture
def verdicts() -> Verdicts:
    sexes = [rate("selection_rate", "Male", 0.226, 10860), rate("selection_rate", "Female", 0.143, 5421)]
    odds = [
        rate("tpr", "Male", 0.64, 3256),
        rate("tpr", "Female", 0.71, 590),
        rate("fpr", "Male", 0.08, 7604),
        rate("fpr", "Female", 0.06, 4831),
    ]
    races = [rate("selection_rate", name, share, n, judged=n > 140) for name, (share, n) in SELECTED.items()]
    empty = GroupRate(rate_name="ppv", group="Other", events=0, n=0, rate=None, low=None, high=None)
    precision = [rate("ppv", "White", 0.7, 3000), rate("ppv", "Black", 0.68, 200), empty]
    return Verdicts(
        judged=(
            limit("demographic_parity_difference", "sex", Verdict.PASS, sexes),
            limit("equalized_odds_difference", "sex", Verdict.FAIL, odds, limit=0.05, measurement=0.07),
            limit(
                "demographic_parity_ratio",
                "race",
                Verdict.INCONCLUSIVE,
                races,
                limit=0.5,
                settles="about 320 more rows of Amer-Indian-Eskimo",
                not_judged=("Other",),
            ),
            limit(
                "predictive_parity_difference",
                "race",
                Verdict.INCONCLUSIVE,
                precision,
                measurement=None,
                low=None,
                high=None,
                worst=None,
            ),
        )
    )


@pytest.fixture
def sample() -> Represented:
    def ratio(attribute: str, level: str, n: int, population: float) -> Ratio:
        share = n / 32561
        value = share / population
        half = 1.96 * ((1 - share) / n) ** 0.5
        return Ratio(
            attribute=attribute,
            level=level,
            n=n,
            sample_share=share,
            population_share=population,
            ratio=value,
            low=value * (1 - half),
            high=value * (1 + half),
            raked_share=population * 1.004,
            verdict=None,
        )

    return Represented(
        ratios=(
            ratio("sex", "Female", 10771, 0.466),
            ratio("sex", "Male", 21790, 0.534),
            ratio("race", "White", 27816, 0.851),
            ratio("race", "Black", 3124, 0.106),
            ratio("race", "Other", 271, 0.021),
            ratio("sex x race", "Female x Black", 1555, 0.055),
            ratio("sex x race", "Male x Other", 62, 0.011),
        ),
        effects={},
        raked=Raked(
            attributes=("sex", "race"),
            cells={"Female x Black": 1.4},
            effective_size=29000.0,
            effective_share=0.89,
            maximum_weight=2.4,
            worst_margin_error=0.004,
            iterations=5,
        ),
        drift=(
            ColumnDrift(column="age", statistic="wasserstein", value=0.02, limit=0.1, drifted=False),
            ColumnDrift(column="hours|week", statistic="wasserstein", value=0.2, limit=0.1, drifted=True),
        ),
        drift_against="test against train",
        warnings=("sex Female: ratio 0.71 (0.70 to 0.72), outside 0.8 to 1.25",),
        problems=(),
    )


@pytest.fixture
def trained() -> Trained:
    history = tuple(
        Epoch(
            epoch=e,
            train_loss=0.3 + 0.2 / e,
            validation_loss=0.31 + 0.2 / e + 0.002 * max(0, e - 8),
            validation_metric=0.86,
            rate=0.001,
        )
        for e in range(1, 13)
    )
    return Trained(
        folder="model",
        files=(FILE,),
        digest="cd" * 32,
        history=history,
        best_epoch=8,
        validation={"accuracy": 0.86},
        parameters=23456,
        flops=10**10,
        device="cpu",
        threads=2,
        torch="2.13.0",
        fit_rows=27000,
        validation_rows=5000,
    )


@pytest.fixture
def cube() -> Cube:
    draw = np.random.default_rng(0)
    n = 16000
    race = draw.choice(list(SELECTED), n, p=[0.85, 0.1, 0.03, 0.0195, 0.0005])
    score = draw.beta(0.6, 1.8, n)
    truth = np.where(
        draw.random(n) < np.clip(score * np.where(race == "Black", 0.8, 1), 0, 1), ">50K", "<=50K"
    )
    return Cube.from_arrays(
        truth,
        np.where(score >= 0.5, ">50K", "<=50K"),
        {"race": race, "sex": draw.choice(["Female", "Male"], n)},
        score=score,
        score_edges=np.quantile(score, np.linspace(0, 1, 21)[1:-1]).tolist(),
        labels=["<=50K", ">50K"],
        positive=">50K",
    )


@pytest.fixture
def records(
    tmp_path: Path, verdicts: Verdicts, sample: Represented, trained: Trained, cube: Cube
) -> dict[str, Any]:
    (tmp_path / "cube.json").write_bytes(cube.to_json())
    part = Part(file=FILE, rows=32561)
    return {
        "data": Dataset(name="adult", sources=(), train=part, test=part, digest="ef" * 32),
        "representativeness": sample,
        "freeze": trained,
        "opening": Opened(
            rows=16281,
            predictions=FILE,
            cube=FileRef.of(tmp_path / "cube.json", relative_to=tmp_path),
            performance=(
                Estimate(name="accuracy", value=0.8585, low=0.853, high=0.864, n=16281),
                Estimate(name="auc", value=0.9123, low=0.907, high=0.917, n=16281),
            ),
        ),
        "verdicts": verdicts,
        "registration": Registration(
            ending="Registered",
            model="adult",
            version="3",
            model_uri="models:/m-1",
            alias="champion",
            because="4 PASS of 4 limits; version 3 is champion",
            served_rows=16281,
            champion_before="2",
            paired=Paired(
                n=16281,
                better=210,
                worse=190,
                difference=0.0012,
                low=-0.0021,
                high=0.0045,
                margin=0.01,
                alpha=0.05,
                verdict="not worse",
            ),
        ),
        "ending": SimpleNamespace(ending="Registered", message="4 PASS of 4 limits; version 3 is champion"),
    }

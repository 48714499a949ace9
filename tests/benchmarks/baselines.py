"""Other models, fitted on a plan's training part and scored on its test part, for `make full` to set beside.

Their settings were chosen on validation rows, as the plans' own were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline

from tasks.ingest.described import type_frame
from tasks.plan import Plan, load_plan

DATA = Path(__file__).parents[2] / "data"


def part_of(plan: Plan, part: Literal["train", "test"], data: Path) -> tuple[pl.Series, pl.Series]:
    """What the model is given, and the classes, of a part as DVC's stages prepared it."""
    judgement = plan.judgement
    frame = type_frame(pl.read_parquet(data / plan.name / "prepared" / f"{part}.parquet"), judgement)
    return frame[str(judgement.data.payload)], frame[judgement.data.label.column]


def tfidf(name: str, data: Path = DATA) -> float:
    """Macro-F1 of logistic regression on TF-IDF of words and pairs of words.

    Rare words are left out, counts are taken by their logarithm, and the classes balanced: on validation
    rows that was better than all words, single words or the classes as they are.
    """
    plan = load_plan(name, data)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(class_weight="balanced", max_iter=2000),
    )
    model.fit(*(column.to_list() for column in part_of(plan, "train", data)))
    texts, classes = part_of(plan, "test", data)
    return float(f1_score(classes.to_list(), model.predict(texts.to_list()), average="macro"))


BASELINES: Mapping[str, Callable[[str], float]] = MappingProxyType({"tfidf": tfidf})

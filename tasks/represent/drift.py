"""Drift between two versions of the inputs: measured on every row, drawn by Evidently on a seeded sample.

Each column has one pinned statistic, an effect size that does not depend on the number of rows:
Evidently's own choice changes at 1,000 rows, and its p-values with n. The distances that decide are
those of `tasks.represent.distances`, which are Evidently's values; its page is for people, and on parts
larger than its sample it shows the sample's. No label is looked at.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tasks.evidence.digest import canonical_json, write_atomically
from tasks.evidence.records import FileRef
from tasks.plan.judgement import Drift, Judgement
from tasks.represent.distances import SMALLEST_DEVIATION, category_distance, number_distance
from tasks.represent.records import ColumnDrift

SAMPLE_ROWS = 10_000  # drawn: Evidently takes 40 s for a million rows, 1 s for these
SEED = 0  # not the plan's: a recipe's seed must not move a verdict on the data
STATISTICS = {"category": "jensenshannon", "number": "wasserstein"}  # Evidently's names
MISSING = "(missing)"
DIGITS = 12  # Evidently adds up over a set of strings, whose order changes the last bits


@dataclass(frozen=True, slots=True)
class Drifted:
    """What was measured, the plan's rules that do not hold, and the reports."""

    columns: tuple[ColumnDrift, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    reports: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class _Feature:
    """A column as it is compared: ``kind`` is "category" or "number"."""

    name: str
    kind: str
    personal: bool
    before: pl.Series
    now: pl.Series

    def limit(self, drift: Drift) -> float:
        is_number = self.kind == "number"
        return drift.maximum_number_distance if is_number else drift.maximum_category_distance

    def distance(self) -> float:
        measure = number_distance if self.kind == "number" else category_distance
        return measure(self.before, self.now)

    @property
    def has_values(self) -> bool:
        return all(series.null_count() < series.len() for series in (self.before, self.now))

    def sampled(self) -> _Feature:
        return replace(self, before=_sampled(self.before), now=_sampled(self.now))


def measure_drift(now: pl.DataFrame, before: pl.DataFrame, judgement: Judgement, folder: Path) -> Drifted:
    """Measure how far each input column of ``now`` is from ``before``.

    Columns marked `unique`, the sampling unit and columns that divide the parts are left out: their
    values differ by design. A number that may be missing is compared twice, by its values and by whether
    it is there.

    Args:
        now: the training rows.
        before: the rows compared with: the champion's training rows, or the test part's inputs.
        judgement: the columns and the limits.
        folder: the run's folder; ``reports/drift.html`` and ``drift.json`` are written below it, from
            at most `SAMPLE_ROWS` rows a side. Columns marked `personal` are measured and are in neither.

    Returns:
        one record per column; the reports' paths are relative to ``folder``.
    """
    features, problems = _features(judgement, before, now)
    samples = [feature.sampled() for feature in features if not feature.personal]
    shown = [feature for feature in samples if feature.has_values]
    reports = _file(_snapshot(shown, judgement.drift), folder) if shown else ()
    columns = tuple(_record(feature, feature.distance(), judgement.drift) for feature in features)
    far = [column for column in columns if column.drifted]
    return Drifted(
        columns=columns,
        warnings=tuple(_sentence(column) for column in far),
        problems=(*problems, *_share_problems(columns, judgement.drift)),
        reports=reports,
    )


def _sampled(series: pl.Series) -> pl.Series:
    """The same rows of every column."""
    if series.len() <= SAMPLE_ROWS:
        return series
    rows = np.random.default_rng(SEED).choice(series.len(), SAMPLE_ROWS, replace=False, shuffle=False)
    return series.gather(np.sort(rows))


def _features(
    judgement: Judgement, before: pl.DataFrame, now: pl.DataFrame
) -> tuple[list[_Feature], list[str]]:
    features: list[_Feature] = []
    problems: list[str] = []
    for name, column in judgement.data.described().items():
        if column.unique or name == judgement.unit or name in judgement.test_set.where:
            continue
        if lacking := [
            part for part, frame in (("before", before), ("now", now)) if name not in frame.columns
        ]:
            problems.append(f"drift: column {name!r} is absent {' and '.join(lacking)}: it can't be compared")
            continue
        pair = before[name], now[name]
        if column.type == "category":
            features.append(_Feature(name, "category", column.personal, *map(_text, pair)))
            continue
        if column.nullable:
            there = (series.is_not_null().cast(pl.String) for series in pair)
            features.append(_Feature(f"{name} is there", "category", column.personal, *there))
        numbers = _numbers(*pair)
        if any(series.drop_nulls().is_empty() for series in numbers):
            problems.append(
                f"drift: column {name!r} holds no finite number on one side: it can't be compared"
            )
            continue
        features.append(_Feature(name, "number", column.personal, *numbers))
    return features, problems


def _text(series: pl.Series) -> pl.Series:
    return series.cast(pl.String).fill_null(MISSING)


def _numbers(before: pl.Series, now: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Finite values, the rest null, on a scale on which Evidently's norm is the standard deviation."""
    old, new = (_finite(series.cast(pl.Float64)) for series in (before, now))
    deviation = 0.0 if old.drop_nulls().is_empty() else float(np.std(old.drop_nulls().to_numpy()))
    if 0 < deviation < SMALLEST_DEVIATION:
        return old / deviation, new / deviation
    return old, new


def _finite(numbers: pl.Series) -> pl.Series:
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()


def _snapshot(features: Sequence[_Feature], drift: Drift) -> Any:
    """Run Evidently's report: ``before`` is the reference, ``now`` the current data."""
    # The import takes 4 s and tells its maker's server of its use unless told not to.
    os.environ["DO_NOT_TRACK"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own use of numpy.core and litestar
        warnings.simplefilter("ignore", RuntimeWarning)  # its correlations of columns that are constant
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - see above
        from evidently.metrics import DriftedColumnsCount, ValueDrift  # noqa: PLC0415

        definition = DataDefinition(
            numerical_columns=[feature.name for feature in features if feature.kind == "number"],
            categorical_columns=[feature.name for feature in features if feature.kind == "category"],
        )
        now, before = (
            Dataset.from_pandas(_pandas(features, side), data_definition=definition)
            for side in ("now", "before")
        )
        count = DriftedColumnsCount(
            cat_method=STATISTICS["category"],
            num_method=STATISTICS["number"],
            cat_threshold=drift.maximum_category_distance,
            num_threshold=drift.maximum_number_distance,
            drift_share=drift.maximum_drifted_share,
        )
        each = [
            ValueDrift(column=f.name, method=STATISTICS[f.kind], threshold=f.limit(drift)) for f in features
        ]
        return Report([count, *each], include_tests=True).run(now, before)


def _pandas(features: Sequence[_Feature], side: str) -> Any:
    return pl.DataFrame({feature.name: getattr(feature, side) for feature in features}).to_pandas()


def _file(snapshot: Any, folder: Path) -> tuple[FileRef, ...]:
    """Write both reports so that the same measurement gives the same bytes."""
    html, figures = folder / "reports" / "drift.html", folder / "reports" / "drift.json"
    write_atomically(html, _numbered(snapshot.get_html_str(as_iframe=False)).encode())
    write_atomically(figures, canonical_json(_rounded(json.loads(snapshot.json()))))
    return FileRef.of(html, folder), FileRef.of(figures, folder)


def _numbered(html: str) -> str:
    """Replace the page's random identifiers by running numbers."""
    seen: dict[str, str] = {}
    pattern = r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|(?<=metric_)[0-9a-f]{32}"
    return re.sub(pattern, lambda match: seen.setdefault(match[0], f"{len(seen):032d}"), html)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _record(feature: _Feature, value: float, drift: Drift) -> ColumnDrift:
    limit = feature.limit(drift)
    return ColumnDrift(
        column=feature.name,
        statistic=STATISTICS[feature.kind],
        value=round(value, DIGITS),
        limit=limit,
        drifted=not value < limit,  # at the limit it has drifted, as Evidently's page says
    )


def _sentence(column: ColumnDrift) -> str:
    return f"drift: {column.column}: {column.statistic} distance {column.value:.3f} >= limit {column.limit:g}"


def _share_problems(columns: Sequence[ColumnDrift], drift: Drift) -> list[str]:
    if not columns:
        return ["drift: no column could be compared, so nothing is known of it; see judgement.data.columns"]
    far = [column.column for column in columns if column.drifted]
    share = len(far) / len(columns)
    if share <= drift.maximum_drifted_share:
        return []
    message = (
        f"drift: {len(far)} of {len(columns)} columns ({share:.0%}) drifted > maximum_drifted_share "
        f"{drift.maximum_drifted_share:.0%}: {', '.join(far)}; find out what changed in the source before a "
        "model learns from it"
    )
    return [message]

"""Tables with a planted answer, and the published predictions of COMPAS."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.audit.audit import Asked
from tasks.audit.records import Columns

Write = Callable[..., Path]


@pytest.fixture
def compas(mirror: Path) -> Asked:
    """ProPublica's rows: prediction `score`, truth `label_value`, 7,214 people."""
    columns = Columns(label="label_value", prediction="score", groups=("race", "sex"))
    return Asked(mirror / "compas" / "compas_for_aequitas.csv", columns)


@pytest.fixture
def planted(tmp_path: Path) -> Write:
    """Write a table in which group `b` is selected so much more often than `a`; as many rows each."""

    def write(rows: int, gap: float, name: str = "planted.csv") -> Path:
        half = rows // 2
        picked = [round(half * share) for share in (0.4, 0.4 + gap)]
        guess = np.concatenate([np.arange(half) < n for n in picked]).astype(int)
        table = pl.DataFrame({"group": ["a"] * half + ["b"] * half, "truth": guess, "guess": guess})
        path = tmp_path / name
        if path.suffix == ".parquet":
            table.write_parquet(path)
        else:
            table.write_csv(path)
        return path

    return write


def asked(path: Path, **more: object) -> Asked:
    """An audit of a planted table."""
    groups = more.pop("groups", ("group",))
    columns = {"label": "truth", "prediction": "guess", "groups": groups} | {
        role: more.pop(role) for role in ("score", "weight", "unit", "label", "prediction") if role in more
    }
    return Asked(path, Columns.model_validate(columns), **more)  # type: ignore[arg-type]

"""Files of rows: the same cube as from arrays, whatever the format and the batches."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.fairness import Cube, parquet

COLUMNS = {"y_true": "y", "y_pred": "k", "groups": ["g", "b"], "score": "s", "weight": "w", "unit": "u"}


def frame(rows: int = 3_000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    # The last group and class occur in the last batches alone.
    late = np.arange(rows) > rows * 0.9
    group = np.where(late, "late", rng.choice(["a", "b"], rows)).tolist()
    return pl.DataFrame(
        {
            "y": rng.integers(0, 2, rows),
            "k": np.where(late, 2, rng.integers(0, 2, rows)).astype(float),
            "g": [
                None if missing else name for name, missing in zip(group, rng.random(rows) < 0.1, strict=True)
            ],
            "b": rng.random(rows) < 0.5,
            "s": rng.random(rows),
            "w": rng.integers(1, 8, rows) / 4,
            "u": rng.integers(0, 400, rows),
            "other": ["x"] * rows,
        }
    )


def from_arrays(rows: pl.DataFrame) -> Cube:
    groups = {name: rows[name] for name in ("g", "b")}
    return Cube.from_arrays(rows["y"], rows["k"], groups, score=rows["s"], weight=rows["w"], unit=rows["u"])


@pytest.mark.parametrize("batch", [7, 700, 1 << 20])
@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv"])
def test_a_file_gives_the_cube_of_its_rows(
    tmp_path: Path, ending: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH", batch)
    rows, path = frame(300 if batch == 7 else 3_000), tmp_path / f"rows{ending}"
    if ending == ".parquet":
        rows.write_parquet(path, row_group_size=100)
    else:
        rows.write_csv(path, separator="," if ending == ".csv" else "\t")
    cube = Cube.from_file(path, **COLUMNS)
    assert cube.labels == ("0", "1", "2")
    assert cube.axes["g"] == ("a", "b", "late", "unknown")
    assert cube == from_arrays(rows)


def test_a_folder_of_parquet_with_categories_gives_the_same_cube(tmp_path: Path) -> None:
    rows = frame()
    for i, part in enumerate((rows[:1_000], rows[1_000:])):
        part.with_columns(pl.col("g").cast(pl.Categorical)).write_parquet(tmp_path / f"{i}.parquet")
    assert Cube.from_file(tmp_path, **COLUMNS) == from_arrays(rows)


def test_text_that_says_true_counts_as_parquets_booleans(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("y,k,g\ntrue,TRUE,1.0\nfalse,False,\n")
    cube = Cube.from_file(tmp_path / "a.csv", y_true="y", y_pred="k", groups=["g"])
    assert (cube.labels, cube.positive, cube.axes) == (("False", "True"), "True", {"g": ("1", "unknown")})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"groups": ["gg"]}, "missing: gg: did you mean g?"),
        ({"score": "g"}, "numbers in g, w is expected"),
        ({"y_true": "g"}, "y_true: .* missing"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_without_its_values(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    path = tmp_path / "rows.csv"
    frame().write_csv(path)
    with pytest.raises(ValueError, match=words.replace("?", r"\?")) as caught:
        Cube.from_file(path, **(COLUMNS | change))  # type: ignore[arg-type]
    assert "late" not in str(caught.value)


def test_other_files_and_empty_ones_are_refused(tmp_path: Path) -> None:
    frame().head(0).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="rows are expected, found none"):
        Cube.from_file(tmp_path / "none.parquet", **COLUMNS)
    with pytest.raises(ValueError, match=r"\.parquet, \.csv or \.tsv"):
        Cube.from_file(tmp_path / "rows.xlsx", **COLUMNS)

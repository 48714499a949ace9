"""Files of rows: the same cube as from arrays, whatever the format and the batches."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.fairness import Cube, batches, parquet

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


@pytest.mark.parametrize(
    "content", ["y,k,g\n1,1,a\n0,0\n1,0,b\n0,1\n", "y,k,g\n1,1,a\n0,0,b,c\n1,0,b\n0,1\n"]
)
@pytest.mark.parametrize("batch", [2, 1 << 20])
def test_rows_of_another_length_are_refused_with_their_line(
    tmp_path: Path, content: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH", batch)
    path = tmp_path / "rows.csv"
    path.write_text(content)
    fields = 4 if "c" in content else 2
    with pytest.raises(ValueError, match=f"rows.csv: line 3 has {fields} of 3 fields.*; 1 more line"):
        Cube.from_file(path, y_true="y", y_pred="k", groups=["g"])
    path.write_text('y,k,g\n1,1,a\n0,0,"b,\nc"\n1,0,\n')  # an empty last field is no short row
    cube = Cube.from_file(path, y_true="y", y_pred="k", groups=["g"])
    assert cube.axes["g"] == ("a", "b,\nc", "unknown")


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
@pytest.mark.parametrize("late", ["missing", "called"])
def test_a_level_called_unknown_is_refused_beside_missing_ones_of_any_batch(
    tmp_path: Path, ending: str, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH", 2)
    marks = ["unknown", None] if late == "missing" else [None, "unknown"]
    rows = pl.DataFrame({"y": [0, 1] * 3, "k": [0, 1] * 3, "g": ["a", marks[0], "a", "b", marks[1], "b"]})
    path = tmp_path / f"rows{ending}"
    for frame_, refused in ((rows, True), (rows[:4], False)):
        if ending == ".parquet":
            frame_.with_columns(pl.col("g").cast(pl.Enum(["b", "a", "unknown"]))).write_parquet(path)
        else:
            frame_.write_csv(path)
        if not refused:
            assert Cube.from_file(path, y_true="y", y_pred="k", groups=["g"]).axes["g"][-1] == "unknown"
            continue
        with pytest.raises(
            ValueError, match="g: a level is called 'unknown', as missing values in other rows"
        ):
            Cube.from_file(path, y_true="y", y_pred="k", groups=["g"])


def test_frames_are_counted_as_one_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "HELD", 50)
    rows, held = frame(), []

    def pieces() -> Iterator[pl.DataFrame]:
        for start in range(0, len(rows), 100):
            piece = rows[start : start + 100]
            held.append(weakref.ref(piece))
            yield piece
            del piece
            assert sum(one() is not None for one in held) <= 2

    assert Cube.from_batches(pieces(), **COLUMNS) == from_arrays(rows)
    assert len(held) == 30
    with pytest.raises(TypeError, match="y_prediction"):
        Cube.from_batches([rows], y_true="y", y_prediction="k", groups=["g"])  # type: ignore[call-arg]


def test_units_take_the_room_of_units_not_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "HELD", 50)
    most = 0
    real = pl.concat

    def measured(parts: list[pl.DataFrame]) -> pl.DataFrame:
        nonlocal most
        most = max(most, sum(map(len, parts)))
        return real(parts)

    monkeypatch.setattr(batches.pl, "concat", measured)
    rows = frame(20_000).with_columns(u=pl.Series(range(20_000)) % 20, k=0, s=0.5, g=pl.lit("a"), b=True)
    cube = Cube.from_batches((rows[i : i + 30] for i in range(0, 20_000, 30)), **COLUMNS)
    assert cube.units is not None
    assert cube.units.size == 20
    assert 100 < most < 200  # twice what 20 units hold or HELD, and a batch

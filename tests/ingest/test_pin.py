"""Pinning by DVC: what is up to date is left, what is damaged is named, what is new just runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from tasks.errors import PlanError, Refusal, SourceAbsent, SourceAltered, SourceError, SourceUnreachable
from tasks.evidence.digest import digest_file
from tasks.evidence.records import Dataset
from tasks.ingest.parts import read_part
from tasks.ingest.pin import pin
from tasks.ingest.pipeline import damaged_copies
from tasks.ingest.rebuild import fetch_parts

from .conftest import Small, rows, sha256

# Of DVC's own making.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning")


def cached_copy(top: Path, content: bytes) -> Path:
    """DVC's cached object with this content."""
    objects = [path for path in (top / ".dvc" / "cache").rglob("*") if path.is_file()]
    return next(path for path in objects if path.read_bytes() == content)


def flip(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(0o444)


def test_a_folder_with_plan_and_card_just_runs(small: Small) -> None:
    plan = small.plan()
    dataset = pin(plan, small.top)
    assert (dataset.train.rows, dataset.test.rows) == (60, 30)
    assert [file.sha256 for file in dataset.sources] == [sha256(content) for content in small.files.values()]
    assert [file.path for file in dataset.sources] == ["data/small/raw/train.csv", "data/small/raw/test.csv"]
    frame = read_part(dataset, "train", plan.judgement)
    assert frame.schema["age"] == pl.Int64
    assert frame["row_id"].to_list() == list(range(60))
    manifest = json.loads((small.folder / "manifest.json").read_text())
    assert manifest["parts"]["test"]["sha256"] == dataset.test.file.sha256
    assert "analytics = false" in (small.top / ".dvc" / "config").read_text()


def test_unchanged_is_quick_and_the_same(small: Small) -> None:
    plan = small.plan()
    first = pin(plan, small.top)
    written = {path: path.stat().st_mtime_ns for path in small.folder.rglob("*") if path.is_file()}
    start = time.perf_counter()
    assert pin(plan, small.top) == first
    assert time.perf_counter() - start < 5
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_the_same_without_dvc_anywhere(small: Small, tmp_path: Path) -> None:
    plan = small.plan()
    pinned, rebuilt = pin(plan, small.top), fetch_parts(plan, tmp_path / "elsewhere", None)
    assert rebuilt.digest == pinned.digest
    assert rebuilt.test.file.sha256 == pinned.test.file.sha256


def test_second_plan_is_added_to_the_first(small: Small) -> None:
    pin(small.plan(), small.top)
    pipeline = small.top / "dvc.yaml"
    pipeline.write_text("# a comment of the user's\n" + pipeline.read_text())
    other = small.top / "data" / "other"
    shutil.copytree(small.folder, other, ignore=shutil.ignore_patterns("raw", "prepared", "manifest.json"))
    from tasks.plan.load import load_plan

    pin(load_plan("other", small.top / "data"), small.top)
    text = pipeline.read_text()
    assert text.startswith("# a comment of the user's\n")
    stages = yaml.safe_load(text)["stages"]
    assert [stages[stage]["matrix"]["plan"] for stage in ("fetch", "prepare")] == [["small", "other"]] * 2


def test_dvc_repro_works_by_itself(small: Small) -> None:
    plan = small.plan()
    expected = pin(plan, small.top)
    shutil.rmtree(small.folder / "prepared")
    import os
    import sys

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["dvc", "repro"], check=True, timeout=120, env={**os.environ, "PATH": path})
    assert digest_file(small.folder / "prepared" / "test.parquet") == expected.test.file.sha256


def test_damaged_cache_is_named_with_the_remedy(small: Small) -> None:
    plan = small.plan()
    whole = pin(plan, small.top)
    copy = cached_copy(small.top, small.files["train.csv"])
    flip(copy)
    shutil.rmtree(small.folder / "raw")
    shutil.rmtree(small.folder / "prepared")
    with pytest.raises(SourceAltered, match="not what they are named after") as caught:
        pin(plan, small.top)
    # The source itself was fetched again, and the altered copy was not used.
    assert (small.folder / "raw" / "train.csv").read_bytes() == small.files["train.csv"]
    assert damaged_copies(small.top, "small") == [copy]
    # The remedy, word for word.
    message = str(caught.value)
    listed = [Path(line.strip()) for line in message.partition("run again:")[2].splitlines() if line.strip()]
    assert copy in listed
    for path in listed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert pin(plan, small.top) == whole
    assert damaged_copies(small.top, "small") == []


def test_prepared_part_damaged_in_the_cache_is_made_anew(small: Small) -> None:
    plan = small.plan()
    whole = pin(plan, small.top)
    flip(cached_copy(small.top, Path(whole.train.file.path).read_bytes()))
    shutil.rmtree(small.folder / "prepared")
    assert pin(plan, small.top) == whole


@pytest.mark.parametrize("name", ["raw/train.csv", "prepared/test.parquet"])
def test_flipped_bit_that_dvc_cannot_see_is_found(small: Small, name: str) -> None:
    import os

    plan = small.plan()
    pin(plan, small.top)
    path = small.folder / name
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SourceAltered, match=str(path.name)):
        pin(plan, small.top)


def test_altered_part_is_not_read(small: Small) -> None:
    plan, dataset = small.dataset()
    flip(small.folder / "prepared" / "test.parquet")
    with pytest.raises(SourceAltered, match="is expected, found"):
        read_part(dataset, "test", plan.judgement)


def test_altered_source_is_named_with_both_hashes(small: Small) -> None:
    plan = small.plan()
    (small.top / "origin" / "test.csv").write_bytes(b"other")
    with pytest.raises(SourceError) as caught:
        pin(plan, small.top)
    assert sha256(small.files["test.csv"]) in str(caught.value)
    assert sha256(b"other") in str(caught.value)
    assert not isinstance(caught.value, SourceAltered | SourceUnreachable)


def test_absent_source_keeps_its_class(small: Small) -> None:
    plan = small.plan()
    (small.top / "origin" / "test.csv").unlink()
    with pytest.raises(SourceAbsent, match="there is no file"):
        pin(plan, small.top)


def test_empty_source_is_called_empty(small: Small) -> None:
    small.put_bytes("train", b"")
    small.put_bytes("test", b"")
    with pytest.raises(Refusal) as caught:
        pin(small.plan(), small.top)
    for name in ("train.csv", "test.csv"):
        assert f"raw/{name}: is empty (0 bytes)" in str(caught.value)
    assert "pin the sha256 of the whole file" in str(caught.value)


def test_archive_without_git_is_told_apart_and_the_remedy_helps(small: Small) -> None:
    """As `git archive` packs a project: with .dvc, without .git."""
    plan = small.plan()
    subprocess.run(["git", "init", "-q"], check=True)
    expected = pin(plan, small.top)
    shutil.rmtree(small.top / ".git")
    with pytest.raises(SourceError, match=r"no git checkout.*unpacked from an archive\?.*`git init`"):
        pin(plan, small.top)
    subprocess.run(["git", "init", "-q"], check=True)
    assert pin(plan, small.top) == expected
    shutil.rmtree(small.top / ".git")
    config = small.top / ".dvc" / "config"
    config.write_text(config.read_text().replace("[core]\n", "[core]\n    no_scm = true\n"))
    assert pin(plan, small.top) == expected


def test_unreadable_source_is_refused(small: Small) -> None:
    small.put("train", [*rows(20), "20,Clerk,1,M,low,9"])
    small.put("test", [*rows(10), "20,Clerk"])
    with pytest.raises(
        Refusal, match=r"test\.csv: .*line 12 has 2 fields.*\ntrain\.csv: .*line 22 has 6 fields"
    ):
        pin(small.plan(), small.top)


def test_missing_card_says_what_it_must_hold(small: Small) -> None:
    plan = small.plan()
    (small.folder / "card.md").unlink()
    with pytest.raises(PlanError, match=r"card.md.*\n.*Origin.*Licence.*Known limits"):
        pin(plan, small.top)


def test_reserved_column_is_refused(small: Small) -> None:
    small.put("train", [f"{row},1" for row in rows(20)], header="age,job,score,sex,income,row_id")
    with pytest.raises(Refusal, match="row_id has a reserved name"):
        pin(small.plan(), small.top)


def test_two_runs_at_once_take_turns(small: Small) -> None:
    plan = small.plan()
    found: list[Dataset] = []
    threads = [threading.Thread(target=lambda: found.append(pin(plan, small.top))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(found) == 2
    assert found[0] == found[1]


def test_units_keep_their_side_when_rows_are_added(small: Small) -> None:
    small.document["judgement"]["test_set"] = {"fraction": 0.4}
    small.document["judgement"]["unit"] = "job"
    small.document["judgement"]["data"]["columns"]["job"] = {"type": "category"}
    parts = []
    for count in (40, 90):
        small.files.clear()
        small.put("all", [f"{20 + i % 50},person {i // 2},{i},F,low" for i in range(count)])
        plan, dataset = small.dataset()
        parts.append([set(read_part(dataset, part, plan.judgement)["job"]) for part in ("train", "test")])
    assert not parts[1][0] & parts[1][1]
    assert all(parts[0][side] <= parts[1][side] for side in (0, 1))
    assert all(parts[0])


def test_a_unit_has_one_side_however_its_number_is_spelled(small: Small) -> None:
    small.document["judgement"]["test_set"] = {"fraction": 0.4}
    small.document["judgement"]["unit"] = "age"
    small.files.clear()
    small.put(
        "all", [f"{spelled},Clerk,{age},F,low" for age in range(17, 57) for spelled in (age, f"0{age}")]
    )
    plan, dataset = small.dataset()
    train, test = (set(read_part(dataset, part, plan.judgement)["age"]) for part in ("train", "test"))
    assert train
    assert test
    assert not train & test


def test_prepared_bytes_are_the_same_every_time(small: Small, tmp_path: Path) -> None:
    plan = small.plan()
    first, second = (fetch_parts(plan, tmp_path / name, None) for name in ("one", "two"))
    assert first.digest == second.digest

"""Raw files in, de-identified files out: formats, tombstones, keys, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from filelock import FileLock

from infra.settings import settings
from tasks.errors import PlanError, Refusal, SourceError
from tasks.evidence.records import Dataset
from tasks.ingest.parts import read_part
from tasks.ingest.rebuild import fetch_parts
from tasks.plan import Plan, parse_plan
from tasks.privacy.keys import Key, file_mark
from tasks.privacy.tokens import token
from tasks.privacy.tombstones import Tombstones, write_tombstones

SECRET = hashlib.sha256(b"of these tests").digest()
KEY = Key(SECRET, "small")
NAMES = "\ufeffANN\n".encode()  # as some editors write it
ROWS = pl.DataFrame(
    {
        "who": [f"p{number // 2}" for number in range(40)],
        "note": ['# Ann, "quoted"\nand more' if number == 3 else None for number in range(40)],
        "born": [f"{1950 + number}-01-02" for number in range(40)],
        "secret": ["x"] * 40,
        "y": ["0", "1"] * 20,
    }
)
DOCUMENT: dict[str, Any] = {
    "judgement": {
        "data": {
            "kind": "tabular",
            "sources": [],
            "format": {"type": "csv", "comment": "#"},
            "columns": {
                "who": {"type": "category"},
                "note": {"type": "category", "nullable": True},
                "born": {"type": "integer"},
            },
            "label": {"column": "y", "values": ["0", "1"], "positive": "1"},
        },
        "test_set": {"fraction": 0.3},
        "unit": "who",
        "privacy": {
            "columns": {"who": "token", "born": "year", "secret": "remove"},
            "texts": ["note"],
            "recognise": ["name"],
            "names": {"file": "names.txt", "sha256": hashlib.sha256(NAMES).hexdigest()},
        },
        "expectations": {"minimum_rows": {"train": 1, "test": 1}},
        "limits": [{"metric": "accuracy_difference", "attribute": "label", "limit": 0.1}],
        "performance": [{"metric": "accuracy", "minimum": 0.6}],
    },
    "recipe": {"model": {"kind": "mlp"}},
}


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of its own, and the key in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_PRIVACY_KEY", SECRET.hex())
    settings.cache_clear()
    (tmp_path / "names.txt").write_bytes(NAMES)
    yield
    settings.cache_clear()


def csv() -> bytes:
    return ROWS.write_csv(quote_style="always").encode()


def plan_of(top: Path, content: bytes, form: str = "csv", **privacy: Any) -> Plan:
    """The plan, pinned on these bytes."""
    document = json.loads(json.dumps(DOCUMENT))
    judgement = document["judgement"]
    path = top / "origin" / f"rows.{form}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    sha256 = file_mark(KEY, hashlib.sha256(content).hexdigest())
    judgement["data"]["sources"] = [{"name": path.name, "sha256": sha256, "origins": [path.as_uri()]}]
    judgement["privacy"] |= privacy
    if form != "csv":
        judgement["data"]["format"] = {"type": form}
    return parse_plan("small", document, where="test")


def rows_of(plan: Plan, dataset: Dataset) -> pl.DataFrame:
    return pl.concat([read_part(dataset, part, plan.judgement) for part in ("train", "test")]).sort("born")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_each_format_keeps_its_rows_without_what_names_a_person(form: str, tmp_path: Path) -> None:
    content = io.BytesIO()
    writers = {"csv": lambda: content.write(csv()), "jsonl": lambda: ROWS.write_ndjson(content)}
    writers.get(form, lambda: ROWS.write_parquet(content))()
    plan = plan_of(tmp_path, content.getvalue(), form)
    dataset = fetch_parts(plan, tmp_path / "made", None, tmp_path)
    rows = rows_of(plan, dataset)
    assert rows["who"].to_list() == [token(KEY, "who", f"p{number // 2}") for number in range(40)]
    assert rows["born"].to_list() == list(range(1950, 1990))
    assert rows["note"][3] == f'# {token(KEY, "NAME", "ann")}, "quoted"\nand more'
    assert rows["note"].null_count() == 39
    assert "secret" not in rows.columns
    assert dataset.privacy is not None
    assert dataset.privacy.replaced == {"NAME": 1, "column born: year": 40, "column who: token": 40}
    again = fetch_parts(plan, tmp_path / "again", None, tmp_path)
    assert again.digest == dataset.digest
    raw = b"".join(path.read_bytes() for path in (tmp_path / "made" / "raw").iterdir())
    assert hashlib.sha256(content.getvalue()).hexdigest().encode() not in raw


def test_the_forgotten_are_left_out_by_unit_and_by_row(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, csv())
    rows = rows_of(plan, fetch_parts(plan, tmp_path / "made", None, tmp_path))
    digest = rows["row_digest"][39]
    stones = Tombstones(fingerprint=KEY.fingerprint, gone=()).with_one(KEY, "unit", "P3 ", "2026-11-22")
    write_tombstones(tmp_path, stones.with_one(KEY, "row", digest.upper(), "2026-11-22"))
    assert "p3" not in (tmp_path / "forgotten.json").read_text()
    dataset = fetch_parts(plan, tmp_path / "later", None, tmp_path)
    left = rows_of(plan, dataset)
    assert left["born"].to_list() == [1950 + number for number in range(39) if number not in (6, 7)]
    assert dataset.privacy is not None
    assert dataset.privacy.forgotten == hashlib.sha256((tmp_path / "forgotten.json").read_bytes()).hexdigest()


def test_what_is_there_needs_no_key_and_another_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, csv())
    pinned = fetch_parts(plan, tmp_path, None)
    monkeypatch.delenv("ASSAY_PRIVACY_KEY")
    settings.cache_clear()
    assert fetch_parts(plan, tmp_path, None) == pinned
    changed = plan_of(tmp_path, csv(), columns={"who": "token", "born": {"band": 5}})
    with pytest.raises(SourceError, match=rf"the one with fingerprint {KEY.fingerprint}, is needed"):
        fetch_parts(changed, tmp_path, None)
    monkeypatch.setenv("ASSAY_PRIVACY_KEY", "42" * 16 + hashlib.sha256(b"another").hexdigest())
    settings.cache_clear()
    with pytest.raises(SourceError, match="the one at hand has fingerprint"):
        fetch_parts(changed, tmp_path, None)


def test_raw_files_that_a_killed_run_left_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    left, used, new = (temporary / f"assay-raw-{name}" for name in ("left", "used", "new"))
    for folder in (left, used, new):
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_bytes(csv())
    for folder in (left, used):
        os.utime(folder, (0, 0))
    with FileLock(used / ".in-use", timeout=0):
        os.utime(used, (0, 0))
        fetch_parts(plan_of(tmp_path, csv()), tmp_path / "made", None, tmp_path)
    assert sorted(temporary.iterdir()) == [new, used]


def test_other_bytes_are_refused_by_their_keyed_hash(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, csv())
    (tmp_path / "origin" / "rows.csv").write_bytes(b"who,y\np1,0\n")
    with pytest.raises(SourceError, match="is expected, found") as raised:
        fetch_parts(plan, tmp_path / "made", None, tmp_path)
    plain = hashlib.sha256(b"who,y\np1,0\n").hexdigest()
    assert plain not in str(raised.value)
    assert file_mark(KEY, plain) in str(raised.value)
    assert not list((tmp_path / "made").rglob("rows*"))


def test_files_that_cannot_be_searched_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="not UTF-8"):
        fetch_parts(
            plan_of(tmp_path, csv() + b'"\xff","","1990-01-01","x","1"\n'), tmp_path / "a", None, tmp_path
        )
    nested = io.BytesIO()
    ROWS.with_columns(pl.concat_list("note")).write_parquet(nested)
    with pytest.raises(Refusal, match="note holds lists"):
        fetch_parts(plan_of(tmp_path, nested.getvalue(), "parquet"), tmp_path / "b", None, tmp_path)
    (tmp_path / "names.txt").write_bytes(b"anna\n")
    with pytest.raises(SourceError, match="of the list of names, found"):
        fetch_parts(plan_of(tmp_path, csv()), tmp_path / "c", None, tmp_path)


@pytest.mark.parametrize(
    ("privacy", "told"),
    [
        ({"columns": {"born": "year"}}, "the sampling unit names a person: give it the rule `token`"),
        ({"columns": {"who": "token", "y": "token"}}, "the label is predicted as it is"),
        ({"columns": {"who": "token", "born": "remove"}}, "it is removed, so the plan can't use it"),
        ({"columns": {"who": "token", "place": "year"}}, "no such column"),
        ({"columns": {"who": "token", "note": "token"}}, "either a rule under `columns` or one of `texts`"),
        ({"texts": ["story"]}, "no column 'story' of the data"),
        ({"quasi_identifiers": ["place"]}, "no column 'place'"),
        ({"recognise": ["email"]}, "go together"),
        ({"columns": {"who": "token", "born": {"band": 0}}}, "greater than 0"),
    ],
)
def test_rules_that_do_not_fit_are_refused_at_once(
    privacy: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(PlanError) as raised:
        plan_of(tmp_path, csv(), **privacy)
    assert told in str(raised.value)


def test_texts_that_nobody_asked_to_search_are_refused_with_the_plan() -> None:
    written = Path(__file__).parents[2] / "data" / "hate-speech" / "plan.yaml"
    document = yaml.safe_load(written.read_text())
    document["judgement"]["privacy"] = {"texts": ["phrase", "test_case"]}
    with pytest.raises(PlanError, match=r"privacy\.texts: 'tweet' is expected among them") as raised:
        parse_plan("hate-speech", document, where="test")
    assert "'phrase'" not in str(raised.value)


def test_a_plan_without_privacy_has_the_digest_that_it_had() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    del document["judgement"]["privacy"]
    document["judgement"]["data"]["sources"] = [
        {"name": "x.csv", "sha256": "0" * 64, "origins": ["file:x.csv"]}
    ]
    plan = parse_plan("small", document, where="test")
    assert "privacy" not in plan.judgement.model_dump(mode="json")

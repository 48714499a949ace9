"""Pinned by DVC: raw copies from before go, a forgotten person goes, and what is no person is refused."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import settings
from tasks.errors import PlanError, SourceError
from tasks.ingest.forget import forget
from tasks.ingest.pin import pin
from tasks.plan import load_plan
from tasks.privacy.keys import Key, file_mark, key_file
from tasks.privacy.sweep import sweep
from tasks.privacy.tokens import token

# Of DVC's own making.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning")

CARD = "# Small\n\n## Origin\nMade here.\n\n## Licence\nCC0\n\n## Known limits\nIt is made up.\n"
SECRET = hashlib.sha256(b"of these tests").digest()
KEY = Key(SECRET, "small")
CONTENT = "who,y\n" + "".join(
    f"{'pP'[number % 2]}erson-{number // 2}@mail.org,{number % 2}\n" for number in range(40)
)
"""Twenty persons, each of whom has two rows that spell them differently."""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace with the key in the environment; the raw file is elsewhere."""
    top = tmp_path / "workspace"
    (top / "data" / "small").mkdir(parents=True)
    (top / "data" / "small" / "card.md").write_text(CARD)
    (tmp_path / "all.csv").write_text(CONTENT)
    monkeypatch.chdir(top)
    monkeypatch.setenv("ASSAY_PRIVACY_KEY", SECRET.hex())
    monkeypatch.delenv("ASSAY_MIRROR", raising=False)
    settings.cache_clear()
    yield top
    settings.cache_clear()


def write_plan(top: Path, privacy: dict[str, Any] | None) -> None:
    sha256 = hashlib.sha256(CONTENT.encode()).hexdigest()
    pinned = sha256 if privacy is None else file_mark(KEY, sha256)
    made = {"column": "y", "values": {"0": "a", "1": "b"}}
    columns = {"who": {"type": "category"}, "extra": {"type": "category", "looked_up": made}}
    judgement = {
        "data": {
            "kind": "tabular",
            "sources": [
                {"name": "all.csv", "sha256": pinned, "origins": [(top.parent / "all.csv").as_uri()]}
            ],
            "format": {"type": "csv"},
            "columns": columns,
            "label": {"column": "y", "values": ["0", "1"], "positive": "1"},
        },
        "test_set": {"fraction": 0.3},
        "unit": "who",
        "expectations": {"minimum_rows": {"train": 1, "test": 1}},
        "limits": [{"metric": "accuracy_difference", "attribute": "label", "limit": 0.1}],
        "performance": [{"metric": "accuracy", "minimum": 0.6}],
    }
    if privacy is not None:
        judgement["privacy"] = privacy
    document = {"judgement": judgement, "recipe": {"model": {"kind": "mlp"}}}
    (top / "data" / "small" / "plan.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def test_from_raw_to_deidentified_to_forgotten(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plan(top, None)
    plain = load_plan("small", top / "data")
    pin(plain, top)
    person = "person-7@mail.org"
    assert len({one.path for one in sweep([person], top)}) >= 4  # raw and prepared, and DVC's copies
    with pytest.raises(PlanError, match=r"has no `judgement\.privacy`"):
        forget(plain, top, top / "var", "unit", person)

    write_plan(top, {"columns": {"who": "token"}})
    first = pin(load_plan("small", top / "data"), top)
    assert sweep([person], top) == []
    standing = token(KEY, "who", person)
    assert len({one.path for one in sweep([standing], top)}) >= 4

    with pytest.raises(PlanError, match="no row of the pinned version has this unit: nothing was done"):
        forget(load_plan("small", top / "data"), top, top / "var", "unit", "person-99@mail.org")
    assert not (top / "data" / "small" / "forgotten.json").exists()
    damaged = top / "var" / "kept.gz"
    damaged.write_bytes(gzip.compress(standing.encode() * 99)[:-30])
    done = forget(load_plan("small", top / "data"), top, top / "var", "unit", " PERSON-7@Mail.org")
    assert (done.rows, done.named) == (2, ())
    assert done.unseen == (damaged.as_posix(),)  # what is in it is not known
    assert sweep([standing], top) == []
    plan = load_plan("small", top / "data")
    assert plan.judgement.privacy is not None
    assert plan.judgement.privacy.forgotten is not None
    again = forget(plan, top, top / "var", "unit", person)
    assert again.rows == 0
    assert load_plan("small", top / "data") == plan  # it is the same tombstone
    later = pin(plan, top)
    assert sum(part.rows for part in later.parts.values()) == 38
    assert first.privacy is not None
    assert later.privacy is not None
    assert later.privacy.fingerprint == first.privacy.fingerprint
    assert sweep([standing], top) == []  # neither spelling came back with the next pin

    monkeypatch.setenv("ASSAY_PRIVACY_KEY", hashlib.sha256(b"another").hexdigest())
    settings.cache_clear()
    with pytest.raises(SourceError, match=f"{KEY.fingerprint}.*the one at hand has fingerprint"):
        pin(plan, top)
    monkeypatch.delenv("ASSAY_PRIVACY_KEY")
    settings.cache_clear()
    assert pin(plan, top) == later  # what is pinned needs no key
    assert not key_file(top / "var").exists()


def test_tombstones_without_deidentification_are_refused(top: Path) -> None:
    write_plan(top, None)
    (top / "data" / "small" / "forgotten.json").write_text("{}")
    with pytest.raises(PlanError, match=r"so the plan needs `judgement\.privacy`"):
        load_plan("small", top / "data")

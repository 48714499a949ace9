"""A small plan with its folder, its sources on this disk, for tests of ingest and validation."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.evidence.records import Dataset
from tasks.ingest.rebuild import fetch_parts
from tasks.plan.load import load_plan, parse_plan
from tasks.plan.plan import Plan

HEADER = "age,job,score,sex,income"
CARD = "# Small\n\n## Origin\nMade here.\n\n## Licence\nCC0\n\n## Known limits\nIt is made up.\n"
DOCUMENT: dict[str, Any] = {
    "judgement": {
        "data": {
            "kind": "tabular",
            "sources": [],
            "format": {"type": "csv", "null_values": ["?"]},
            "columns": {
                "age": {"type": "integer", "minimum": 17, "maximum": 90},
                "job": {"type": "category", "nullable": True, "values": ["Clerk", "Baker"]},
                "score": {"type": "number", "personal": True},
                "sex": {"type": "category", "values": ["F", "M"]},
            },
            "label": {
                "column": "income",
                "values": ["low", "high"],
                "positive": "high",
                "spellings": {"low.": "low", "high.": "high"},
            },
        },
        "protected": {"sex": {"column": "sex"}, "age_band": {"column": "age", "bins": [17, 40, 65]}},
        "expectations": {"minimum_rows": {"train": 20, "test": 10}, "maximum_duplicate_share": 0.2},
        "limits": [{"metric": "demographic_parity_difference", "attribute": "sex x age_band", "limit": 0.1}],
        "performance": [{"metric": "accuracy", "minimum": 0.6}],
    },
    "recipe": {"model": {"kind": "mlp"}},
}


def rows(count: int, start: int = 0) -> list[str]:
    """Rows that keep every rule of the plan: all groups, both classes, no duplicates."""
    return [
        f"{20 + i * 7 % 60},{('Clerk', 'Baker', '?')[i % 3] if i % 20 == 2 else 'Clerk'},"
        f"{i + 0.25},{'FM'[i % 2]},{('low', 'high')[i // 2 % 2]}"
        for i in range(start, start + count)
    ]


def sha256(content: bytes) -> str:
    """Hex digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Small:
    """A workspace with one plan, ``small``; ``files`` are its sources' contents by name."""

    top: Path
    files: dict[str, bytes] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(DOCUMENT))

    @property
    def folder(self) -> Path:
        return self.top / "data" / "small"

    def put(self, part: str, lines: list[str], header: str | None = HEADER) -> None:
        """Let a part's source hold these lines."""
        self.put_bytes(
            part, "".join(f"{line}\n" for line in [*([header] if header else []), *lines]).encode()
        )

    def put_bytes(self, part: str, content: bytes, suffix: str = "csv") -> None:
        self.files[f"{part}.{suffix}"] = content

    def plan(self) -> Plan:
        """Write the sources, the plan and its card; give the plan."""
        data = self.document["judgement"]["data"]
        data["sources"] = []
        for name, content in self.files.items():
            place = self.top / "origin" / name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
            part = name.partition(".")[0]
            origins = [place.as_uri()]
            data["sources"].append(
                {"name": name, "sha256": sha256(content), "part": part, "origins": origins}
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "card.md").write_text(CARD, encoding="utf-8")
        (self.folder / "plan.yaml").write_text(
            yaml.safe_dump(self.document, sort_keys=False), encoding="utf-8"
        )
        return load_plan("small", self.top / "data")

    def dataset(self) -> tuple[Plan, Dataset]:
        """Fetch and prepare without DVC."""
        plan = self.plan()
        return plan, fetch_parts(plan, self.folder, None)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A good plan in a folder of its own, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_MIRROR", raising=False)
    made = Small(tmp_path)
    made.put("train", rows(60))
    made.put("test", rows(30, start=60))
    return made


def parsed(document: dict[str, Any]) -> Plan:
    """A plan from plain values, without files."""
    return parse_plan("small", document, where="test")

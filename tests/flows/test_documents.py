"""The pages of a real run: in the dossier and in MLflow, each figure as in the evidence."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from flows.documents import run_documents
from infra.settings import Settings
from tasks.documents.render import PAGES, write_documents

from .conftest import Workspace, body

pytestmark = pytest.mark.slow


@pytest.fixture
def dossier(registered: Workspace, tmp_path: Path) -> Path:
    """A copy of the registered run's dossier."""
    return Path(shutil.copytree(registered.dossiers()[0], tmp_path / "dossier"))


def outcome(folder: Path, *, write: bool = False) -> tuple[int, tuple[str, ...]]:
    found = run_documents(str(folder), Settings(), write=write)
    return found.exit_code, found.lines


def test_every_page_is_there_and_says_what_the_records_say(registered: Workspace, dossier: Path) -> None:
    assert {path.name for path in (dossier / "documents").iterdir()} == {"tables.json", *PAGES}
    assert outcome(dossier)[0] == 0
    (judged,) = body(dossier, "verdicts")["judged"]
    page = (dossier / "documents" / "audit.html").read_text()
    assert f'value="{judged["alpha"]}"' in page
    assert f">{judged['measurement']:.4f}</data>" in page
    assert page.index("Verdicts") < page.index("Performance")
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!model_card|annex_iv)', page)  # nothing is fetched
    filed = registered.top / "var" / "mlartifacts"
    copies = [path.read_bytes() for path in filed.rglob("documents/audit.html")]
    assert copies == [page.encode()]


def test_annex_iv_tells_what_it_lacks(dossier: Path) -> None:
    page = (dossier / "documents" / "annex_iv.html").read_text()
    assert re.search(r"2\(c\)</cite></th>.*\n?.*complete", page)
    assert "key <code>risk_management</code>" in page  # the workspace's plan has no statements


def test_new_york_is_told_of_sex_and_race(dossier: Path) -> None:
    page = (dossier / "documents" / "local_law_144.html").read_text()
    cube = json.loads((dossier / "cube.json").read_bytes())
    for level in (
        level for axis in cube["axes"] if axis["name"] in {"sex", "race"} for level in axis["levels"]
    ):
        assert f">{level}</data>" in page


def test_an_altered_page_and_an_altered_record_are_named(dossier: Path) -> None:
    page = dossier / "documents" / "model_card.html"
    measured = f"{body(dossier, 'verdicts')['judged'][0]['measurement']:.4f}"
    page.write_text(page.read_text().replace(f">{measured}</data>", ">0.0001</data>"))
    code, lines = outcome(dossier)
    assert code == 3
    assert all("model_card.html" in line and "'0.0001'" in line for line in lines)
    assert outcome(dossier, write=True)[0] == 0
    assert outcome(dossier)[0] == 0
    record = next((dossier / "records").glob("*-verdicts.json"))
    record.write_text(record.read_text().replace('"verdict": "PASS"', '"verdict": "FAIL"'))
    assert outcome(dossier)[0] == 3
    assert outcome(dossier, write=True)[0] == 3
    shutil.rmtree(dossier / "records")
    assert outcome(dossier)[0] == 3


def test_pages_have_the_same_bytes_each_time(dossier: Path) -> None:
    before = {path: path.read_bytes() for path in (dossier / "documents").iterdir()}
    write_documents(dossier)
    assert before == {path: path.read_bytes() for path in (dossier / "documents").iterdir()}

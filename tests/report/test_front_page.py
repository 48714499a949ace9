"""The front page: the decision first, every number from the records, Markdown that nothing breaks."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tasks.fairness.verdict import Verdict, Verdicts
from tasks.mitigate.records import Decision
from tasks.plan import Plan, load_plan
from tasks.register.records import Awaited
from tasks.report.decided import decided, reviewed
from tasks.report.front_page import SHOWN, front_page, terminal_table

FOLDER = Path("var/dossiers/adult/0123")


@pytest.fixture
def plan() -> Plan:
    return load_plan("adult", Path(__file__).parents[2] / "data", [])


def test_decision_and_verdicts_come_first(plan: Plan, records: dict[str, Any]) -> None:
    lines = front_page(plan, records, FOLDER).splitlines()
    assert lines[0] == "## Registered: adult version 3, champion"
    assert "4 PASS of 4 limits" in lines[1]
    assert lines[3].startswith("| verdict | limit | measured | bounds |")
    assert lines[5] == (
        "| **PASS** | demographic parity difference by sex ≤\u00a00.14 | 0.0834 | 0.0712\u00a0to\u00a00.0957 "
        "| selection rate: Male 0.2260 against Female 0.1430, n=16,281 |"
    )
    assert "| **INCONCLUSIVE** | demographic parity ratio by race" in lines[7]
    assert "≥\u00a00.5" in lines[7]
    assert "undefined" in lines[8]


def test_the_rest_comes_from_the_records(plan: Plan, records: dict[str, Any]) -> None:
    page = front_page(plan, records, FOLDER)
    assert "| accuracy | 0.8585 | 0.8530 to 0.8640 | 16,281 |" in page
    settled = "- To settle demographic parity ratio by race: about 320 more rows of Amer-Indian-Eskimo"
    assert settled in page.splitlines()
    assert page.count("about 320 more rows") == 1
    assert "against the limit" not in page, "what the table says, no sentence says again"
    assert "| race | Other | selection rate 0.1400 | 19 / 135 |" in page
    assert "sex Female: ratio 0.71" in page
    assert "`assay replay adult@3`" in page
    assert f"`{FOLDER.as_posix()}`" in page
    assert plan.digests["judgement"][:12] in page
    assert len(page) < 8000, "MLflow's description takes no more"


def test_the_champion_met_and_the_pages_to_read_come_before_the_rest(
    plan: Plan, records: dict[str, Any]
) -> None:
    page = front_page(plan, records, FOLDER, links={"audit page": "#/a", "model card": "#/b"})
    lines = page.splitlines()
    assert lines[3] == "Read: [audit page](#/a) · [model card](#/b)"
    assert page.index("| verdict |") < page.index("### Against the champion, version 2")
    assert page.index("### Against the champion") < page.index("### Performance")
    assert "| **not worse** | 0.8585 | 0.8573 | +0.0012 | -0.0021\u00a0to\u00a0+0.0045 | 0.01 |" in page, (
        "the champion's own figure is the new one's less the difference"
    )
    alone = {**records, "registration": records["registration"].model_copy(update={"paired": None})}
    assert "Against the champion" not in front_page(plan, alone, FOLDER)


def test_a_review_that_is_over_is_said_where_it_was_awaited(plan: Plan, records: dict[str, Any]) -> None:
    awaited = Awaited(alias="champion", author="ada")
    waits = records["registration"].model_copy(update={"alias": None, "awaits": awaited})
    page = decided(plan, {**records, "registration": waits})
    assert page.startswith("## Registered: adult version 3, awaits its review\n")
    told = reviewed(page, "approved", "approved by berta | cleo", "champion")
    assert told.splitlines()[:3] == [
        "## Registered: adult version 3, champion: approved in its review",
        r"> **Review: approved.** approved by berta \| cleo",
        ">",
    ]
    assert told.splitlines()[3:] == page.splitlines()[1:]
    assert reviewed(told, "rejected", "again", None) == told
    assert "no alias: rejected" in reviewed(page, "rejected", "too many errors", None).splitlines()[0]


def test_a_model_that_decides_by_group_is_named_so_before_any_number(
    plan: Plan, records: dict[str, Any]
) -> None:
    decision = Decision(
        attribute="sex",
        columns=("sex",),
        metric="equalized_odds",
        slack=0.02,
        groups=(),
        accuracy=0.84,
        accuracy_before=0.85,
        notes=("a|b keeps the common fit: 3 rows of its rarer class, 50 are needed",),
        sentence="Decides by sex: thresholds 0.41 for Female, 0.55 for Male (equalized odds)",
    )
    told = {**records, "freeze": records["freeze"].model_copy(update={"decision": decision})}
    lines = front_page(plan, told, FOLDER).splitlines()
    assert lines[3] == (
        f"**{decision.sentence}.** Each decision reads sex. On validation rows 0.8400 are decided rightly, "
        "0.8500 without it."
    )
    assert lines[4].startswith(r"a\|b keeps the common fit")
    assert lines[6].startswith("| verdict |")
    assert "Decides by" not in front_page(plan, records, FOLDER)


def test_tables_are_whole(plan: Plan, records: dict[str, Any]) -> None:
    """Each row has as many cells as its header, also where a name holds a pipe."""
    assert r"hours\|week" in front_page(plan, records, FOLDER)
    width = 0
    for line in front_page(plan, records, FOLDER).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.replace(r"\|", "").count("|")
        assert width in {0, cells}, line
        width = cells


def test_markup_in_a_name_stays_text(plan: Plan, records: dict[str, Any]) -> None:
    first, *rest = records["verdicts"].judged
    crafted = first.model_copy(update={"attribute": "<script>|x", "settles": "a\n\n# Registered"})
    page = front_page(plan, {**records, "verdicts": Verdicts(judged=(crafted, *rest))}, FOLDER)
    assert "<script" not in page
    assert page.count("\n# ") == 0


def test_refused_data_lists_its_problems(plan: Plan, records: dict[str, Any]) -> None:
    problems = [f"column age: row {n}: minimum 17" for n in range(30)]
    early = {
        "data": records["data"],
        "ending": SimpleNamespace(ending="Refused", message="\n".join(problems)),
    }
    page = front_page(plan, early, FOLDER)
    assert page.startswith("## Refused: adult, no model version\n")
    assert page.count("> column age") == SHOWN
    assert f"{30 - SHOWN} more lines" in page
    assert "Performance" not in page
    assert f"`assay replay {FOLDER.as_posix()}`" in page


def test_crash_before_the_first_record(plan: Plan) -> None:
    ending = SimpleNamespace(ending="Crashed", message="SourceError: x")
    assert front_page(plan, {"ending": ending}, FOLDER).startswith("## Crashed: adult, no model version")


def test_terminal_table_shows_every_verdict(verdicts: Verdicts) -> None:
    written = StringIO()
    Console(width=200, file=written).print(terminal_table(verdicts.judged))
    text = written.getvalue()
    for verdict in Verdict:
        assert verdict in text
    assert "Male 0.2260 against Female 0.1430" in text
    assert "≤ 0.14" in text

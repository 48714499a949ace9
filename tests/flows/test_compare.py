"""A comparison through the flow: variants judged on the same rows, and nothing registered."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from flows import comparison
from flows.comparison import Comparing
from tasks.errors import PlanError, Refusal

from .conftest import Assay, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FURTHER = {
    # Of some cell there are fewer rows than each is to have neighbours: it can't be carried out.
    "cells": {
        "mitigation": [{"kind": "synthesis", "attribute": "sex x race", "minimum": 400, "neighbours": 50}]
    },
    "half": {"mitigation": [{"kind": "reweighing", "attribute": "sex", "strength": 0.5}]},
}


@pytest.mark.parametrize("error", [Refusal("no rows"), PlanError("recipe.mitigation", ["no library"])])
def test_a_variant_whose_steps_cannot_be_carried_out_ends_no_other(
    error: Refusal | PlanError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a library that one variant needs, hours of training of the others would be lost."""
    told: list[str] = []
    monkeypatch.setattr(comparison, "refuse_variant", lambda *given: told.append(given[-1]))
    none, other = (
        SimpleNamespace(variant=SimpleNamespace(name=name), refused="", filing=SimpleNamespace(run_id="r"))
        for name in ("none", "other")
    )
    comparing: Any = SimpleNamespace(variants=[none.variant], connection=None, clock=lambda _: None)
    with Comparing.trying(comparing, other):  # type: ignore[arg-type]
        raise error
    assert told == [other.refused] == [str(error)]
    with pytest.raises(type(error)), Comparing.trying(comparing, none):  # type: ignore[arg-type]
        raise error  # there is nothing to compare with


def test_variants_are_compared_on_the_same_rows_and_nothing_is_registered(
    blank: Workspace, assay: Assay
) -> None:
    document = blank.document()
    document["recipe"]["mitigation"] = [{"kind": "reweighing", "attribute": "sex"}]
    document["judgement"]["limits"].append(
        {"metric": "equalized_odds_difference", "attribute": "sex", "limit": 0.5}
    )
    blank.write(document)
    blank.plan.with_name("compare.yaml").write_text(yaml.safe_dump(FURTHER))
    done = assay(blank.top, "compare", "tiny")
    assert done.code == 0, done
    assert "Compared" in done.lines
    assert "3 of 20 judgements are made. Nothing was registered." in done.output

    (folder,) = (path for path in (blank.top / "var/compare/tiny").iterdir() if path.name != "checkpoints")
    found = json.loads((folder / "compare.json").read_bytes())
    variants = {one["name"]: one for one in found["variants"]}
    assert list(variants) == ["none", "plan", "cells", "half"]
    cells = variants.pop("cells")
    assert cells["refused"].startswith("synthesis by sex x race: ")
    assert (cells["weights"], cells["judged"], cells["changes"], cells["allowance"]) == ("", [], [], None)
    assert f"cells could not be trained: {cells['refused'][:30]}" in done.output
    assert len({one["weights"] for one in variants.values()}) == 3
    parity = {name: one["judged"][0]["measurement"] for name, one in variants.items()}
    assert parity["plan"] < parity["half"] < parity["none"]
    (change,) = (one for one in variants["plan"]["changes"][0]["limits"] if "parity" in one["metric"])
    assert (change["before"], change["after"]) == (parity["none"], parity["plan"])
    assert change["low"] < parity["plan"] - parity["none"] < change["high"] < 0
    assert "plan" in found["fronts"]["demographic_parity_difference by sex"]
    page = (folder / "compare.html").read_text()
    assert "<script" not in page
    assert "A comparison is no way to choose." in page
    assert "could not be trained: synthesis by sex x race: " in page
    assert not any("cells" in front for front in found["fronts"].values())

    assert blank.query("select * from registered_models") == []
    nested = blank.query(
        "select r.name, p.value, r.status from runs r "
        "join params p on p.run_uuid = r.run_uuid and p.key = 'mitigation' "
        "join tags t on t.run_uuid = r.run_uuid and t.key = 'mlflow.parentRunId' order by r.start_time"
    )
    assert nested == [
        ("none", "none", "FINISHED"),
        ("plan", "reweighing (attribute sex)", "FINISHED"),
        ("cells", "synthesis (attribute sex x race, minimum 400, neighbours 50)", "FAILED"),
        ("half", "reweighing (attribute sex, strength 0.5)", "FINISHED"),
    ]
    ((because,),) = blank.query("select value from tags where key = 'assay.refused'")
    assert because == cells["refused"]
    (parent,) = blank.query("select artifact_uri from runs where name = 'Compared: compare tiny'")
    assert {path.name for path in Path(parent[0].removeprefix("file://")).iterdir()} == {
        *("compare.html", "compare.png", "compare.json", "description.md"),
    }

    blank.judgement(test_set={"max_judgements": 3})  # a twentieth each is spent, a third each is asked for
    refused = assay(blank.top, "compare", "tiny")
    assert refused.code == 3, refused
    assert "4 models are to be judged, and there is room for 2: each spends one" in refused.output
    assert "train none" not in refused.errors
    unread = assay(blank.top, "compare", "adlut")
    assert unread.code == 2, unread

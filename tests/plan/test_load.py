"""A plan is read strictly; every problem is shown at once, with a remedy."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import PlanError
from tasks.plan import Plan, load_plan, lock, parse_plan, plan_names, read_locked, write_schema
from tasks.plan.judgement import Protected

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of plans that holds a copy of Adult's."""
    for name in ("plan.yaml", "card.md"):
        (tmp_path / "adult").mkdir(exist_ok=True)
        shutil.copy(PROJECT / "data/adult" / name, tmp_path / "adult" / name)
    return tmp_path


def rewrite(data: Path, old: str, new: str) -> None:
    path = data / "adult/plan.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_plan_is_read_with_its_defaults(data: Path) -> None:
    plan = load_plan("adult", data)
    assert plan.name == "adult"
    assert plan.judgement.alpha == 0.05
    assert plan.judgement.protected["age_band"].levels() == [
        "17-24",
        "25-34",
        "35-44",
        "45-54",
        "55-64",
        "65+",
    ]


@pytest.mark.parametrize(
    ("bins", "levels"),
    [
        ([0, 0.5, 2], ["0 to 0.5", "0.5 to 2", "2+"]),
        ([-60, -30, -20], ["-60 to -30", "-30 to -20", "-20+"]),
        (
            [0, 1_000_000, 1_000_400, 1_000_800],
            ["0-999999", "1000000-1000399", "1000400-1000799", "1000800+"],
        ),
    ],
)
def test_each_band_has_a_name_of_its_own_that_says_where_it_is(bins: list[float], levels: list[str]) -> None:
    assert Protected(column="c", bins=bins).levels() == levels


def test_every_problem_is_told_at_once_with_its_path_and_a_guess(data: Path) -> None:
    rewrite(data, "  alpha: 0.05", "  alpha: high")
    rewrite(data, "champion: {margin: 0.01}", "champoin: {margin: 0.01}")
    rewrite(data, "equalized_odds_difference", "equalised_odds_difference")
    with pytest.raises(PlanError) as caught:
        load_plan("adult", data)
    text = str(caught.value)
    assert "judgement.alpha: Input should be a valid number" in text
    assert "judgement.champoin: unknown key; did you mean 'champion'?" in text
    assert "judgement.limits[1].metric: 'equalised_odds_difference' is none of" in text
    assert "did you mean 'equalized_odds_difference'?" in text
    assert len(caught.value.problems) == 3
    assert caught.value.exit_code == 2


def test_a_plan_without_a_gate_is_a_bad_plan(data: Path) -> None:
    path = data / "adult/plan.yaml"
    document = yaml.safe_load(path.read_text())
    document["judgement"]["limits"] = []
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(PlanError, match=r"judgement\.limits: List should have at least 1 item"):
        load_plan("adult", data)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "attribute: sex, limit: 0.14",
            "attribute: gender, limit: 0.14",
            "'gender' is no protected attribute",
        ),
        ("sex: {column: sex}", "sex: {column: gender}", "no column 'gender'"),
        ("bins: [17, 25, 35, 45, 55, 65]", "bins: [25, 17]", "in rising order"),
        ("part: test", "part: all", "either every source is `part: all`, or none is"),
        ('positive: ">50K"', 'positive: "rich"', "positive 'rich' is none of"),
        ("judgement:", "judgement: &a\n  alpha: 0.01\n", "stands twice"),
        ("  alpha: 0.05", "  alpha: .nan", "judgement.alpha"),
    ],
)
def test_rules_between_blocks(data: Path, old: str, new: str, message: str) -> None:
    path = data / "adult/plan.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PlanError, match=message.replace("[", r"\[")):
        load_plan("adult", data)


def test_malformed_yaml_says_where(data: Path) -> None:
    (data / "adult/plan.yaml").write_text("judgement: [unclosed")
    with pytest.raises(PlanError, match="not readable as YAML"):
        load_plan("adult", data)


def test_an_unknown_plan_names_the_nearest(data: Path) -> None:
    for name in ("adlut", "data/adult", "data/adult/plan.yaml"):
        with pytest.raises(PlanError, match="did you mean 'adult'"):
            load_plan(name, data)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("recipe.modle", {}, "recipe.modle: unknown key; did you mean 'model'?"),  # `mode` stands elsewhere
        ("operations.compute.device", "cuda", "operations.compute.device: unknown key; known: threads"),
        ("judgement.protected.sex.colum", "sex", "judgement.protected.sex.colum: unknown key; did you mean"),
        ("operations.schedule", {"cron": "every day"}, "operations.schedule.cron: minute hour day month"),
        ("operations.schedule", {"cron": "0 24 * * 1"}, "operations.schedule.cron: minute hour day month"),
        ("operations.schedule", {"cron": "0 3 * * 1 *"}, "operations.schedule.cron: minute hour day month"),
        ("judgement.data.format.delimiter", "é", "format.delimiter: an ASCII character is expected"),
        ("judgement.data.format.delimiter", '"', "format.delimiter: an ASCII character is expected"),
        ("recipe.training.clip_norm", True, "recipe.training.clip_norm: a number is expected, found true"),
        (
            "judgement.protected.age_band.bins",
            [False, 25],
            "bins[0]: a number is expected, found false",
        ),
        ("judgement.data.label.values", ["<=50K", ">50K", ">50K"], "found ['>50K'] several times"),
        ("judgement.data.label.values", ["<=50K", ">50K", "?"], "performance[1].metric: 'auc' is of two"),
    ],
)
def test_what_fits_nothing_is_refused_with_what_would(
    data: Path, place: str, value: Any, message: str
) -> None:
    document = yaml.safe_load((data / "adult/plan.yaml").read_text())
    *above, last = place.split(".")
    target = document
    for key in above:
        target = target.setdefault(key, {})
    target[last] = value
    with pytest.raises(PlanError, match=re.escape(message)):
        parse_plan("adult", document, where="a plan")


def test_a_model_of_no_column_is_refused(data: Path) -> None:
    document = yaml.safe_load((data / "adult/plan.yaml").read_text())
    every = list(document["judgement"]["data"]["columns"])
    document["recipe"]["features"] = {"exclude": every[1:]}
    parse_plan("adult", document, where="a plan")
    document["recipe"]["features"]["exclude"] = every
    with pytest.raises(PlanError, match="exclude: no column is left to learn from"):
        parse_plan("adult", document, where="a plan")


@pytest.mark.parametrize(
    "cron", ["0 3 * * 1", "*/15 8-18 1,15 JAN-MAR mon", "0 0 * * 1-5/2", "59 23 L 12 5#2"]
)
def test_five_fields_make_a_schedule(data: Path, cron: str) -> None:
    document = yaml.safe_load((data / "adult/plan.yaml").read_text())
    document["operations"]["schedule"] = {"cron": cron}
    plan = parse_plan("adult", document, where="a plan")
    assert plan.operations.schedule is not None
    assert plan.operations.schedule.cron == cron


def test_a_card_with_its_sections_is_required(data: Path) -> None:
    (data / "adult/card.md").write_text("# Adult\n\n## Origin\nUCI\n\n## Licence\n\n")
    with pytest.raises(PlanError) as caught:
        load_plan("adult", data)
    assert len(caught.value.problems) == 2
    (data / "adult/card.md").unlink()
    with pytest.raises(PlanError, match="a data card is required"):
        load_plan("adult", data)


def test_settings_change_the_recipe_and_its_digest_alone(data: Path) -> None:
    plain = load_plan("adult", data)
    changed = load_plan("adult", data, ["recipe.training.epochs=3", "recipe.mitigation.0.strength=0.5"])
    assert changed.recipe.training.epochs == 3
    assert changed.recipe.mitigation[0].strength == 0.5
    assert changed.digests["judgement"] == plain.digests["judgement"]
    assert changed.digests["recipe"] != plain.digests["recipe"]


@pytest.mark.parametrize("setting", ["judgement.alpha=0.5", "operations.schedule=null", "recipe", "alpha=1"])
def test_nothing_but_the_recipe_can_be_set(data: Path, setting: str) -> None:
    with pytest.raises(PlanError, match="a key below `recipe`"):
        load_plan("adult", data, [setting])


def test_a_misspelt_setting_is_refused(data: Path) -> None:
    with pytest.raises(PlanError, match="did you mean 'epochs'"):
        load_plan("adult", data, ["recipe.training.epoch=3"])
    with pytest.raises(PlanError, match="an index below 1"):
        load_plan("adult", data, ["recipe.mitigation.4=3"])


def test_digests_do_not_depend_on_the_files_spelling(data: Path) -> None:
    before = load_plan("adult", data)
    path = data / "adult/plan.yaml"
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(document, sort_keys=False, default_flow_style=False))
    assert load_plan("adult", data).digests == before.digests


def test_the_order_of_columns_is_part_of_the_judgement(data: Path) -> None:
    before = load_plan("adult", data)
    path = data / "adult/plan.yaml"
    document = yaml.safe_load(path.read_text())
    columns = document["judgement"]["data"]["columns"]
    document["judgement"]["data"]["columns"] = dict(reversed(columns.items()))
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    assert load_plan("adult", data).digests["judgement"] != before.digests["judgement"]


def test_a_locked_plan_reads_back_as_it_was(data: Path, tmp_path: Path) -> None:
    plan = load_plan("adult", data)
    locked = lock(plan, [], data, tmp_path / "dossier")
    again = read_locked(tmp_path / "dossier")
    assert list(again.judgement.data.columns) == list(plan.judgement.data.columns)
    assert again.digests == locked.digests


def test_every_committed_plan_loads_and_the_schema_is_current(tmp_path: Path) -> None:
    names = plan_names(PROJECT / "data")
    assert {"adult", "adult-unmitigated"} <= set(names)
    for name in names:
        assert isinstance(load_plan(name, PROJECT / "data"), Plan)
    write_schema(tmp_path / "schema.json")
    current = json.loads((PROJECT / "docs/plan.schema.json").read_text())
    assert json.loads((tmp_path / "schema.json").read_text()) == current, "run `make schema`"


def test_a_member_that_is_not_named_is_the_default(data: Path) -> None:
    recipe = load_plan("adult", data, ["recipe.training.optimizer.rate=0.01"]).recipe
    assert (recipe.training.optimizer.kind, recipe.training.optimizer.rate) == ("adamw", 0.01)
    assert recipe.features.kind == "tabular"
    assert recipe.training.loss.kind == "cross_entropy"

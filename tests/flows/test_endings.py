"""How a run ends: what is registered, what is left behind, which exit code; on real rows of Adult."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.evidence.digest import digest_file

from .conftest import REGISTERED_STEPS, Assay, Done, Workspace, body, steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def succeeded(registered: Workspace, assay: Assay, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Version 1 was champion, version 2 (the same again) took over, version 3 (untrained) may not."""
    workspace = registered.copy_to(tmp_path_factory.mktemp("succeeded") / "workspace")
    forced = assay(workspace.top, "retrain", "tiny", "--force")
    assert forced.code == 0, forced
    slow = "recipe.training.optimizer.rate=0.000000001"
    worse = assay(workspace.top, "retrain", "tiny", "--set", slow, "--set", "recipe.training.epochs=1")
    assert worse.code == 0, worse
    return workspace


def test_a_good_run_is_registered(first_run: tuple[Workspace, Done]) -> None:
    workspace, done = first_run
    (dossier,) = workspace.dossiers()
    assert "Registered" in done.lines
    assert "version 1 is champion: the first champion: accuracy 0." in done.output
    assert "Replay      assay replay tiny@1" in done.lines
    assert any("PASS" in line and "demographic" in line for line in done.lines)
    assert workspace.aliases() == {"champion": 1}
    assert workspace.runs() == [("FINISHED", "Registered")]
    assert steps(dossier) == REGISTERED_STEPS
    explained = body(dossier, "explanations")
    assert {"SHAP", "LIME"} <= {each["method"] for each in explained["explanations"]}
    assert 0 < explained["spent"] <= explained["allowed"]
    assert (dossier / "figures" / "explained-shap.png").stat().st_size > 10_000
    tags = dict(workspace.query("select key, value from model_version_tags"))
    assert tags["assay.dossier_head"] == digest_file(dossier / "records" / "13-ending.json")
    assert {"assay.judgement", "assay.recipe", "assay.operations", "assay.code", "assay.data"} < set(tags)


def test_nothing_but_var_and_the_pinned_data_is_left(first_run: tuple[Workspace, Done]) -> None:
    top = first_run[0].top
    assert {path.name for path in top.iterdir()} == {
        *("data", "var", "train.csv", "test.csv"),
        *(".dvc", ".dvcignore", "dvc.yaml", "dvc.lock"),
    }
    assert not list((top / "var" / "checkpoints").rglob("*.safetensors"))


def test_run_in_mlflow_holds_what_a_reviewer_reads(first_run: tuple[Workspace, Done]) -> None:
    workspace = first_run[0]
    metrics = dict(workspace.query("select key, value from latest_metrics"))
    evaluated = body(workspace.dossiers()[0], "opening")["performance"]
    assert {estimate["name"]: estimate["value"] for estimate in evaluated} == {
        "accuracy": pytest.approx(metrics["performance/test/accuracy"]),
        "auc": pytest.approx(metrics["performance/test/auc"]),
        "macro_f1": pytest.approx(metrics["performance/test/macro_f1"]),
    }
    assert {"usage/parameters", "usage/flops", "train/loss", "usage/seconds/freeze"} < set(metrics)
    tags = dict(workspace.query("select key, value from tags"))
    assert "PASS" in tags["mlflow.note.content"]
    assert "## What the model looks at" in tags["mlflow.note.content"]
    assert tags["assay.prefect_run"]
    assert len(workspace.query("select * from inputs")) >= 2
    (artifacts,) = (workspace.top / "var" / "mlartifacts").rglob("dossier")
    files = {path.relative_to(artifacts) for path in artifacts.rglob("*") if path.is_file()}
    dossier = workspace.dossiers()[0]
    assert files == {path.relative_to(dossier) for path in dossier.rglob("*") if path.is_file()}


def test_second_call_is_unchanged_and_leaves_nothing(workspace: Workspace, assay: Assay) -> None:
    before = workspace.registry(), workspace.runs(), workspace.dossiers()
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 0, done
    assert done.lines[0] == "Unchanged"
    assert "tiny version 1 is champion, of the same data, judgement, recipe and code" in done.output
    assert (workspace.registry(), workspace.runs(), workspace.dossiers()) == before


def test_forced_run_gives_the_same_evidence_and_takes_over(succeeded: Workspace) -> None:
    first, second, _ = succeeded.dossiers()
    same = REGISTERED_STEPS[: REGISTERED_STEPS.index("loosened")]
    for name in [f"{index:02d}-{step}.json" for index, step in enumerate(same)]:
        one, other = ((dossier / "records" / name).read_bytes() for dossier in (first, second))
        assert one == other, name
    registration = body(second, "registration")
    assert (registration["alias"], registration["champion_before"]) == ("champion", "1")
    paired = registration["paired"]
    assert (paired["n"], paired["better"], paired["worse"], paired["verdict"]) == (2500, 0, 0, "not worse")


def test_worse_model_becomes_challenger_by_paired_comparison(succeeded: Workspace) -> None:
    third = succeeded.dossiers()[2]
    assert body(third, "plan")["changes"] == [
        "recipe.training.optimizer.rate=0.000000001",
        "recipe.training.epochs=1",
    ]
    registration = body(third, "registration")
    assert (registration["alias"], registration["champion_before"]) == ("challenger", "2")
    assert registration["paired"]["verdict"] == "worse"
    assert registration["paired"]["high"] < -registration["paired"]["margin"]
    assert succeeded.aliases() == {"champion": 2, "challenger": 3}
    (first,) = succeeded.query("select description from model_versions where version = 1")[0]
    assert first.startswith("## Registered: tiny version 1, champion until version 2\n")


def test_rollback_restores_the_champion_before_with_the_reason(
    succeeded: Workspace, assay: Assay, tmp_path: Path
) -> None:
    workspace = succeeded.copy_to(tmp_path / "workspace")
    done = assay(workspace.top, "rollback", "tiny", "--reason", "complaints from branch 12")
    assert done.code == 0, done
    assert done.lines == ["Rolled back", "tiny version 1 is champion again: complaints from branch 12"]
    assert workspace.aliases()["champion"] == 1
    described = [
        text for (text,) in workspace.query("select description from model_versions order by version")
    ]
    for text, now in zip(
        described, ("champion again", "champion until it was rolled back", "challenger"), strict=True
    ):
        assert text.partition("\n")[0].endswith(f", {now}")
    history = workspace.query("select value from registered_model_tags order by key desc limit 1")
    last = json.loads(history[0][0])
    assert (last["version"], last["what"], last["gone"]) == ("1", "rolled back", "2")
    assert last["because"] == "complaints from branch 12"
    again = assay(workspace.top, "rollback", "tiny", "--reason", "once more")
    assert again.code == 1
    assert "no champion before it" in again.errors
    assert workspace.aliases()["champion"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tiny"], 2, "Missing option '--reason'"),
        (["tiny", "--reason", " "], 1, "needs a reason"),
        (["tiny", "--reason", "why not"], 1, "no champion before it"),
        (["nothing", "--reason", "why not"], 1, "'nothing' has no champion"),
    ],
)
def test_rollback_that_cannot_be_moves_nothing(
    registered: Workspace, assay: Assay, arguments: list[str], code: int, message: str
) -> None:
    before = registered.registry()
    done = assay(registered.top, "rollback", *arguments)
    assert done.code == code, done
    assert message in done.errors
    assert "Traceback" not in done.errors
    assert registered.registry() == before


def test_undecided_has_a_version_without_alias(workspace: Workspace, assay: Assay) -> None:
    """Some 3 of 28 Amer-Indian-Eskimo rows are positive: no limit can be shown."""
    limit = {"metric": "equal_opportunity_difference", "attribute": "race", "limit": 0.3}
    workspace.judgement(limits=[*workspace.document()["judgement"]["limits"], limit])
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 4, done
    assert "Undecided" in done.lines
    assert any("INCONCLUSIVE" in line for line in done.lines)
    assert workspace.aliases() == {"champion": 1}
    assert workspace.versions() == [1, 2]
    assert workspace.runs()[-1] == ("FINISHED", "Undecided")
    registration = body(workspace.dossiers()[-1], "registration")
    assert (registration["ending"], registration["alias"]) == ("Undecided", None)
    assert workspace.is_signed(workspace.dossiers()[-1])
    replayed = assay(workspace.top, "replay", "tiny@2")
    assert replayed.code == 4, replayed
    assert "the verdict of tiny@2 is INCONCLUSIVE" in replayed.lines


def test_each_judgement_of_the_test_set_is_counted_and_the_same_one_once(succeeded: Workspace) -> None:
    spent = [body(dossier, "spending") for dossier in succeeded.dossiers()]
    assert [one["number"] for one in spent] == [1, 1, 2]
    # Two of the 2,500 rows are alike.
    assert {(one["alpha"], one["max_judgements"], one["rows"]) for one in spent} == {(0.0025, 20, 2499)}
    verdicts = [body(dossier, "verdicts")["judged"][0] for dossier in succeeded.dossiers()]
    assert {one["alpha"] for one in verdicts} == {0.0025}


def test_a_used_up_test_set_gives_no_verdict_and_a_looser_judgement_is_told(
    workspace: Workspace, assay: Assay
) -> None:
    workspace.judgement(test_set={"max_judgements": 1})
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 4, done
    assert "test set used up: 1 judgement" in done.output
    assert workspace.aliases() == {"champion": 1}
    dossier = workspace.dossiers()[-1]
    assert {one["verdict"] for one in body(dossier, "verdicts")["judged"]} == {"INCONCLUSIVE"}
    pages = workspace.query("select value from tags where key = 'mlflow.note.content'")
    (page,) = [text for (text,) in pages if "Undecided: tiny version 2" in text]
    assert "## Less strict than tiny version 1" in page
    assert "max_judgements is 1, it was 20" in page
    replayed = assay(workspace.top, "replay", "tiny@2")
    assert replayed.code == 4, replayed


def test_refused_by_a_gate_has_run_and_dossier_but_no_version(workspace: Workspace, assay: Assay) -> None:
    before = workspace.registry()
    workspace.judgement(
        limits=[
            {"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.02},
            {"metric": "demographic_parity_ratio", "attribute": "sex", "limit": 0.8},
        ]
    )
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 3, done
    assert "Refused" in done.lines
    assert "> limit 0.02" in done.output
    assert "< limit 0.8" in done.output
    assert workspace.registry() == before
    assert workspace.runs()[-1] == ("FINISHED", "Refused")
    dossier = workspace.dossiers()[-1]
    assert steps(dossier) == [*REGISTERED_STEPS[:11], "ending"]
    assert (dossier / "figures" / "explained-shap.png").is_file()  # now a person wants to know why
    notes = workspace.query("select value from tags where key = 'mlflow.note.content'")
    (front,) = [text for (text,) in notes if text.startswith("## Refused")]
    for page in (front, (dossier / "documents" / "audit.html").read_text()):
        assert "What the model looks at" in page
        assert "SHAP" in page
    replayed = assay(workspace.top, "replay", str(dossier.relative_to(workspace.top)))
    assert replayed.code == 3, replayed
    assert "Every number rebuilt" in replayed.lines


def test_refused_by_representativeness_trains_nothing(workspace: Workspace, assay: Assay) -> None:
    """Adult's 33% women against 46.5%, without raking."""
    population = workspace.document()["judgement"]["population"]
    del population["raking"]
    workspace.judgement(population={**population, "attributes": ["sex"], "ratio_limits": [0.8, 1.25]})
    before = workspace.registry()
    for command in ("check", "retrain"):
        done = assay(workspace.top, command, "tiny")
        assert done.code == 3, done
        assert "sex: Female is 32." in done.output
    assert steps(workspace.dossiers()[-1]) == [*REGISTERED_STEPS[:5], "ending"]
    assert workspace.registry() == before
    replayed = assay(workspace.top, "replay", str(workspace.dossiers()[-1]))
    assert replayed.code == 3, replayed
    assert "the run ended before a model was judged: Refused" in replayed.lines


def test_a_loss_that_is_no_number_refuses_before_the_test_part(workspace: Workspace, assay: Assay) -> None:
    before = workspace.registry()
    done = assay(workspace.top, "retrain", "tiny", "--set", "recipe.training.optimizer.rate=1e30")
    assert done.code == 3, done
    assert "Traceback" not in done.errors
    assert workspace.runs()[-1] == ("FINISHED", "Refused")
    dossier = workspace.dossiers()[-1]
    assert steps(dossier) == [*REGISTERED_STEPS[:6], "ending"]
    assert body(dossier, "ending")["ending"] == "Refused"
    assert "Lower recipe.training.optimizer.rate" in body(dossier, "ending")["message"]
    assert workspace.registry() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retrain", "tinny"], "there is no plan 'tinny'; did you mean 'tiny'?"),
        (["retrain", "tiny", "--set", "judgement.alpha=0.1"], "`judgement` is changed in plan.yaml alone"),
        (["retrain", "tiny", "--set", "recipe.privacy.budget=99"], "a budget that a setting can raise"),
        (["retrain", "tiny", "--set", "recipe.training.epoch=3"], "did you mean 'epochs'?"),
        (["retrain"], "Missing argument 'PLAN'"),
        (["retrain", "tiny", "--lenient"], "No such option"),
        (["check", "tinny"], "did you mean 'tiny'?"),
        (["replay", "tiny"], "MODEL@REF is expected"),
    ],
)
def test_bad_usage_leaves_nothing(
    registered: Workspace, assay: Assay, arguments: list[str], message: str
) -> None:
    before = registered.registry(), registered.runs(), registered.dossiers()
    done = assay(registered.top, *arguments)
    assert done.code == 2, done
    assert message in done.errors
    assert "Traceback" not in done.errors
    assert (registered.registry(), registered.runs(), registered.dossiers()) == before


def test_malformed_plan_tells_all_problems_at_once(workspace: Workspace, assay: Assay) -> None:
    document = workspace.document()
    document["judgement"]["limits"] = []
    document["judgement"]["alhpa"] = 0.05
    document["recipe"]["training"]["epochs"] = "many"
    workspace.write(document)
    before = workspace.registry(), workspace.runs(), workspace.dossiers()
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 2, done
    for part in ("3 problems", "judgement.limits", "did you mean 'alpha'?", "recipe.training.epochs"):
        assert part in done.errors
    workspace.plan.write_text("judgement: [\n")
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 2, done
    assert "not readable as YAML" in done.errors
    assert (workspace.registry(), workspace.runs(), workspace.dossiers()) == before

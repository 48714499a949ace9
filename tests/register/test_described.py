"""What a person reads of a version: what was decided, within MLflow's field, and how its review ended."""

from pathlib import Path

import pytest

from tasks.register.client import Connection
from tasks.register.described import LONGEST, describe_review, describe_standings, describe_version
from tasks.register.registry import Decision, Version, create_version, promote, resolve, rollback
from tasks.register.runs import NOTE, Contents, log_run, page_of, start

PAGE = "## Registered: adult version 1, awaits its review\n> 4 PASS of 4 limits\n"


@pytest.fixture
def version(connection: Connection, tmp_path: Path) -> Version:
    """A version whose run and description say that it awaits its review."""
    run_id = start(connection, "adult", tmp_path, {})
    log_run(connection, run_id, Contents(description=f"{PAGE}\n### Representativeness\n"))
    return create_version(connection, "adult", run_id, tmp_path.as_uri(), {}, "Decides by sex.")


def described(connection: Connection, version: Version) -> str:
    return str(connection.client.get_model_version(version.name, version.version).description)


def test_a_decision_is_put_before_the_description_once(connection: Connection, version: Version) -> None:
    tags = {"assay.verdicts": "4 PASS of 4 limits"}
    for _ in range(2):
        describe_version(connection, "adult", "1", PAGE, tags)
    assert described(connection, version) == f"{PAGE}\nDecides by sex."
    assert resolve(connection, "adult", "1").tags == tags


def test_a_long_page_is_cut_and_what_was_there_is_kept(connection: Connection, version: Version) -> None:
    describe_version(connection, "adult", "1", PAGE + "| a limit |\n" * 1000, {})
    told = described(connection, version)
    assert len(told) <= LONGEST
    assert told.startswith(PAGE)
    assert told.endswith("Decides by sex.")
    assert "description.md" in told


def test_the_end_of_a_review_is_told_on_version_and_run(connection: Connection, version: Version) -> None:
    describe_version(connection, "adult", "1", PAGE, {})
    for _ in range(2):
        describe_review(connection, version, "approved", "by berta and cleo", "champion")
    top = "## Registered: adult version 1, champion: approved in its review\n> **Review: approved.** by berta"
    note = connection.client.get_run(version.run_id).data.tags[NOTE]
    for told in (described(connection, version), note):
        assert told.startswith(top)
        assert told.count("Review: approved") == 1
        assert "awaits" not in told
    assert note.endswith("### Representativeness\n")


def test_a_version_that_lost_its_alias_is_not_said_to_have_it(connection: Connection, tmp_path: Path) -> None:
    def made(number: int, alias: str) -> None:
        """Version of that number, described before it is given its alias, as a run does."""
        version = create_version(connection, "adult", f"{number:032x}", tmp_path.as_uri(), {}, "")
        page = f"## Registered: adult version {number}, {alias}\n> not worse\n"
        describe_version(connection, "adult", str(number), page, {})
        describe_standings(connection, "adult")  # another process moves an alias meanwhile
        assert told(number)[0] == alias
        promote(connection, tmp_path, version, lambda _: Decision(alias.startswith("champion"), because=""))
        describe_standings(connection, "adult")

    def told(number: int) -> tuple[str, str]:
        page = connection.client.get_model_version("adult", str(number)).description
        headline, _, rest = page.partition("\n")
        return headline.removeprefix(f"## Registered: adult version {number}, "), rest

    made(1, "champion")
    made(2, "challenger")
    assert [told(n)[0] for n in (1, 2)] == ["champion", "challenger"]
    made(3, "challenger: approved in its review")
    made(4, "champion: approved in its review")
    for _ in range(2):
        describe_standings(connection, "adult")
        assert [told(n)[0] for n in (1, 2, 3, 4)] == [
            "champion until version 4",
            "challenger until version 3",
            "challenger until version 4: approved in its review",
            "champion: approved in its review",
        ]
    rollback(connection, tmp_path, "adult", "complaints", "ada")
    for _ in range(2):
        describe_standings(connection, "adult")
        assert told(1) == ("champion again", "> not worse\n\n")
        headline, rest = told(4)
        assert headline == "champion until it was rolled back: approved in its review"
        assert rest == "> **Champion until it was rolled back.** complaints\n>\n> not worse\n\n"
    made(5, "champion")
    assert told(1)[0] == "champion until version 5"


def test_an_artifact_has_an_address_on_any_mlflow(connection: Connection, version: Version) -> None:
    experiment = connection.client.get_run(version.run_id).info.experiment_id
    shown = page_of(connection, version.run_id, "dossier/documents/audit.html")
    assert shown == f"#/experiments/{experiment}/runs/{version.run_id}/artifacts/dossier/documents/audit.html"

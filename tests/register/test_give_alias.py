"""A run's last act: the alias goes to the version on record, or to none."""

from pathlib import Path

import pytest

from tasks.errors import RegistryError
from tasks.register.client import Connection
from tasks.register.records import Registration
from tasks.register.register import Filing, give_alias
from tasks.register.registry import Decision, Version, champion, create_version, promote


def _version(connection: Connection, tmp_path: Path, number: int) -> Version:
    (tmp_path / "files").mkdir(exist_ok=True)
    return create_version(connection, "adult", f"{number:032x}", (tmp_path / "files").as_uri(), {}, "")


def _registration(version: Version, alias: str | None, before: str | None) -> Registration:
    return Registration(
        ending="Registered",
        model="adult",
        version=version.version,
        model_uri=version.model_uri,
        alias=alias,
        because="not worse",
        champion_before=before,
        paired=None,
        served_rows=10,
    )


@pytest.fixture
def filing(connection: Connection, tmp_path: Path) -> Filing:
    return Filing(connection, "run", tmp_path / "locks", {})


def test_the_alias_on_record_is_given(filing: Filing, tmp_path: Path) -> None:
    first, second = (_version(filing.connection, tmp_path, n) for n in range(2))
    give_alias(filing, _registration(first, "champion", None))
    give_alias(filing, _registration(second, "challenger", "1"))
    aliases = filing.connection.client.get_registered_model("adult").aliases
    assert {name: str(number) for name, number in aliases.items()} == {"champion": "1", "challenger": "2"}


def test_an_undecided_version_gets_none(filing: Filing, tmp_path: Path) -> None:
    give_alias(filing, _registration(_version(filing.connection, tmp_path, 0), None, None))
    assert champion(filing.connection, "adult") is None


def test_nothing_moves_if_the_champion_is_no_more_the_one_compared_with(
    filing: Filing, tmp_path: Path
) -> None:
    first, second, third = (_version(filing.connection, tmp_path, n) for n in range(3))
    promote(filing.connection, filing.locks, first, lambda _: Decision(takes_over=True, because="first"))
    record = _registration(third, "champion", "1")
    promote(filing.connection, filing.locks, second, lambda _: Decision(takes_over=True, because="other run"))
    with pytest.raises(
        RegistryError, match="was compared with version 1 as champion, which is now adult version 2"
    ):
        give_alias(filing, record)
    present = champion(filing.connection, "adult")
    assert present is not None
    assert present.version == "2"

"""What a person reads of a version in MLflow: its description, its tags in words, its run's first page.

A run's page stays what the run decided; a version's description says what the version is now.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.register.client import Connection
from tasks.register.registry import CHALLENGER, CHAMPION, Version, tag_version
from tasks.register.runs import NOTE, fitting
from tasks.report.decided import held, reviewed, succeeded

LONGEST = 5000  # characters of a version's description


def describe_version(
    connection: Connection, model: str, version: str, page: str, tags: Mapping[str, str]
) -> None:
    """Put what was decided before what a version's description says already; again changes nothing.

    Args:
        connection: MLflow.
        model: its name.
        version: its number.
        page: Markdown, from :func:`tasks.report.decided.decided`.
        tags: the same in a few words each, for lists of versions.

    Raises:
        RegistryError: when MLflow can't write it.
    """
    with connection.doing(f"describe {model} version {version}") as client:
        present = client.get_model_version(model, version).description or ""
        if not present.startswith(page.partition("\n")[0]):
            page = fitting(page, LONGEST - len(present) - 1)
            client.update_model_version(model, version, f"{page}\n{present}")
    tag_version(connection, model, version, tags)


def describe_review(
    connection: Connection, version: Version, outcome: str, because: str, alias: str | None
) -> None:
    """Say on the version and on its run how the review ended that they await; again changes nothing.

    Args:
        connection: MLflow.
        version: reviewed.
        outcome: approved, rejected and so on.
        because: in words.
        alias: what the version is given, if anything.

    Raises:
        RegistryError: when MLflow can't write it.
    """
    with connection.doing(f"describe the review of {version}") as client:
        page = client.get_model_version(version.name, version.version).description or ""
        told = reviewed(page, outcome, because, alias)
        client.update_model_version(version.name, version.version, fitting(told, LONGEST))
        note = client.get_run(version.run_id).data.tags.get(NOTE, "")
        client.set_tag(version.run_id, NOTE, fitting(reviewed(note, outcome, because, alias)))


def describe_standings(connection: Connection, name: str) -> None:
    """Say on every version of a model what it is now that an alias has moved; again changes nothing.

    Args:
        connection: MLflow.
        name: the model.

    Raises:
        RegistryError: when MLflow can't read or write it.
    """
    with connection.doing(f"describe what the versions of {name!r} are now") as client:
        aliases = client.get_registered_model(name).aliases
        holders = {alias: int(aliases[alias]) for alias in (CHAMPION, CHALLENGER) if alias in aliases}
        for found in client.search_model_versions(f"name = '{name}'"):
            page, number = found.description or "", int(found.version)
            because = str(found.tags.get("assay.rolled_back_because", ""))
            now = _standing(held(page), number, holders, rolled_back=bool(because))
            if now != held(page):
                told = succeeded(page, now, because)
                client.update_model_version(name, str(number), fitting(told, LONGEST))


def _standing(said: str, number: int, holders: Mapping[str, int], *, rolled_back: bool) -> str:
    """What a version is, that is said to be something; of the end of its time the first word stays."""
    alias = said.partition(" ")[0]
    over = said not in (alias, f"{alias} again")
    if holders.get(alias) == number:
        return f"{alias} again" if over else said
    if over or not said:
        return said
    if rolled_back:
        return f"{alias} until it was rolled back"
    # A version that was not given its alias yet has a higher number than who holds it.
    after = [by for name, by in holders.items() if by > number and (name == CHAMPION or alias == CHALLENGER)]
    return f"{alias} until version {min(after)}" if after else said

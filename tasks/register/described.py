"""What a person reads of a version in MLflow: its description, its tags in words, its run's first page."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.register.client import Connection
from tasks.register.registry import Version, tag_version
from tasks.register.runs import NOTE, fitting
from tasks.report.decided import reviewed

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

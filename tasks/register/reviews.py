"""A review in MLflow: the dossier's later records in the run, and how it stands on the version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.errors import RegistryError
from tasks.evidence.digest import digest_file
from tasks.register.client import Connection
from tasks.register.records import Registration
from tasks.register.registry import Version, champion, tag_version
from tasks.register.runs import upload_folder

HEAD = "assay.dossier_head"


def file_records(connection: Connection, version: Version, folder: Path, tags: Mapping[str, str]) -> None:
    """Bring the run's copy of the dossier and the version's tags up to date; doing so again changes nothing.

    Args:
        connection: MLflow.
        version: of the run.
        folder: the dossier, with records that the run does not have yet.
        tags: of the version, beside the dossier's head.

    Raises:
        RegistryError: when the run was deleted; the records stay in ``folder``.
    """
    require_active(connection, version, folder)
    head = digest_file(max((folder / "records").glob("*.json")))
    for part in ("records", "review", "documents"):
        upload_folder(connection, version.run_id, folder / part, f"dossier/{part}")
    with connection.doing(f"tag run {version.run_id}") as client:
        client.set_tag(version.run_id, HEAD, head)
    tag_version(connection, version.name, version.version, {**tags, HEAD: head})


def require_active(connection: Connection, version: Version, folder: Path) -> None:
    """Make sure that a version's run is there to be written to.

    Raises:
        RegistryError: when it was deleted, saying how it comes back and where its records are.
    """
    run_id = version.run_id
    remedy = (
        f"nothing was filed there; what the review found is on record in {folder}. Restore the run (`mlflow "
        f"runs restore --run-id {run_id}`), then `assay review {version.name}@{version.version}` files it"
    )
    try:
        with connection.doing(f"look up run {run_id}") as client:
            stage = client.get_run(run_id).info.lifecycle_stage
    except RegistryError as error:
        raise RegistryError(f"{error}. {remedy}") from error
    if stage != "active":
        raise RegistryError(f"run {run_id} of {version} was deleted in MLflow: {remedy}")


def succession_problem(connection: Connection, registration: Registration) -> str:
    """Why a version's comparison with the champion does not hold any more, "" while it does."""
    present = champion(connection, registration.model)
    if (present.version if present else None) == registration.champion_before:
        return ""
    compared = (
        f"version {registration.champion_before}" if registration.champion_before else "no champion at all"
    )
    return f"it was compared with {compared}, and {present or 'nothing'} is champion now: run again"

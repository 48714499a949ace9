"""Publish: a run's counts for everybody, small ones suppressed or every one with noise."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flows.outcome import Outcome
from flows.signed import Target, found
from infra.settings import Settings
from tasks.audit.filed import filed_subject
from tasks.audit.publishing import Wish, prepare, told, wish_problems, write_publication
from tasks.errors import EvidenceError, PlanError


def run_publish(target: str, wish: Wish, settings: Settings) -> Outcome:
    """Publish the cube of a run's test part; exit 3 says what is wrong with the dossier.

    Args:
        target: MODEL@REF (an alias or a version), or a dossier's folder, copied anywhere.
        wish: how, and into which folder.
        settings: where MLflow, the key of the noise and the list of published rows are.

    Raises:
        PlanError: for a target that is none, or a wish that can't be met; nothing is written then.
        RegistryError: when MLflow can't be read.
    """
    problems = list(wish_problems(wish, {}))
    if Path(target).is_dir() and wish.folder.resolve().is_relative_to(Path(target).resolve()):
        problems.append(f"{wish.folder} lies in the dossier, which is signed as it is: name another folder")
    if problems:
        raise PlanError("publish", problems)
    with tempfile.TemporaryDirectory(prefix="assay-publish-") as scratch:
        try:
            dossier = found(target, settings, Path(scratch))
            subject = filed_subject(dossier.folder, _named(dossier))
        except EvidenceError as error:
            lines = tuple(str(error).splitlines())
            return Outcome(title="Not published", exit_code=error.exit_code, lines=lines)
        published, files = prepare(subject, wish, settings.var)
    write_publication(wish.folder, files)
    return Outcome(title="Published", exit_code=0, lines=(told(published, wish.folder),))


def _named(dossier: Target) -> dict[str, str]:
    if dossier.registered is None:
        return {"run": dossier.folder.resolve().name}
    version = dossier.registered.version
    return {"model": f"{version.name}, version {version.version}", "run": version.run_id}

"""Documents: are the pages that people read what the evidence says? Or make them anew from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flows.outcome import Outcome
from flows.signed import found
from infra.settings import Settings
from tasks.documents.render import check_documents, write_documents
from tasks.errors import EvidenceError, PlanError


def run_documents(target: str, settings: Settings, *, write: bool) -> Outcome:
    """Compare a dossier's pages with its evidence; exit 3 names each figure that is stale or typed by hand.

    Args:
        target: MODEL@REF (an alias or a version), or a dossier's folder, copied anywhere.
        settings: where MLflow is.
        write: make the pages anew instead; of a folder alone, for a registered dossier is signed.

    Raises:
        PlanError: for a target that is none.
        RegistryError: when MLflow can't be read.
    """
    if write and not Path(target).is_dir():
        raise PlanError(
            "documents", [f"--write takes a dossier's folder, found {target!r}: what is registered is signed"]
        )
    with tempfile.TemporaryDirectory(prefix="assay-documents-") as scratch:
        try:
            folder = found(target, settings, Path(scratch)).folder
            if write:
                return Outcome(title="Written", exit_code=0, lines=tuple(map(str, write_documents(folder))))
            problems = check_documents(folder)
        except EvidenceError as error:
            return Outcome(
                title="Not verified", exit_code=error.exit_code, lines=tuple(str(error).splitlines())
            )
    if problems:
        return Outcome(title="Mismatch", exit_code=3, lines=tuple(problems))
    return Outcome(
        title="Every figure as in the evidence",
        exit_code=0,
        lines=(f"the pages of {target} say what its records say",),
    )

"""What a run asks about the present champion before it starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import ValidationError

from infra.settings import Settings
from tasks.errors import SourceError
from tasks.evidence.records import Dataset, FileRef
from tasks.plan import Plan, read_locked
from tasks.plan.loosened import Loosened, loosened
from tasks.register.client import Connection
from tasks.register.registry import champion


def champion_training_part(
    plan: Plan, dataset: Dataset, connection: Connection, settings: Settings
) -> FileRef | None:
    """The training part that the champion learned from, rebuilt from its dossier's plan.

    None without a champion, where it learned from this very dataset version, or where its sources can't be
    had any more (an origin that holds a newer version): drift is then measured against the test part, and
    the record says so.
    """
    present = champion(connection, plan.name)
    if present is None or present.tags.get("assay.data") == dataset.digest:
        return None
    # The clients of the sources' origins: only the first run on new data pays for their import.
    from tasks.ingest.rebuild import fetch_parts  # noqa: PLC0415
    from tasks.register.verify import download_dossier  # noqa: PLC0415

    folder = settings.var / "champions" / plan.name / present.version
    with tempfile.TemporaryDirectory() as scratch:
        earlier = read_locked(download_dossier(connection, present.run_id, Path(scratch)))
    try:
        return fetch_parts(earlier, folder, settings.mirror, settings.data / plan.name).train.file
    except SourceError:
        return None


def loosened_since_champion(plan: Plan, connection: Connection) -> Loosened:
    """What the plan's judgement asks less strictly than the one that the champion was judged by."""
    present = champion(connection, plan.name)
    if present is None:
        return Loosened(since="", sentences=())
    if present.tags.get("assay.judgement") == plan.digests["judgement"]:
        return Loosened(since=str(present), sentences=())
    from tasks.register.verify import download_dossier  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as scratch:
        folder = download_dossier(connection, present.run_id, Path(scratch))
        try:
            before = read_locked(folder)
        except ValidationError:
            sentence = "its plan is of another version of Assay and can't be compared: compare by hand"
            return Loosened(since=str(present), sentences=(sentence,))
    return Loosened(since=str(present), sentences=loosened(before.judgement, plan.judgement))

"""Pin a dataset version: run the stages that are out of date, then trust nothing but SHA-256."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import SourceAltered
from tasks.evidence.records import Dataset
from tasks.ingest.deidentified import key_at_hand, plan_key
from tasks.ingest.forget import purge
from tasks.ingest.parts import dataset_of, read_manifest
from tasks.ingest.pipeline import damaged_copies, reproduce
from tasks.ingest.pretrained import fetch_pretrained
from tasks.plan.model import Pretrained
from tasks.plan.plan import Plan


def pin(plan: Plan, workspace: Path) -> Dataset:
    """Bring ``data/NAME`` up to date by DVC and check each of its files by SHA-256.

    DVC does not notice a flipped bit in its cache, nor in a file whose size and time are as
    before; so raw files are compared with the plan, and prepared ones with the manifest.

    Args:
        plan: names the sources and what becomes of them.
        workspace: the folder that holds ``data``; where ``dvc.yaml`` is, or will be.

    Raises:
        SourceAltered: if a file has other bytes than it should; names both hashes and what to do.
        SourceError: if a source can't be had; or the key at hand is not that of the pinned, de-identified
            version (pinned bytes themselves need no key).
        Refusal: if a source can't be read as its format.
    """
    folder = workspace / "data" / plan.name
    try:
        anew = reproduce(workspace, plan.name, anew=_is_stale(plan, folder, workspace))
        if isinstance(plan.recipe.model, Pretrained):
            fetch_pretrained(plan.recipe.model)
        if anew:
            _refuse_damaged_sources(workspace, plan.name)
        return dataset_of(plan, folder)
    except SourceAltered as error:
        made = [path for path in (folder / "raw", folder / "prepared") if path.exists()]
        delete = [*made, *damaged_copies(workspace, plan.name)]
        listed = "".join(f"\n  {path}" for path in delete)
        raise SourceAltered(
            f"{error}\nThese bytes changed on the disk or in DVC's cache, and DVC does not notice. "
            f"Delete what follows and run again:{listed}"
        ) from error


def _refuse_damaged_sources(workspace: Path, name: str) -> None:
    """A source that was fetched again may have an altered copy in the cache, which DVC would push."""
    if damaged := damaged_copies(workspace, name, ("fetch",)):
        listed = ", ".join(path.parent.name + path.name for path in damaged)
        raise SourceAltered(f"DVC's cache holds copies that are not what they are named after: {listed}")


def _is_stale(plan: Plan, folder: Path, workspace: Path) -> bool:
    """Whether de-identification has to be made anew for a reason that DVC does not see.

    That is: rows that were forgotten since. Raw copies from before the plan asked for it are deleted.
    """
    manifest, privacy = folder / "manifest.json", plan.judgement.privacy
    if privacy is None or not manifest.is_file():
        return privacy is not None
    pinned = read_manifest(manifest).privacy
    if pinned is None:
        purge(workspace, plan.name)
        return True
    if key_at_hand():
        plan_key(plan.name, folder)
    return pinned.forgotten != privacy.forgotten

"""DVC's stages: ``python -m tasks.ingest.stages fetch|prepare PLAN``, from the top of the project."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType

from infra.settings import settings
from tasks.errors import AssayError, PlanError
from tasks.evidence.digest import write_atomically
from tasks.ingest.archive import DAMAGE, digest_source
from tasks.ingest.deidentified import fetch_deidentified
from tasks.ingest.fetched import RECORD
from tasks.ingest.parts import prepare
from tasks.ingest.sources import fetch
from tasks.plan.load import load_plan
from tasks.plan.plan import Plan
from tasks.plan.source import Source

ERROR_FILE = "ASSAY_STAGE_ERROR"
DATA = Path("data")


def _is_pinned(source: Source, path: Path) -> bool:
    """Whether a raw file is there and is what the plan pins."""
    try:
        return path.is_file() and digest_source(path) == source.sha256
    except DAMAGE:
        return False


def fetch_stage(plan: Plan, folder: Path) -> None:
    """Fetch every source of the plan into ``folder/raw``, and leave nothing else there.

    Files that are there and have the pinned hash stay, so a judgement that changes elsewhere fetches nothing.
    Of a plan with ``judgement.privacy`` what is left there is de-identified.
    """
    raw, sources = folder / "raw", plan.judgement.sources
    if plan.judgement.privacy is not None:
        _clear(raw, {RECORD, *(source.name for source in sources)})
        fetch_deidentified(plan, raw, folder, settings().mirror, create=True)
        return
    whole = {s.name for s in sources if _is_pinned(s, raw / s.name)}
    _clear(raw, whole)
    for source in sources:
        if source.name not in whole:
            fetch(source, raw / source.name, settings().mirror)


def _clear(raw: Path, kept: Set[str]) -> None:
    """Leave nothing in a folder but files of these names."""
    for path in raw.iterdir() if raw.is_dir() else ():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def prepare_stage(plan: Plan, folder: Path) -> None:
    """Write ``folder/prepared`` and ``folder/manifest.json``."""
    prepare(plan, folder)


STAGES: Mapping[str, Callable[[Plan, Path], None]] = MappingProxyType(
    {"fetch": fetch_stage, "prepare": prepare_stage}
)


def main(arguments: Sequence[str]) -> int:
    """Run one stage; an error goes to stderr and, for a caller that names one, into a file."""
    try:
        if len(arguments) != 2 or arguments[0] not in STAGES:
            raise PlanError("python -m tasks.ingest.stages", [f"{' | '.join(STAGES)} PLAN is expected"])
        stage, name = arguments
        STAGES[stage](load_plan(name, DATA), DATA / name)
    except AssayError as error:
        sys.stderr.write(f"{error}\n")
        if target := os.environ.get(ERROR_FILE):
            report = {"kind": type(error).__name__, "message": str(error)}
            write_atomically(Path(target), json.dumps(report).encode())
        return error.exit_code
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking apart what was imported is a fifth of what a small stage takes

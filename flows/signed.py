"""A signed dossier and where it was found: a folder, or the run of a registered version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings, prepare_environment
from tasks.errors import PlanError
from tasks.evidence.signature import Verified

if TYPE_CHECKING:
    from tasks.register.client import Connection
    from tasks.register.registry import Version


@dataclass(frozen=True)
class Registered:
    """A version in MLflow."""

    connection: Connection
    version: Version


@dataclass(frozen=True)
class Target:
    """A dossier.

    Attributes:
        folder: where it lies.
        plan: name of its plan: the model's, else what the dossier says, "" if it says nothing.
        registered: the version that was asked for; None for a folder.
    """

    folder: Path
    plan: str
    registered: Registered | None = None

    @property
    def name(self) -> str:
        """``adult/1`` of a version, ``adult/RUN_ID`` of a folder that keeps its name."""
        if self.registered is not None:
            return f"{self.plan}/{self.registered.version.version}"
        return f"{self.plan}/{self.folder.resolve().name}"

    def registered_lines(self, verified: Verified, scratch: Path) -> list[str]:
        """Compare the registered files with what was signed; nothing to compare for a folder.

        Raises:
            EvidenceError: naming the first that differs.
        """
        if self.registered is None:
            return []
        from tasks.register.signed import require_registered  # noqa: PLC0415 - MLflow: a folder needs none

        version = self.registered.version
        compiled = require_registered(self.registered.connection, version, verified, scratch)
        told = f" ({compiled} compiled copies beside its code are signed by nobody)" if compiled else ""
        return [f"{version}: all {len(verified.registered)} registered files are as signed{told}"]


def found(target: str, settings: Settings, scratch: Path) -> Target:
    """Find a dossier; that of MODEL@REF is downloaded into ``scratch``.

    Raises:
        PlanError: for what is neither a folder nor MODEL@REF.
        RegistryError: when MLflow can't be read.
    """
    if Path(target).is_dir():
        return Target(Path(target), _plan_name(Path(target)))
    model, at, ref = target.partition("@")
    if not (model and at and ref):
        problem = f"{target!r} is no folder; MODEL@REF is expected, REF an alias or a version: adult@champion"
        raise PlanError("verify", [problem])
    prepare_environment(settings)
    from tasks.register.client import connect  # noqa: PLC0415 - as above
    from tasks.register.registry import resolve  # noqa: PLC0415
    from tasks.register.verify import download_dossier  # noqa: PLC0415

    connection = connect(settings.mlflow_uri, settings.artifact_root)
    version = resolve(connection, model, ref)
    folder = download_dossier(connection, version.run_id, scratch / "dossier")
    return Target(folder, model, Registered(connection, version))


def _plan_name(folder: Path) -> str:
    """Which plan at hand to ask for its keys; a name that was tampered with leads to other keys."""
    path = folder / "records" / "00-plan.json"
    try:
        name = json.loads(path.read_bytes())["body"]["name"] if path.is_file() else ""
    except (ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) and Path(name).name == name else ""

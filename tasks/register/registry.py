"""Model versions, who is champion, and the way back; every move under one lock with the champion re-read.

MLflow overwrites tags and aliases without a word and can't compare and set. So whoever moves an alias
holds a file lock, reads the champion again under it, and adds a numbered line to the model's history
(tags ``assay.history.0001`` ...), from which `rollback` finds the champion before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from tasks.errors import RegistryError
from tasks.register.client import Connection, RegistryUnreachable

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "assay.history."
LOCK_WAIT = 60.0  # seconds; a promotion holds the lock while it compares two models
ABSENT = "RESOURCE_DOES_NOT_EXIST"
ABOUT = (
    "Each version was judged before it came here; its description says how, and leads to its audit page. "
    "`champion` serves, `challenger` was not shown to be as good, a version without either is undecided or "
    "awaits its review. Each move of `champion` is a tag `assay.history`."
)


@dataclass(frozen=True)
class Version:
    """A registered model version.

    Attributes:
        name: the model.
        version: its number.
        run_id: the run that made it.
        model_uri: where its files are.
        tags: digests of data, judgement, recipe and code, and what became of it.
    """

    name: str
    version: str
    run_id: str
    model_uri: str
    tags: Mapping[str, str]

    @classmethod
    def of(cls, found: ModelVersion) -> Version:
        """From MLflow's own."""
        return cls(found.name, str(found.version), found.run_id or "", found.source or "", dict(found.tags))

    def __str__(self) -> str:
        """``adult version 3``."""
        return f"{self.name} version {self.version}"


@dataclass(frozen=True)
class Decision:
    """Whether a new version takes over from the champion that it was compared with, and why."""

    takes_over: bool
    because: str


@dataclass(frozen=True)
class Promotion:
    """What became of a new version.

    Attributes:
        alias: ``champion`` or ``challenger``.
        before: the champion that it met, None if there was none.
        because: in words.
    """

    alias: str
    before: Version | None
    because: str


def create_version(
    connection: Connection, name: str, run_id: str, model_uri: str, tags: Mapping[str, str], description: str
) -> Version:
    """Register a logged model as the next version of ``name``; a run's second call returns its first.

    Raises:
        RegistryError: when MLflow can't register it.
    """
    with connection.doing(f"register {model_uri} as a version of {name!r}") as client:
        _ensure_model(client, name)
        for found in client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
            return _complete(client, found)
        model_id = model_uri.removeprefix("models:/") if model_uri.startswith("models:/m-") else None
        made = client.create_model_version(
            name, model_uri, run_id, dict(tags), description=description, model_id=model_id
        )
    return Version.of(made)


def tag_version(connection: Connection, name: str, version: str, tags: Mapping[str, str]) -> None:
    """Add tags to a version: what is known only after it was made, such as its dossier's head.

    Raises:
        RegistryError: when MLflow can't write them.
    """
    with connection.doing(f"tag {name} version {version}") as client:
        for key, value in sorted(tags.items()):
            client.set_model_version_tag(name, version, key, value)


def champion(connection: Connection, name: str) -> Version | None:
    """The version that serves, or None while there is none.

    Raises:
        RegistryError: when MLflow can't be read.
    """
    with connection.doing(f"read the champion of {name!r}") as client:
        return _by_alias(client, name, CHAMPION)


def resolve(connection: Connection, name: str, ref: str) -> Version:
    """The version that ``ref`` names: an alias or a number.

    Raises:
        RegistryError: naming the aliases and versions that there are.
    """
    with connection.doing(f"look up {name}@{ref}") as client:
        found = _by_number(client, name, ref) if ref.isdecimal() else _by_alias(client, name, ref)
        if found is not None:
            return found
        versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
        if not versions:
            raise RegistryError(
                f"{name}@{ref}: no model {name!r} is registered in this MLflow: "
                f"`assay retrain {name}` makes one"
            )
        aliases = sorted(client.get_registered_model(name).aliases)
    raise RegistryError(
        f"{name}@{ref}: {name!r} has no such version or alias; "
        f"versions: {', '.join(map(str, versions))}; aliases: {', '.join(aliases) or 'none'}"
    )


def promote(
    connection: Connection,
    locks: Path,
    version: Version,
    decide: Callable[[Version | None], Decision],
) -> Promotion:
    """Make a new version champion or challenger, as ``decide`` says of the champion read under the lock.

    A version older than the champion, or once rolled back, never takes over, whatever ``decide`` says: of
    two runs at once the later registered wins, in whichever order they come here.

    Args:
        connection: MLflow.
        locks: folder of lock files, shared by all runs of this machine.
        version: the new version.
        decide: compares it with the champion (None: there is none); called once, under the lock.

    Raises:
        RegistryUnreachable: when another run holds the lock for a minute.
        RegistryError: when MLflow can't be written.
    """
    what = f"promote {version}"
    with _locked(locks, version.name), connection.doing(what) as client:
        before = _by_alias(client, version.name, CHAMPION)
        fresh = _by_number(client, version.name, version.version)
        if fresh is None:
            raise RegistryError(f"{version} can't be promoted: it was deleted from the registry")
        if before is not None and before.version == version.version:
            return Promotion(CHAMPION, before, "it is the champion already")
        decision = _forbidden(fresh, before) or decide(before)
        if decision.takes_over:
            _crown(client, version, "promoted", decision.because)
        else:
            _challenge(client, version)
        alias = CHAMPION if decision.takes_over else CHALLENGER
        return Promotion(alias, before, decision.because)


def rollback(connection: Connection, locks: Path, name: str, reason: str, by: str) -> Version:
    """Give the alias ``champion`` back to the champion before, with the reason on record.

    Doing so again goes further back. The version that goes keeps its tags and never takes over again.

    Args:
        connection: MLflow.
        locks: folder of lock files.
        name: the model.
        reason: why; required, for the auditor.
        by: who.

    Raises:
        RegistryError: without a reason, without a champion, or without one before it.
    """
    if not reason.strip():
        raise RegistryError(f"rollback of {name!r} needs a reason: say why, it goes on record")
    with _locked(locks, name), connection.doing(f"roll back {name!r}") as client:
        present = _by_alias(client, name, CHAMPION)
        if present is None:
            raise RegistryError(f"{name!r} has no champion, so there is nothing to roll back")
        earlier = _earlier(client, name, present)
        if earlier is None:
            raise RegistryError(
                f"{present} has no champion before it that is still registered: nothing to go back to. "
                f"To take it out of service, delete the alias {CHAMPION!r} in MLflow's UI"
            )
        for key, value in {"at": _now(), "because": reason, "by": by}.items():
            client.set_model_version_tag(name, present.version, f"assay.rolled_back_{key}", value)
        _crown(client, earlier, "rolled back", reason, by=by, gone=present.version)
        return earlier


def history(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Every move of the alias ``champion``, oldest first: version, what, because, by, at."""
    with connection.doing(f"read the history of {name!r}") as client:
        return _history(client, name)


def _forbidden(version: Version, before: Version | None) -> Decision | None:
    if "assay.rolled_back_at" in version.tags:
        return Decision(False, f"{version} was rolled back: {version.tags['assay.rolled_back_because']}")  # noqa: FBT003
    if before is not None and int(before.version) > int(version.version):
        return Decision(False, f"version {before.version}, registered later, is champion already")  # noqa: FBT003
    return None


def _crown(
    client: MlflowClient, version: Version, what: str, because: str, by: str = "assay", gone: str = ""
) -> None:
    """Add the line to the history, then move the alias: a crash between the two is told by the history."""
    name, now = version.name, _now()
    line = {"version": version.version, "what": what, "because": because, "by": by, "at": now, "gone": gone}
    number = 1 + len(_history(client, name))
    client.set_registered_model_tag(name, f"{HISTORY}{number:04d}", json.dumps(line, sort_keys=True))
    client.set_model_version_tag(name, version.version, "assay.champion_since", now)
    client.set_registered_model_alias(name, CHAMPION, version.version)
    challenger = _by_alias(client, name, CHALLENGER)
    if challenger is not None and int(challenger.version) <= int(version.version):
        client.delete_registered_model_alias(name, CHALLENGER)


def _challenge(client: MlflowClient, version: Version) -> None:
    present = _by_alias(client, version.name, CHALLENGER)
    if present is None or int(present.version) < int(version.version):
        client.set_registered_model_alias(version.name, CHALLENGER, version.version)


def _earlier(client: MlflowClient, name: str, present: Version) -> Version | None:
    """The champion before ``present``: promotions are laid on a pile, rollbacks take from it."""
    pile: list[str] = []
    for line in _history(client, name):
        if line["what"] == "rolled back":
            while pile and pile[-1] != line["version"]:
                pile.pop()
        else:
            pile.append(line["version"])
    if present.version in pile:  # what lies above was written by a run that died before the alias moved
        del pile[len(pile) - 1 - pile[::-1].index(present.version) :]
    for number in reversed(pile):
        found = _by_number(client, name, number) if number != present.version else None
        if found is not None and "assay.rolled_back_at" not in found.tags:
            return found
    return None


def _history(client: MlflowClient, name: str) -> list[dict[str, Any]]:
    tags = client.get_registered_model(name).tags
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(HISTORY)]


def _by_alias(client: MlflowClient, name: str, alias: str) -> Version | None:
    return _if_there(lambda: client.get_model_version_by_alias(name, alias))


def _by_number(client: MlflowClient, name: str, number: str) -> Version | None:
    return _if_there(lambda: client.get_model_version(name, number))


def _if_there(read: Callable[[], ModelVersion]) -> Version | None:
    try:
        return Version.of(read())
    except MlflowException as error:
        # An unknown alias is INVALID_PARAMETER_VALUE to MLflow, an unknown model or number is ABSENT.
        no_alias = "alias" in str(error.message) and "not found" in str(error.message)
        if error.error_code == ABSENT or no_alias:
            return None
        raise


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _complete(client: MlflowClient, found: ModelVersion) -> Version:
    return Version.of(client.get_model_version(found.name, str(found.version)))


@contextmanager
def _locked(locks: Path, name: str) -> Iterator[None]:
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{name}.champion.lock", timeout=LOCK_WAIT)
    try:
        lock.acquire()
    except Timeout as error:
        raise RegistryUnreachable(
            f"{lock.lock_file}: another process has held the promotion of {name!r} for {LOCK_WAIT:g} s: "
            "wait for that run or end it, then start again"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

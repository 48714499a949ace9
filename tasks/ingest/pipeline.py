"""DVC's side of ingest: a workspace with a pipeline, its stages, and the names in its cache."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import SCMError
from dvc.utils.serialize import modify_yaml
from filelock import FileLock

from tasks import errors
from tasks.errors import AssayError, SourceError
from tasks.evidence.digest import write_atomically
from tasks.ingest.stages import ERROR_FILE

LOCK_SECONDS = 900
CODE = (
    *(
        f"tasks/ingest/{module}.py"
        for module in (
            "archive",
            "audio",
            "described",
            "division",
            "fetched",
            "files",
            "image",
            "kinds",
            "parts",
            "sources",
            "stages",
            "tables",
            "tabular",
            "text",
        )
    ),
    "tasks/model/decode.py",
)
CACHE = Path(".dvc") / "cache"
PYTHON = 'PATH=".venv/bin:$PATH" python -m tasks.ingest.stages'
CONFIG = """[core]
    analytics = false
    check_update = false
    autostage = false
    remote = local
['remote "local"']
    url = ../var/dvc-remote
"""
IGNORED = (".venv", "var", ".git", "build", "docs", "tests", "flows", "infra")


def reproduce(workspace: Path, name: str, *, anew: bool = False) -> bool:
    """Bring the plan's two stages up to date, one run at a time in a workspace.

    A workspace without DVC gets it, and a plan that is not in the pipeline is added to it.

    Args:
        workspace: holds ``dvc.yaml``.
        name: of the plan.
        anew: run both stages whatever DVC thinks of them.

    Returns:
        Whether a stage was out of date, so that something was fetched or prepared.

    Raises:
        AssayError: what a stage raised, as it raised it.
        SourceError: if DVC itself fails.
    """
    workspace = workspace.absolute()
    (workspace / "var").mkdir(parents=True, exist_ok=True)
    # DVC's own lock gives up after three seconds and does not hold back a second thread.
    with FileLock(workspace / "var" / "ingest.lock", timeout=LOCK_SECONDS):
        if not (workspace / ".dvc").is_dir():
            initialise(workspace)
        add_plan(workspace, name)
        with tempfile.TemporaryDirectory() as scratch:
            report = Path(scratch) / "error.json"
            try:
                # DVC tells its stages on standard output, which is for the verdicts.
                with redirect_stdout(sys.stderr), _environment(report), Repo(str(workspace)) as repo:
                    return bool(repo.reproduce(f"{workspace / 'dvc.yaml'}:prepare@{name}", force=anew))
            except SCMError as error:
                raise _no_checkout(workspace) from error
            except DvcException as error:
                raise _stage_error(report, error) from error


def initialise(workspace: Path) -> None:
    """Make a DVC repository: no analytics, a local folder as its default remote."""
    tops = [workspace, *workspace.parents]
    inside = next((top for top in tops if (top / ".git").exists()), None)
    Repo.init(str(workspace), no_scm=inside is None, subdir=inside not in (None, workspace)).close()
    content = CONFIG if inside else CONFIG.replace("[core]\n", "[core]\n    no_scm = true\n")
    write_atomically(workspace / ".dvc" / "config", content.encode())
    ignored = "".join(f"/{folder}/\n" for folder in IGNORED)
    write_atomically(
        workspace / ".dvcignore", f"# Folders that DVC need not walk through\n{ignored}".encode()
    )


def add_plan(workspace: Path, name: str) -> None:
    """Add a plan to the matrix of ``dvc.yaml``, which is written first if there is none."""
    path = workspace / "dvc.yaml"
    if not path.is_file():
        write_atomically(path, yaml.safe_dump(_pipeline(workspace), sort_keys=False, width=120).encode())
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if all(name in document["stages"][stage]["matrix"]["plan"] for stage in ("fetch", "prepare")):
        return
    with modify_yaml(str(path)) as content:
        for stage in ("fetch", "prepare"):
            plans = content["stages"][stage]["matrix"]["plan"]
            if name not in plans:
                plans.append(name)


def damaged_copies(workspace: Path, name: str, made_by: Sequence[str] = ("fetch", "prepare")) -> list[Path]:
    """Cached copies of the plan's files whose content is no longer what they are named after."""
    copies = {path for path in cached_copies(workspace, name, made_by) if path.suffix != ".dir"}
    return sorted(copy for copy in copies if copy.is_file() and _md5(copy) != copy.parent.name + copy.name)


def cached_copies(
    workspace: Path, name: str, made_by: Sequence[str] = ("fetch", "prepare"), cache: Path | None = None
) -> set[Path]:
    """Where the plan's files, as ``dvc.lock`` has them, are or would be kept: listings and their files.

    Args:
        workspace: holds ``dvc.lock``; without one nothing is kept.
        name: of the plan.
        made_by: the stages whose files are meant.
        cache: a folder laid out like DVC's cache, as a remote is; the cache itself when absent.
    """
    lock_file, cache = workspace / "dvc.lock", (cache or workspace.absolute() / CACHE) / "files" / "md5"
    lock = yaml.safe_load(lock_file.read_text(encoding="utf-8")) if lock_file.is_file() else {"stages": {}}
    stages = [lock["stages"].get(f"{stage}@{name}", {"outs": []}) for stage in made_by]
    outs = {_cached(cache, out["md5"]) for stage in stages for out in stage["outs"]}
    whole = [json.loads(path.read_bytes()) for path in outs if path.suffix == ".dir" and path.is_file()]
    return outs | {_cached(cache, item["md5"]) for listing in whole for item in listing}


def _cached(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _md5(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _pipeline(workspace: Path) -> dict[str, Any]:
    """The two stages; their code counts as an input where the workspace holds it."""
    code = [file for file in CODE if (workspace / file).is_file()]
    folder = "data/${item.plan}"
    fetch = {
        "matrix": {"plan": []},
        "cmd": f"{PYTHON} fetch ${{item.plan}}",
        # The sources of audit sets stand elsewhere in it; what is there as pinned is not fetched again.
        "params": [{f"{folder}/plan.yaml": ["judgement"]}],
        "outs": [{f"{folder}/raw": {"persist": True}}],
    }
    prepare = {
        "matrix": {"plan": []},
        "cmd": f"{PYTHON} prepare ${{item.plan}}",
        "deps": [f"{folder}/raw", *code],
        "params": [{f"{folder}/plan.yaml": ["judgement"]}],
        "outs": [f"{folder}/prepared", {f"{folder}/manifest.json": {"cache": False}}],
    }
    return {"stages": {"fetch": fetch, "prepare": prepare}}


@contextmanager
def _environment(report: Path) -> Iterator[None]:
    """Let stages run this very Python, and tell where to report an error."""
    path = os.environ.get("PATH", "")
    os.environ |= {
        "PATH": f"{Path(sys.executable).absolute().parent}{os.pathsep}{path}",
        ERROR_FILE: str(report),
    }
    try:
        yield
    finally:
        os.environ["PATH"] = path
        del os.environ[ERROR_FILE]


def _no_checkout(workspace: Path) -> SourceError:
    return SourceError(
        f"{workspace} holds .dvc and is no git checkout, which DVC expects here. Was it unpacked from an "
        "archive? Clone the project with git instead, or make this a checkout: `git init`. To do without "
        "git, let the file .dvc/config hold `no_scm = true` below `[core]`."
    )


def _stage_error(report: Path, error: DvcException) -> AssayError:
    """The error that a stage reported, or DVC's own with its causes."""
    if report.is_file():
        told = json.loads(report.read_bytes())
        return _as_raised(told["kind"], told["message"])
    causes = [str(error)]
    cause = error.__cause__
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__
    return SourceError(f"DVC failed: {'; '.join(causes)}")


def _as_raised(kind: str, message: str) -> AssayError:
    """An error of that class; a PlanError keeps its one message."""
    found = getattr(errors, kind)
    if found is errors.PlanError:
        where, _, problems = message.partition("\n")
        return errors.PlanError(where, problems.splitlines())
    raised: AssayError = found(message)
    return raised

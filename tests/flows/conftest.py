"""A small workspace of real Adult rows with a champion, the `assay` command, and a Prefect server for all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.answer import make_key
from flows.verify import run_verify
from infra.settings import Settings

from .deployments import deployed
from .tiny import write_tiny

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("assay")
REGISTERED_STEPS = [
    "plan",
    "environment",
    "data",
    "validation",
    "representativeness",
    "tuning",
    "freeze",
    "explanations",
    "spending",
    "opening",
    "verdicts",
    "loosened",
    "registration",
    "ending",
]
"""Of a dossier whose run ended as Registered or Undecided."""


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.output}\n{self.errors}"


@dataclass(frozen=True)
class Assay:
    """The command line: forked from a process that has imported it, or started as a person starts it."""

    warm: subprocess.Popen[str]
    api: str
    environment: Mapping[str, str]
    scratch: Path

    def __call__(self, folder: Path, *arguments: str, **environment: str) -> Done:
        """Run ``assay ARGUMENTS`` in ``folder``."""
        return self.together([(folder, arguments)], **environment)[0]

    def together(self, commands: Sequence[tuple[Path, Sequence[str]]], **environment: str) -> list[Done]:
        """Run several ``assay ARGUMENTS`` at the same time, each in its folder."""
        count = range(len(commands))
        printed = [(self.scratch / f"{n}.output", self.scratch / f"{n}.errors") for n in count]
        requests = [
            {
                "arguments": arguments,
                "folder": str(folder),
                "environment": environment,
                "output": str(output),
                "errors": str(errors),
            }
            for (folder, arguments), (output, errors) in zip(commands, printed, strict=True)
        ]
        assert self.warm.stdin is not None
        assert self.warm.stdout is not None
        self.warm.stdin.write(json.dumps(requests) + "\n")
        self.warm.stdin.flush()
        codes = json.loads(self.warm.stdout.readline() or _ended(self.warm))["codes"]
        return [
            Done(code, output.read_text(), errors.read_text())
            for code, (output, errors) in zip(codes, printed, strict=True)
        ]


@dataclass(frozen=True)
class Workspace:
    """A working directory with the plan ``tiny``."""

    top: Path

    @property
    def plan(self) -> Path:
        return self.top / "data" / "tiny" / "plan.yaml"

    def document(self) -> dict[str, Any]:
        """The plan's plain values."""
        loaded: dict[str, Any] = yaml.safe_load(self.plan.read_text())
        return loaded

    def write(self, document: Mapping[str, Any]) -> None:
        """Replace the plan."""
        self.plan.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def judgement(self, **values: Any) -> None:
        """Replace keys of the judgement."""
        document = self.document()
        document["judgement"] |= values
        self.write(document)

    def rows(self, part: str) -> list[list[str]]:
        """The fields of a source's rows."""
        return [line.split(", ") for line in (self.top / f"{part}.csv").read_text().splitlines()]

    def put(self, part: str, content: bytes) -> None:
        """Replace a source and pin its new hash."""
        (self.top / f"{part}.csv").write_bytes(content)
        document = self.document()
        for source in document["judgement"]["data"]["sources"]:
            if source["part"] == part:
                source["sha256"] = hashlib.sha256(content).hexdigest()
        self.write(document)

    def put_rows(self, part: str, rows: list[list[str]]) -> None:
        """Replace a source by these rows and pin its new hash."""
        self.put(part, "".join(", ".join(row) + "\n" for row in rows).encode())

    def dossiers(self) -> list[Path]:
        """Dossiers of the model, oldest first: by their first record, whose time a copy keeps."""
        folder = self.top / "var" / "dossiers" / "tiny"
        return sorted(folder.glob("*"), key=lambda path: min((path / "records").glob("*")).stat().st_mtime_ns)

    @property
    def settings(self) -> Settings:
        """Its settings, for a process whose working directory is another."""
        return Settings(var=self.top / "var", data=self.top / "data")

    def is_signed(self, dossier: Path) -> bool:
        """Whether a dossier is as it was signed, by the workspace's own key."""
        return run_verify(str(dossier), [], None, self.settings, allow_unenrolled=True).exit_code == 0

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of MLflow's database."""
        with closing(sqlite3.connect(self.top / "var" / "mlflow.db")) as database:
            return database.execute(sql).fetchall()

    def aliases(self) -> dict[str, int]:
        """Alias -> version of the model."""
        return {
            alias: int(number)
            for alias, number in self.query("select alias, version from registered_model_aliases")
        }

    def versions(self) -> list[int]:
        """Versions of the model."""
        return [
            int(number) for (number,) in self.query("select version from model_versions order by version")
        ]

    def registry(self) -> list[list[tuple[Any, ...]]]:
        """Everything that the registry holds, for a comparison before and after."""
        tables = ("registered_models", "model_versions", "registered_model_aliases", "registered_model_tags")
        return [sorted(self.query(f"select * from {table}")) for table in (*tables, "model_version_tags")]  # noqa: S608

    def runs(self) -> list[tuple[str, str]]:
        """Status and ending of each retraining run, oldest first; the ending is "" while there is none."""
        return self.query(
            "select status, coalesce((select value from tags where tags.run_uuid = runs.run_uuid "
            "and key = 'assay.ending'), '') from runs where run_uuid not in "
            "(select run_uuid from tags where key = 'assay.ledger') order by start_time"
        )

    def copy_to(self, top: Path) -> Workspace:
        """Copy everything, and tell MLflow's database, which keeps absolute paths, where it is now."""
        shutil.copytree(self.top, top, symlinks=True)
        database = top / "var" / "mlflow.db"
        if database.is_file():
            with closing(sqlite3.connect(database)) as connection, connection:
                for table, column in PLACES:
                    connection.execute(
                        f"update {table} set {column} = replace({column}, ?, ?)",  # noqa: S608
                        (str(self.top), str(top)),
                    )
        return Workspace(top)


PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def steps(dossier: Path) -> list[str]:
    """Steps of a dossier in their order."""
    return [path.stem[3:] for path in sorted((dossier / "records").glob("*.json"))]


def body(dossier: Path, step: str) -> dict[str, Any]:
    """What the last record of a step found."""
    path = max((dossier / "records").glob(f"*-{step}.json"))
    loaded: dict[str, Any] = json.loads(path.read_text())["body"]
    return loaded


@pytest.fixture(scope="session")
def assay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assay]:
    """The command, with one Prefect server for all tests."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "PREFECT"))}
    kept |= {"PREFECT_HOME": str(home / "prefect"), "COLUMNS": "300"}
    with subprocess.Popen(
        [sys.executable, ROOT / "tests" / "flows" / "warm.py", home],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT)},
    ) as warm:
        assert warm.stdout is not None
        yield Assay(warm, json.loads(warm.stdout.readline() or _ended(warm))["api"], kept, home)
        assert warm.stdin is not None
        warm.stdin.close()
        assert warm.wait(timeout=20) == 0


def _ended(warm: subprocess.Popen[str]) -> str:
    """Say that the process is gone; its traceback is on standard error."""
    pytest.fail(f"{warm.args} ended by itself with exit code {warm.wait(timeout=20)}: see its traceback")


@pytest.fixture(scope="session")
def unrun(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which nothing was run. Copy, don't touch."""
    return write_workspace(mirror, tmp_path_factory.mktemp("unrun") / "workspace")


def write_workspace(mirror: Path, top: Path) -> Workspace:
    """Write plan, card, population and sources: some rows of Adult, none of which has a rare value.

    Args:
        mirror: holds Adult.
        top: a folder to make.
    """
    workspace = Workspace(top)
    workspace.write(write_tiny(mirror, top))
    return workspace


@pytest.fixture(scope="session")
def first_run(
    unrun: Workspace, assay: Assay, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Done]:
    """A workspace after one retrain, and what it printed. Copy, don't touch."""
    workspace = unrun.copy_to(tmp_path_factory.mktemp("registered") / "workspace")
    done = assay(workspace.top, "retrain", "tiny")
    assert done.code == 0, done
    return workspace, done


@pytest.fixture(scope="session")
def registered(first_run: tuple[Workspace, Done]) -> Workspace:
    """A workspace whose model ``tiny`` has a champion. Copy, don't touch."""
    return first_run[0]


@pytest.fixture
def workspace(registered: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the registered workspace, to do with as a test likes."""
    return registered.copy_to(tmp_path / "workspace")


@pytest.fixture
def blank(unrun: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the workspace in which nothing was run."""
    return unrun.copy_to(tmp_path / "workspace")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Key file and public key of each reviewer, and of a stranger."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name in ("ada", "berta", "cleo", "stranger"):
        path = folder / f"{name}.pem"
        made[name] = (path, make_key(path).lines[-1].rpartition(" ")[2])
    return made


@pytest.fixture(scope="session")
def awaiting(
    registered: Workspace,
    assay: Assay,
    keys: Mapping[str, tuple[Path, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workspace]:
    """A workspace whose version 2, started by Ada, awaits its review. Copy, don't touch.

    The review was asked of a deployment, which nobody serves until a test does.
    """
    workspace = registered.copy_to(tmp_path_factory.mktemp("awaiting") / "workspace")
    document = workspace.document()
    reviewers = {name: keys[name][1] for name in ("ada", "berta", "cleo")}
    document["operations"]["review"] = {
        "reviewers": reviewers,
        "decisions": 24,
        "wrong_share": 0.25,
        "hours": 0.05,  # a test that fails must not wait for a week
    }
    workspace.write(document)
    # What the tests share is a command's own server, which would end with it; here it is one that stays.
    stays = {"ASSAY_AUTHOR": "Ada", "ASSAY_TEMPORARY_PREFECT": ""}
    with deployed(assay.api, "review", "manual") as runs:
        done = assay(workspace.top, "retrain", "tiny", "--force", **stays)
        assert done.code == 0, done
        assert "version 2 awaits its review: approved by two reviewers it is champion" in done.output
        told = "Approval    asked of review/manual: flow run review tiny@2; nobody serves it now"
        assert done.lines[-1].startswith(told)
        assert len(runs()) == 1
        assert workspace.aliases() == {"champion": 1}
        yield workspace

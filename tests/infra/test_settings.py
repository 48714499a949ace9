"""Settings come from the environment alone, and libraries are told what this stack needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.settings import QUIET, Settings, prepare_environment


def test_artifacts_follow_the_place_of_the_runs(tmp_path: Path) -> None:
    local = Settings(var=tmp_path)
    assert local.mlflow_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert local.artifact_root == (tmp_path / "mlartifacts").as_uri()
    assert Settings(tracking_uri="http://mlflow:5000").artifact_root == "mlflow-artifacts:/"
    assert Settings(tracking_uri="http://mlflow:5000", artifacts="s3://b").artifact_root == "s3://b"


def test_settings_are_read_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_PREFECT_PORT", "4321")
    assert Settings().prefect_port == 4321
    monkeypatch.setenv("ASSAY_PREFECT_PORT", "70000")
    with pytest.raises(ValidationError, match="prefect_port"):
        Settings()


def test_what_the_person_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*QUIET, "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    prepare_environment(Settings(var=tmp_path))
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    for name in (*QUIET, "PREFECT_HOME"):  # set here, so monkeypatch knows nothing of them
        monkeypatch.delenv(name)


def test_libraries_know_the_names_that_are_set(tmp_path: Path) -> None:
    """A library that renames a variable would start to report, or to log, without a word."""
    code = (
        "from pathlib import Path; import sys\n"
        "from infra.settings import Settings, prepare_environment\n"
        "prepare_environment(Settings(var=Path(sys.argv[1])))\n"
        "from prefect.settings import get_current_settings\n"
        "from prefect._internal.analytics.enabled import is_telemetry_enabled\n"
        "s = get_current_settings()\n"
        "assert s.home == Path(sys.argv[1]) / 'prefect', s.home\n"
        "assert not s.server.analytics_enabled and not is_telemetry_enabled()\n"
        "assert not s.server.ui.show_promotional_content\n"
        "assert s.client.retry_extra_codes == {500, 502, 503, 504}\n"
        "assert s.logging.level == 'WARNING' and s.logging.to_api.when_missing_flow == 'ignore'\n"
        "assert s.results.default_serializer == 'json'\n"
        "from mlflow import environment_variables as m\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "assert is_telemetry_disabled() and not m.MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()\n"
        "assert not m.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.get()\n"
        "assert m.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()\n"
        "from dvc import env\n"
        "import os; assert os.environ[env.DVC_NO_ANALYTICS]\n"
    )
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW", "DVC"))
    }
    clean = {name: value for name, value in clean.items() if name not in QUIET and name != "CI"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=clean,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr

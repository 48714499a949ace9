"""Every setting that comes from the environment, typed, in one place."""

import getpass
import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of a working directory; each is read from ``ASSAY_<NAME>``.

    No setting lowers a gate: limits live in the plan alone. Addresses and credentials of the servers keep
    the names that MLflow, Prefect and S3 clients give them; ``docs/operations.md`` lists them all.
    """

    model_config = SettingsConfigDict(env_prefix="ASSAY_", frozen=True)

    mirror: Path | None = Field(None, description="folder searched for pinned files before the network")
    var: Path = Field(Path("var"), description="what runs leave behind")
    data: Path = Field(Path("data"), description="folder of plans")
    tracking_uri: str | None = Field(None, description="MLflow; var/mlflow.db when absent")
    artifacts: str | None = Field(None, description="MLflow artifact root; var/mlartifacts when absent")
    ui_host: str = Field("127.0.0.1", description="address that `assay ui` listens on")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="port of MLflow in `assay ui`")
    prefect_port: int = Field(4200, ge=1, le=65535, description="port of Prefect in `assay ui`")
    privacy_key: SecretStr | None = Field(
        None, description="key of de-identification, hex or base64; var/keys/privacy.key when absent"
    )
    signing_key: Path | None = Field(
        None, description="PEM file of the Ed25519 key that signs dossiers; var/keys/signing.pem when absent"
    )
    trust: str | None = Field(
        None, description="public keys whose signatures count: a PEM file, or keys joined by commas"
    )
    verify: Literal["required"] | None = Field(
        None, description="`required`: registered models load only when signed by a key of ASSAY_TRUST"
    )
    author: str | None = Field(
        None, description="who starts runs, as plans name their reviewers; the login name when absent"
    )
    start_seconds: float = Field(120.0, gt=0, description="how long a server may take to start")

    @property
    def starter(self) -> str:
        """Who starts runs here, and so may not review them."""
        return self.author or getpass.getuser()

    @property
    def mlflow_uri(self) -> str:
        """The MLflow tracking and registry address."""
        return self.tracking_uri or f"sqlite:///{(self.var / 'mlflow.db').absolute()}"

    @property
    def artifact_root(self) -> str:
        """Where new experiments keep their artifacts; through the server when MLflow is one."""
        if self.artifacts is not None:
            return self.artifacts
        if self.mlflow_uri.startswith(("http://", "https://")):
            return "mlflow-artifacts:/"
        return (self.var / "mlartifacts").absolute().as_uri()

    @property
    def prefect_home(self) -> Path:
        """Prefect's folder: its database when no server is named, and its stored results."""
        return (self.var / "prefect").absolute()

    @property
    def prefect_address(self) -> Path:
        """The file in which `assay ui` leaves the address of its Prefect API."""
        return self.prefect_home / "api-address"


@lru_cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()


def prepare_environment(settings: Settings) -> None:
    """Set what the stack's libraries read from the environment at import, where the person has not.

    Call before importing prefect, mlflow, dvc, great_expectations, evidently or matplotlib.
    """
    settings.prefect_home.mkdir(parents=True, exist_ok=True)
    for name, value in {**QUIET, "PREFECT_HOME": str(settings.prefect_home)}.items():
        os.environ.setdefault(name, value)


QUIET = {
    # Nothing is sent to anybody.
    "DO_NOT_TRACK": "1",  # Evidently, Prefect's client, MLflow, DVC's telemetry
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # A server that restarts is waited for; 500 is what Prefect answers while its database is away.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,502,503,504",
    # Results that are kept are data, not code.
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # The terminal is for the verdict table; a run's log is in Prefect all the same.
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Figures are drawn without a display.
    "MPLBACKEND": "Agg",
}

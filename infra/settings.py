"""Every setting that comes from the environment, typed, in one place."""

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of a working directory; each is read from ``ASSAY_<NAME>``.

    No setting lowers a gate: limits live in the plan alone.
    """

    model_config = SettingsConfigDict(env_prefix="ASSAY_", frozen=True)

    mirror: Path | None = Field(None, description="folder searched for pinned files before the network")
    var: Path = Field(Path("var"), description="what runs leave behind")
    data: Path = Field(Path("data"), description="folder of plans")
    tracking_uri: str | None = Field(None, description="MLflow; var/mlflow.db when absent")
    artifacts: str | None = Field(None, description="MLflow artifact root; var/mlartifacts when absent")
    ui_host: str = Field("127.0.0.1", description="address that `assay ui` listens on")
    mlflow_port: int = 5000
    prefect_port: int = 4200

    @property
    def mlflow_uri(self) -> str:
        """The MLflow tracking and registry address."""
        return self.tracking_uri or f"sqlite:///{(self.var / 'mlflow.db').absolute()}"

    @property
    def artifact_root(self) -> str:
        """Where new experiments keep their artifacts."""
        return self.artifacts or (self.var / "mlartifacts").absolute().as_uri()


@lru_cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()

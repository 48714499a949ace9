"""A real MLflow on SQLite for each test (the empty database is made once), and a small frozen model."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule
from tasks.model.tabular import TabularFeatures, Wanted
from tasks.plan.source import Column
from tasks.register.client import Connection, connect

COLUMNS = {
    "age": Column(type="integer"),
    "gain": Column(type="number", nullable=True),
    "work": Column(type="category", nullable=True),
    "code": Column(type="category"),
}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, migrated once: it takes two seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    connect(f"sqlite:///{path}", None).experiment("warm")
    return path


@pytest.fixture
def connection(tmp_path: Path, empty_database: Path) -> Connection:
    """MLflow on a database and an artifact folder of the test's own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return connect(f"sqlite:///{tmp_path / 'mlflow.db'}", (tmp_path / "artifacts").as_uri())


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Forty rows as ``pandas.read_csv`` gives them: int64, float64 with a gap, str with '?', int64 codes."""
    draw = np.random.default_rng(0)
    n = 40
    return pd.DataFrame(
        {
            "age": draw.integers(17, 90, n),
            "gain": np.where(np.arange(n) % 7 == 0, np.nan, draw.integers(0, 5000, n)),
            "work": draw.choice(["Private", "State-gov", "?"], n),
            "code": draw.integers(1, 3, n),
        }
    )


@pytest.fixture(scope="session")
def predictor(rows: pd.DataFrame) -> Predictor:
    """A network with drawn weights: registration does not ask how good it is."""
    torch.manual_seed(0)
    kinds = {name: column.type for name, column in COLUMNS.items()}
    wanted = [Wanted(name, kind, hidden=False) for name, kind in kinds.items()]
    features = TabularFeatures.fit(rows, wanted, ["?"], bins=4, embedding=4)
    settings = {"kind": "mlp", "hidden": [8], "dropout": 0.0, "members": 1}
    network = Network(features, settings, 2).eval()
    rule = ClassRule(("<=50K", ">50K"), ">50K", 0.5, (0.25, 0.5, 0.75), 2)
    return Predictor(features, settings, network, rule)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, predictor: Predictor) -> Path:
    """The frozen model's two files."""
    folder = tmp_path_factory.mktemp("frozen") / "model"
    folder.mkdir()
    for name, content in predictor.contents().items():
        (folder / name).write_bytes(content)
    return folder

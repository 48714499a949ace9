"""The registered model's code: MLflow runs this file when it loads the model, with nothing else of ours.

Beside it lie two artifacts: ``model`` (weights.safetensors, model.json) and ``source``, a copy of the
folder tasks/model, imported under a name that is new in every load, so that two versions of the model can
live in one process. Nothing is unpickled.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


def load_source(folder: Path) -> ModuleType:
    """Import the package in ``folder`` under a name of its own and return its ``predictor`` module."""
    name = f"assay_model_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} holds no package: __init__.py is missing")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return importlib.import_module(f"{name}.predictor")


class Served(PythonModel):
    """The model behind ``mlflow.pyfunc.load_model``."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load weights and decision rule from the artifacts."""
        source = load_source(Path(context.artifacts["source"]))
        self.predictor = source.Predictor.load(Path(context.artifacts["model"]))

    # MLflow reads these types: with none, or others, it warns whoever loads the model.
    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """``prediction`` and ``probability`` (of the positive class) for each row of a pandas frame."""
        answer: pd.DataFrame = self.predictor.predict(model_input)
        return answer


set_model(Served())

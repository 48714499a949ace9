"""A frozen model into MLflow: code beside safetensors, nothing pickled, requirements stated."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import tasks.model
from tasks.errors import RegistryError
from tasks.evidence.digest import canonical_json, write_atomically
from tasks.evidence.envelope import files_below
from tasks.evidence.keys import SigningKey
from tasks.plan.source import Column
from tasks.register.client import Connection
from tasks.register.served import load_source
from tasks.register.signed import seal_model

SERVED = Path(__file__).with_name("served.py")
SOURCE = Path(tasks.model.__file__).parent
REQUIRED = ("mlflow", "numpy", "pandas", "safetensors", "torch")
DECODERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"audio": ("scipy", "soundfile"), "image": ("pillow",), "text": ("tokenizers",)}
)
"""What a model needs besides, by the kind of its features."""
EXAMPLE_ROWS = 20
LOG = "prediction_log.json"


@dataclass(frozen=True)
class Logged:
    """A model that MLflow holds.

    Attributes:
        uri: its address ``models:/m-...``.
        files: path -> SHA-256 of every file that was stored.
    """

    uri: str
    files: Mapping[str, str]


def log_model(
    connection: Connection,
    run_id: str,
    model_folder: Path,
    example: pd.DataFrame,
    columns: Mapping[str, Column | None],
    tags: Mapping[str, str],
    *,
    key: SigningKey | None = None,
    kept: Mapping[str, Any] | None = None,
) -> Logged:
    """File a frozen model under its run.

    Args:
        connection: MLflow.
        run_id: the run that made the model.
        model_folder: weights.safetensors and model.json.
        example: rows as ``pandas.read_csv`` gives them; only their types are kept.
        columns: which the model takes in, as the plan has them; None for texts, images or recordings.
        tags: digests.
        key: signs the stored files, code included; None leaves them unsigned.
        kept: what of a row goes into the predictions log where one is kept; None keeps none.

    Raises:
        RegistryError: when an example lacks a column, or MLflow can't store the model.
    """
    with tempfile.TemporaryDirectory(prefix="assay-") as temporary:
        code = Path(temporary) / "source"
        shutil.copytree(SOURCE, code, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        signature = _signature(code, model_folder, example, columns)
        with connection.doing(f"store the model of run {run_id}") as client:
            run = client.get_run(run_id)
            logged = client.create_logged_model(
                run.info.experiment_id, "model", run_id, dict(tags), dict(run.data.params), "assay"
            )
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            packed = Path(temporary) / "packed"
            card = Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=run_id,
                model_id=logged.model_id,
                signature=signature,
            )
            _pack(packed, card, code, model_folder, kept)
            if key is not None:
                seal_model(packed, key)
            client.log_model_artifacts(logged.model_id, str(packed))
            client.finalize_logged_model(logged.model_id, "READY")
        return Logged(f"models:/{logged.model_id}", files_below(packed))


def requirements(model_folder: Path) -> list[str]:
    """What the model needs, pinned to what is installed; without a local build such as ``+cpu``."""
    kind = json.loads((model_folder / "model.json").read_bytes())["features"]["kind"]
    needed = sorted([*REQUIRED, *DECODERS.get(kind, ())])
    return [f"{name}=={version(name).partition('+')[0]}" for name in needed]


def input_schema(columns: Mapping[str, Column | None], example: pd.DataFrame) -> Schema:
    """MLflow's types for what ``pandas.read_csv`` may give for ``columns``.

    One column's type may change with the rows read: numbers come as int64 or, with a missing one, as
    float64; codes such as SEX=1 come as int64. MLflow refuses int64 where double or string is declared,
    so such columns are declared ``any`` and the model's own encoders check them, row by row; so are texts,
    images and recordings.

    Raises:
        RegistryError: naming the columns that the example lacks.
    """
    if lacking := [name for name, own in columns.items() if own is not None and name not in example.columns]:
        raise RegistryError(f"the example rows lack the model's columns {', '.join(map(repr, lacking))}")
    return Schema(
        [
            ColSpec(kind, name, required=not isinstance(kind, AnyType))
            for name, column in columns.items()
            for kind in [_type(column, example.get(name))]
        ]
    )


def _pack(packed: Path, card: Model, code: Path, model_folder: Path, kept: Mapping[str, Any] | None) -> None:
    parts = {"model": str(model_folder), "source": str(code)}
    if kept is not None:
        parts["log"] = str(code.with_name(LOG))
        write_atomically(code.with_name(LOG), canonical_json(kept))
    with warnings.catch_warnings():
        # No rows as an example: they would put people's data into the registry.
        warnings.filterwarnings("ignore", ".*input example was not provided", UserWarning)
        mlflow.pyfunc.save_model(
            str(packed),
            python_model=str(SERVED),
            artifacts=parts,
            signature=card.signature,
            pip_requirements=requirements(model_folder),
            mlflow_model=card,
        )
    for cache in [*packed.rglob("__pycache__")]:
        shutil.rmtree(cache)


def _type(column: Column | None, values: pd.Series | None) -> DataType | AnyType:
    if column is None or values is None:
        return AnyType()  # type: ignore[no-untyped-call]
    if column.type == "category" and values.dtype == object:
        return DataType.string
    if column.type == "integer" and not column.nullable and values.dtype == "int64":
        return DataType.long
    return AnyType()  # type: ignore[no-untyped-call]


def _signature(
    code: Path, model_folder: Path, example: pd.DataFrame, columns: Mapping[str, Column | None]
) -> ModelSignature:
    predictor = load_source(code).Predictor.load(model_folder)
    predicted = predictor.predict(example.head(EXAMPLE_ROWS))
    if predictor.noise is not None:
        predicted = predicted[["prediction"]]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string if predicted[name].dtype == object else DataType.double, str(name))
        for name in predicted.columns
    ]
    # Nobody is the default, and the model refuses to answer nobody.
    caller = ParamSchema([ParamSpec("caller", DataType.string, "")]) if predictor.noise is not None else None
    return ModelSignature(inputs=input_schema(columns, example), outputs=Schema(outputs), params=caller)  # type: ignore[arg-type] # mlflow: None is none

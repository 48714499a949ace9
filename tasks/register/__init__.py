"""MLflow: runs, registry, promotion, rollback. The only room that imports MLflow.

MLflow's client reads these settings while it is imported or at its first call, so they stand here, where
Python comes by before any module of the room. Whoever sets one in the environment is obeyed.
"""

import os
import warnings

_CLIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the flow says where to look
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",  # its flush returns normally after losing data
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",  # a value too long is an error, not a shorter value
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # by default: 120 s, seven retries, minutes until the answer
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
for _name, _value in _CLIENT.items():
    os.environ.setdefault(_name, _value)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
    import mlflow.pyfunc  # noqa: F401

"""shap, imported as it is fit for a run of a minute."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any


def shap() -> Any:
    """The library, its loops left to Python where nothing imported it before.

    numba would compile four small loops for eight seconds in every process; of a few hundred rows Python runs
    them in a tenth of one.
    """
    if "shap" not in sys.modules:
        config: Any = importlib.import_module("numba").config
        before, config.DISABLE_JIT = config.DISABLE_JIT, True
        try:
            with warnings.catch_warnings():
                # shap asks matplotlib for a colour map in a way that matplotlib is about to give up.
                warnings.simplefilter("ignore", PendingDeprecationWarning)
                importlib.import_module("shap")
        finally:
            config.DISABLE_JIT = before
    return sys.modules["shap"]

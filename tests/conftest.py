"""What tests share: where data is, and what happens to a test whose means are not at hand."""

import os
from pathlib import Path

import pytest


def missing(reason: str) -> None:
    """Skip a test whose data, server or browser is absent; fail it where everything is required.

    ``ASSAY_REQUIRE_ALL=1`` is what CI sets after installing all that the tests take.
    """
    if os.environ.get("ASSAY_REQUIRE_ALL") == "1":
        pytest.fail(f"ASSAY_REQUIRE_ALL is set, and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder in which pinned files are looked for before the network (``ASSAY_MIRROR``)."""
    folder = os.environ.get("ASSAY_MIRROR")
    if not folder or not Path(folder).is_dir():
        missing("ASSAY_MIRROR names no folder with the pinned data sets")
    return Path(str(folder))

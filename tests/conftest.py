"""What tests share: where data is, and what happens to a test whose means are not at hand."""

import os
from pathlib import Path

import pytest

ALONE = ("test_adult.py", "test_turns.py")
"""Files of tests/flows that take minutes and share nothing with the others but a Prefect server."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests, and all of tests/flows, in one of the processes of ``pytest -n``.

    They share a server and a run that are made once a process. The longest come first.
    """
    for item in items:
        shares = "flows" in item.path.parts and item.path.name not in ALONE
        item.add_marker(pytest.mark.xdist_group("flows" if shares else str(item.path)))
    items.sort(key=lambda item: ("flows" not in item.path.parts, "infra" not in item.path.parts))


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

"""What tests share: where data is, and what happens to a test whose means are not at hand."""

import gc
import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from infra.garbage import collect_seldom

collect_seldom()  # as flows.cli does: tests import what it does

ALONE = ("adult", "cli", "compare", "mitigated", "plans", "privacy", "private", "tuning", "turns")
"""Files of tests/flows that share nothing with the others but a Prefect server."""


class ByRoom(LoadScopeScheduling):
    """Keeps each file's tests, and nearly all of tests/flows, in one of the processes of ``pytest -n``.

    They share a server and a run that are made once a process.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "flows" if "/flows/" in path and Path(path).stem.removeprefix("test_") not in ALONE else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByRoom:
    return ByRoom(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first."""
    items.sort(key=lambda item: ("flows" not in item.path.parts, "infra" not in item.path.parts))


def pytest_collection_finish() -> None:
    """What collecting imported stays: no test need search it for cycles."""
    gc.freeze()


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

"""What a reviewer sees: `assay ui` in a real browser, on a workspace with a champion."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from infra.processes import answers, free_port, running
from tests.conftest import missing

from .conftest import SCRIPT, Workspace, body

pytestmark = pytest.mark.browser
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def reviewed(
    registered: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workspace, int, int]]:
    """A workspace with `assay ui` running on it, and its two ports."""
    workspace = registered.copy_to(tmp_path_factory.mktemp("reviewed") / "workspace")
    mlflow, prefect = free_port(), free_port()
    env = {"ASSAY_MLFLOW_PORT": str(mlflow), "ASSAY_PREFECT_PORT": str(prefect), "PREFECT_API_URL": ""}
    with running([SCRIPT, "ui"], log=workspace.top / "ui.log", env=env, cwd=workspace.top) as process:
        for _ in range(240):
            if answers(f"http://127.0.0.1:{mlflow}/health") and answers(
                f"http://127.0.0.1:{prefect}/api/health"
            ):
                break
            assert process.poll() is None, (workspace.top / "ui.log").read_text()
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
        yield workspace, mlflow, prefect


@pytest.fixture(scope="module")
def page(missing_browser: str) -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=missing_browser, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def missing_browser() -> str:
    """The path of a Chromium; without one the tests are skipped, or fail where all is required."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing("there is no Chromium: infra/install-system-packages.sh installs it on Debian")
    return str(found)


def test_the_runs_front_page_says_what_was_decided_and_why(
    reviewed: tuple[Workspace, int, int], page: Page, tmp_path: Path
) -> None:
    workspace, port, _ = reviewed
    run, experiment = workspace.query("select run_uuid, experiment_id from runs")[0]
    page.goto(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run}")
    page.get_by_text("Registered: tiny version 1, champion").first.wait_for()
    page.get_by_role("heading", name="Registered: tiny 20").wait_for()
    page.get_by_text("Show more").last.click()
    judged = body(workspace.dossiers()[0], "verdicts")["judged"][0]
    table = page.get_by_role("table").first
    assert judged["verdict"] in table.inner_text()
    assert f"{judged['measurement']:.4f}" in table.inner_text()
    page.screenshot(path=tmp_path / "run.png")


def test_the_figures_and_records_are_in_the_run(reviewed: tuple[Workspace, int, int], page: Page) -> None:
    workspace, port, _ = reviewed
    run, experiment = workspace.query("select run_uuid, experiment_id from runs")[0]
    page.goto(
        f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run}/artifacts/dossier/figures/rates-sex.png"
    )
    page.get_by_text("dossier/figures/rates-sex.png").first.wait_for()
    image = page.locator(
        "img[src*='blob:'], img[src*='rates-sex'], .image-outer-container img, canvas, .plotly"
    ).first
    image.wait_for()


def test_the_version_bears_its_alias_and_digests(reviewed: tuple[Workspace, int, int], page: Page) -> None:
    _, port, _ = reviewed
    page.goto(f"http://127.0.0.1:{port}/#/models/tiny/versions/1")
    page.get_by_text("@ champion").first.wait_for()
    page.get_by_text("assay.dossier_head").first.wait_for()
    assert "1 PASS of 1 limits" in page.inner_text("body")


def test_prefect_shows_the_run_under_its_ending(reviewed: tuple[Workspace, int, int], page: Page) -> None:
    # The workspace's run was made on the tests' own Prefect server; this check is made on the one shown.
    workspace, _, port = reviewed
    api = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    subprocess.run(
        [SCRIPT, "check", "tiny"], cwd=workspace.top, env=os.environ | api, check=True, capture_output=True
    )
    page.goto(f"http://127.0.0.1:{port}/runs")
    page.get_by_text("check tiny").first.wait_for()
    page.get_by_text("tiny can be retrained").first.wait_for()

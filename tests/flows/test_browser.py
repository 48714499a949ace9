"""What a reviewer sees and does: `assay ui` in a real browser, on a version that awaits its review."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from infra.processes import answers, free_port, running
from tasks.register.client import connect
from tasks.register.trials import log_trial
from tasks.review.answers import read_decisions, sign, text_of
from tasks.review.keys import read_key
from tasks.review.standing import Standing
from tasks.train.records import Trial
from tests.conftest import missing

from .conftest import SCRIPT, Workspace, body
from .reviewers import Decide, filled, truly

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60_000  # milliseconds
BUSY = 503  # Prefect's answer while its database is locked; its page leaves trying again to the person


@dataclass(frozen=True)
class Shown:
    """A workspace with `assay ui` running on it: version 1 is champion, version 2 awaits its review.

    Attributes:
        workspace: served.
        mlflow: address of MLflow.
        prefect: address of Prefect.
    """

    workspace: Workspace
    mlflow: str
    prefect: str

    @property
    def run(self) -> str:
        """The run of version 2."""
        return str(self.workspace.query("select run_id from model_versions where version = 2")[0][0])

    @property
    def dossier(self) -> Path:
        return self.workspace.top / "var" / "dossiers" / "tiny" / self.run

    def of_run(self, place: str = "") -> str:
        """Address of a page on version 2's run."""
        experiment = self.workspace.query(f"select experiment_id from runs where run_uuid = '{self.run}'")  # noqa: S608
        return f"{self.mlflow}/#/experiments/{experiment[0][0]}/runs/{self.run}{place}"

    def tags(self) -> dict[str, str]:
        """Tags of version 2."""
        return dict(self.workspace.query("select key, value from model_version_tags where version = 2"))


@pytest.fixture(scope="module")
def shown(awaiting: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Both servers on a copy of that workspace, whose run has a trial of a search below it."""
    workspace = awaiting.copy_to(tmp_path_factory.mktemp("shown") / "workspace")
    mlflow, prefect = free_port(), free_port()
    env = {"ASSAY_MLFLOW_PORT": str(mlflow), "ASSAY_PREFECT_PORT": str(prefect), "PREFECT_API_URL": ""}
    with running([SCRIPT, "ui"], log=workspace.top / "ui.log", env=env, cwd=workspace.top) as process:
        found = Shown(workspace, f"http://127.0.0.1:{mlflow}", f"http://127.0.0.1:{prefect}")
        trial = Trial(number=0, settings={"training.epochs": 3}, performance=0.8, excess=-0.1)
        log_trial(connect(f"sqlite:///{workspace.top / 'var' / 'mlflow.db'}", None), found.run, trial)
        for _ in range(240):
            if answers(f"{found.mlflow}/health") and answers(f"{found.prefect}/api/health"):
                break
            assert process.poll() is None, (workspace.top / "ui.log").read_text()
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
        yield found


@pytest.fixture(scope="module")
def page(missing_browser: str) -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=missing_browser, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def missing_browser() -> str:
    """The path of a Chromium; without one the tests are skipped, or fail where all is required."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing("there is no Chromium: infra/install-system-packages.sh installs it on Debian")
    return str(found)


def test_the_front_page_says_what_was_decided_and_why_before_a_click(shown: Shown, page: Page) -> None:
    page.goto(shown.of_run())
    page.get_by_role("heading", name="Registered: tiny version 2, awaits its review").wait_for()
    page.get_by_role("link", name="trial 0").wait_for()
    description = page.get_by_test_id("show-comment-toggle").locator("xpath=preceding-sibling::div")
    top = description.bounding_box()
    assert top is not None
    for told in ("1 PASS of 1 limits", "approved by two reviewers it is champion"):
        place = page.get_by_text(told).last.bounding_box()
        assert place is not None
        assert place["y"] + place["height"] <= top["y"] + top["height"], f"{told}: hidden before a click"

    page.get_by_test_id("show-comment-toggle").click()
    judged = body(shown.dossier, "verdicts")["judged"][0]
    paired = body(shown.dossier, "registration")["paired"]
    verdicts, champion = page.get_by_role("table").first, page.get_by_role("table").nth(1)
    for told in (
        judged["verdict"],
        f"{judged['measurement']:.4f}",
        f"≤\N{NO-BREAK SPACE}{judged['limit']:g}",
    ):
        assert told in verdicts.inner_text(), told
    for told in (paired["verdict"], f"{paired['difference']:+.4f}", f"{paired['low']:+.4f}", "version 1"):
        assert told in champion.inner_text(), told


def test_the_audit_page_opens_in_mlflow_from_the_front_page(shown: Shown, page: Page) -> None:
    link = page.get_by_role("link", name="audit page").get_attribute("href")
    assert link is not None
    page.goto(f"{shown.mlflow}/{link}")
    audit = page.frame_locator("iframe")
    audit.get_by_role("heading", name="Audit of tiny").wait_for()
    judged = body(shown.dossier, "verdicts")["judged"][0]
    said = audit.locator("[data-as='measured'][data-from$='#/body/judged/0']").first
    assert said.inner_text() == f"{judged['measurement']:.4f}"
    assert judged["verdict"] in audit.locator("article .verdict").first.inner_text()
    # A link in a sandboxed frame leads nowhere: the page names the files that lie beside it.
    assert "model_card.html" in audit.locator("nav").inner_text()


def test_charts_come_in_the_order_in_which_they_are_read(shown: Shown, page: Page) -> None:
    page.goto(shown.of_run("/model-metrics"))
    page.get_by_text("performance/test", exact=True).first.wait_for()
    seen = page.locator("body").inner_text().splitlines()
    sections = (
        "champion/accuracy",
        "gate/sex/demographic_parity_difference",
        "group/sex/selection_rate",
        "performance/test",
    )
    places = [seen.index(section) for section in sections]
    assert places == sorted(places)


def test_the_figures_and_records_are_in_the_run(shown: Shown, page: Page) -> None:
    page.goto(shown.of_run("/artifacts/dossier/figures/rates-sex.png"))
    page.get_by_text("dossier/figures/rates-sex.png").first.wait_for()
    page.locator(
        "img[src*='blob:'], img[src*='rates-sex'], .image-outer-container img, canvas, .plotly"
    ).first.wait_for()


def test_two_approvals_in_prefects_form_move_the_alias(
    shown: Shown, page: Page, keys: dict[str, tuple[Path, str]]
) -> None:
    version = f"{shown.mlflow}/#/models/tiny/versions/2"
    page.goto(version)
    page.get_by_role("heading", name="Registered: tiny version 2, awaits its review").wait_for()
    page.get_by_text("assay.against_champion").first.wait_for()
    assert "@ champion" not in page.inner_text("body")
    assert shown.workspace.aliases() == {"champion": 1}

    top = shown.workspace.top
    env = {"PREFECT_API_URL": f"{shown.prefect}/api"}
    with running([SCRIPT, "review", "tiny@2"], log=top / "review.log", env=env, cwd=top) as process:
        while "assay.review_flow_run" not in shown.tags():
            assert process.poll() is None, (top / "review.log").read_text()
            page.wait_for_timeout(200)
        knows = truly(shown.workspace)
        for name in ("berta", "cleo"):
            page.goto(f"{shown.prefect}/runs/flow-run/{shown.tags()['assay.review_flow_run']}")
            approve(shown, page, keys[name][0], knows)
            while f"Taken       the answers of {name}" not in (top / "review.log").read_text():
                page.wait_for_timeout(100)
        assert process.wait(60) == 0, (top / "review.log").read_text()
    page.get_by_text("Approved").first.wait_for()
    page.get_by_text("review tiny@2").first.wait_for()

    assert shown.workspace.aliases() == {"champion": 2}
    page.goto(version)
    page.get_by_role("heading", name="tiny version 2, champion: approved in its review").wait_for()
    page.get_by_text("@ champion").first.wait_for()
    assert "approved by berta and cleo" in page.inner_text("body")
    page.goto(f"{shown.mlflow}/#/models/tiny/versions/1")
    page.get_by_role("heading", name="Registered: tiny version 1, champion until version 2").wait_for()
    assert "@ champion" not in page.inner_text("body")


def approve(shown: Shown, page: Page, key: Path, decide: Decide) -> None:
    """Sign answers, and paste them into the form of the paused flow run."""
    asked = Standing.of(shown.dossier).asked
    packet = shown.workspace.top / "var" / "reviews" / "tiny" / "2" / "packet.csv"
    decisions = read_decisions(filled(packet, decide), asked.packet)
    signed = sign(asked, read_key(key), decisions, "approve", "")
    while (status := submit(page, text_of(signed))) == BUSY:
        page.reload()
    assert status == 201


def submit(page: Page, text: str) -> int:
    """Paste a text into the form that a paused flow run shows, and send it; the answer's status."""
    page.get_by_role("button", name="Resume").first.click()
    page.get_by_text("this form authenticates nobody").wait_for()
    page.locator(".p-modal textarea").fill(text)
    with page.expect_response(lambda response: response.url.endswith("/resume")) as resumed:
        page.get_by_role("button", name="Submit").click()
    return resumed.value.status

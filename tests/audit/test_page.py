"""The page: self-contained, readable without scripts and colours, and safe with any group's name."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.audit.audit import Asked, audit
from tasks.audit.drawing import Scale
from tasks.audit.figures import rate_figures
from tasks.audit.page import page
from tasks.audit.records import Audit
from tasks.fairness.verdict import GroupRate

from .conftest import asked

NASTY = "<script>alert('x')</script> & \"co\""
VOID = {"meta", "rect", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Tags, their attributes and text; complains about tags that do not match."""

    def __init__(self, html: str) -> None:  # noqa: D107 - reads at once
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    rng = np.random.default_rng(0)
    n = 3000
    truth = rng.random(n) < 0.4
    score = np.clip(0.4 * truth + 0.6 * rng.random(n), 0, 1)
    folder = tmp_path_factory.mktemp("scored")
    table = pl.DataFrame(
        {
            "truth": truth,
            "guess": score > 0.5,
            "s": score,
            "group": rng.choice(["a", NASTY, "rare"], n, p=[0.6, 0.3997, 0.0003]),
            "sex": rng.choice(["F", "M"], n),
        }
    )
    table.write_parquet(folder / "table.parquet")
    limits = folder / "limits.yaml"
    limits.write_text(
        "- {metric: equalized_odds_difference, attribute: sex x group, limit: 0.2}\n"
        "- {metric: demographic_parity_ratio, attribute: group, limit: 0.8}\n"
    )
    return audit(asked(folder / "table.parquet", score="s", groups=("group", "sex"), limits=limits))


def test_nothing_is_fetched_and_nothing_runs(scored: Audit) -> None:
    parsed = Page(page(scored))
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    named = {name for _, attributes in parsed.tags for name in attributes}
    assert not {"href", "src", "onload", "onclick"} & named
    assert "url(" not in page(scored)
    assert NASTY in parsed.text


def test_every_picture_says_what_it_shows(scored: Audit) -> None:
    html = page(scored)
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(pictures) == 3 + 2 * 3
    for svg in pictures:
        assert re.search(r"<title>[^<]+</title><desc>[^<]+</desc>", svg)
        assert 'role="img"' in svg
        assert "nan" not in svg
    for heading in ("True positive rate by sex x group", "Selection rate by group", "ROC by group"):
        assert heading in html
    assert "Calibration by sex" in html


def test_the_page_says_what_the_record_says(scored: Audit) -> None:
    text = " ".join(Page(page(scored)).text.split())
    for one in scored.judged:
        assert one.sentence in text
        assert f"{one.verdict}" in text
    for fact in (
        scored.file.sha256,
        scored.digest,
        "3,000 rows",
        "alpha 0.05",
        "of its cells hold fewer than 10 people",
    ):
        assert fact in text
    assert "conventional, not from a plan" not in text
    assert page(scored) == page(scored)


def test_conventional_limits_are_called_so(compas: Asked) -> None:
    html = page(audit(compas))
    assert "The limits are conventional, not from a plan." in html
    assert html.count("conventional, not from a plan:") == 6
    for count in ("1,369", "805", "532", "990"):
        assert f"<td>{count}</td>" in html


def test_tables_of_laws_name_their_place(compas: Asked, scored: Audit) -> None:
    found = audit(compas)
    assert [table.attribute for table in found.laws.four_fifths] == ["race", "sex"]
    assert [table.attribute for table in found.laws.local_law_144] == ["sex", "race", "sex x race"]
    html = page(found)
    assert "29 CFR 1607.4(D), the four-fifths rule" in html
    assert "United States: federal employment selection" in html
    assert "6 RCNY 5-301 (Local Law 144 of 2021)" in html
    assert "no verdict of this audit" in html
    assert scored.laws.local_law_144 == ()
    assert "Local Law 144" not in page(scored), "its groups are not known to be sex and race"


def test_several_classes_show_each_groups_matrix(tmp_path: Path) -> None:
    path, limits = tmp_path / "three.csv", tmp_path / "limits.yaml"
    pl.DataFrame(
        {"truth": ["x", "y", "z", "z"] * 50, "guess": ["x", "y", "z", "x"] * 50, "group": ["a", "b"] * 100}
    ).write_csv(path)
    limits.write_text("- {metric: accuracy_difference, attribute: group, limit: 0.05}\n")
    html = page(audit(asked(path, limits=limits)))
    assert "b: true class by predicted class" in html
    # Rows of b: 50 of y, all right, and 50 of z, all taken for x.
    assert "<td>0</td><td>50</td><td>0</td>" in html
    assert "<td>50</td><td>0</td><td>0</td>" in html


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.31, 0.34), (0.0, 0.004), (0.5, 3.2)])
def test_ticks_are_round_and_on_the_line(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 100).ticks()
    assert 2 <= len(ticks) <= 8
    assert low <= ticks[0] < ticks[-1] <= high
    assert all(len(f"{tick:g}") <= 6 for tick in ticks)


def test_a_figure_draws_values_below_0_in_one_unit(scored: Audit) -> None:
    rates = tuple(
        GroupRate(
            rate_name="tpr - fpr", group=name, events=5, n=90, rate=rate, low=rate - 0.2, high=rate + 0.2
        )
        for name, rate in (("a", -0.3), ("b", 1.1))
    )
    one = scored.judged[0].model_copy(update={"metric": "equalized_odds_sum", "groups": rates, "worst": None})
    (figure,) = rate_figures(one)
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', figure.svg)]
    # -0.3 and 1.1 on an axis from -0.5 to 1.3 with some room: both inside, neither at an end.
    assert 40 < places[0] < 60
    assert 300 < places[1] < 320
    assert "-0.300  n=90" in figure.svg
    assert "1.100  n=90" in figure.svg
    assert "%" not in figure.svg
    assert figure.caption.startswith("True positive rate - false positive rate by sex x group with 95%")


def test_the_band_stands_on_the_deciding_pair(compas: Asked) -> None:
    ratio = audit(compas).judged[0]
    assert ratio.worst == ("selection_rate", "African-American", "Other")
    assert ratio.measured_on == ("selection_rate", "Native American", "Other")
    (figure,) = rate_figures(ratio)
    assert figure.caption.endswith(
        "leaves room for below African-American (decided on African-American against Other)."
    )
    band = re.search(r'<rect x="([\d.]+)" y="0" width="([\d.]+)" [^>]*class="band"', figure.svg)
    assert band is not None
    edge = float(band[1]) + float(band[2])
    dots = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', figure.svg)]
    groups = [rate.group for rate in ratio.groups]
    assert edge == pytest.approx(dots[groups.index("African-American")], abs=0.2)
    shown = page(audit(compas))
    assert "<dt>measured</dt><dd>0.3143 (Native American against Other)</dd>" in shown
    assert "<dt>decided by</dt><dd>selection rate: African-American 0." in shown

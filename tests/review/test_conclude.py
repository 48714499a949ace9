"""What a packet is drawn of, and how the answers to it end the review."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from tasks.errors import Refusal
from tasks.evidence.keys import SigningKey
from tasks.fairness.verdict import Verdict
from tasks.plan.data import Classes
from tasks.plan.judgement import Judgement
from tasks.plan.plan import Plan
from tasks.plan.review import Review
from tasks.review.conclude import Asking, conclude
from tasks.review.draw import Examined, draw, margins
from tasks.review.packet import digest_sheets, packet_page, packet_table, sheets_of
from tasks.review.reasons import Reasons
from tasks.review.records import Answers, Case, Packet, Wish

from .conftest import NO_FLIPS

ADULT = yaml.safe_load((Path(__file__).parents[2] / "data" / "adult" / "plan.yaml").read_text())
LABEL = Classes(column="y", values=["no", "yes"], positive="yes")
N = 400
SEX_LIMIT = {"metric": "demographic_parity_difference", "attribute": "sex", "limit": 0.2}


@pytest.fixture(scope="module")
def tested() -> Examined:
    """400 rows of two groups; nine in ten decisions are right."""
    random = np.random.default_rng(5)
    score = random.random(N).astype(np.float32)
    prediction = np.where(score >= 0.4, "yes", "no")
    truth = np.where(random.random(N) < 0.9, prediction, np.where(prediction == "yes", "no", "yes"))
    predictions = pl.DataFrame(
        {
            "row_id": pl.Series(range(N), dtype=pl.UInt32),
            "row_digest": [f"{i:016x}" for i in range(N)],
            "score": score,
            "prediction": prediction,
        }
    )
    described = pl.DataFrame({"sex": random.choice(["F", "M"], N), "label": truth})
    return Examined(predictions, described, LABEL, judged=(), flips=range(0, N, 9))


@pytest.fixture(scope="module")
def cases(tested: Examined) -> tuple[Case, ...]:
    return draw(tested, wish(40), seed=1)


@pytest.fixture
def asking(cases: tuple[Case, ...], tested: Examined, review: Review) -> Asking:
    data = ADULT["judgement"]["data"] | {"label": LABEL.model_dump()}
    limits = [SEX_LIMIT, SEX_LIMIT | {"metric": "auc_difference"}]
    judgement = Judgement.model_validate(
        ADULT["judgement"] | {"data": data, "protected": {"sex": {"column": "sex"}}, "limits": limits}
    )
    return Asking(review, judgement, cases, tested.described)


def wish(decisions: int) -> Review:
    return Review(reviewers={"ada": "00" * 32, "berta": "01" * 32}, decisions=decisions)


def answer(
    cases: tuple[Case, ...], decide: str = "truly", verdict: Wish = "approve", reason: str = ""
) -> Answers:
    """Answers of one who looks, or of one who takes whatever is shown."""
    decisions = {case.number: case.shown if decide == "as shown" else case.prediction for case in cases}
    return Answers(
        model="m",
        version="1",
        packet="",
        head="",
        key="",
        decisions=decisions,
        verdict=verdict,
        reason=reason,
    )


def test_each_pool_has_its_share_and_no_row_comes_twice(cases: tuple[Case, ...], tested: Examined) -> None:
    count = {why: sum(case.why == why for case in cases) for why in {case.why for case in cases}}
    # 8 wrong ones; of the other 32 a quarter uncertain, a quarter flips; no verdict names a worst group.
    assert count == {"wrong on purpose": 8, "uncertain": 8, "counterfactual flip": 8, "random": 16}
    assert len({case.row_id for case in cases}) == 40
    assert [case.number for case in cases] == list(range(1, 41))
    nearest = np.argsort(np.abs(tested.predictions["score"].to_numpy() - 0.4))[:20]
    assert {case.row_id for case in cases if case.why == "uncertain"} <= set(nearest.tolist())


def test_only_what_the_model_has_right_is_shown_wrong(cases: tuple[Case, ...], tested: Examined) -> None:
    for case in cases:
        wrong = case.why == "wrong on purpose"
        assert case.genuine != wrong
        assert not wrong or tested.described["label"][case.row_id] == case.prediction


def test_the_same_seed_draws_the_same(cases: tuple[Case, ...], tested: Examined) -> None:
    assert draw(tested, wish(40), seed=1) == cases
    assert draw(tested, wish(40), seed=2) != cases


def test_too_few_rows_are_refused(tested: Examined) -> None:
    few = replace(tested, predictions=tested.predictions.head(30), described=tested.described.head(30))
    with pytest.raises(Refusal, match=r"40 decisions are to be drawn.*the test part has 30 rows"):
        draw(few, wish(40), seed=1)


def test_the_margin_holds_for_one_threshold_a_group() -> None:
    predictions = pl.DataFrame(
        {"score": [0.1, 0.3, 0.35, 0.6, 0.9], "prediction": ["no", "no", "yes", "no", "yes"]}
    )
    assert margins(predictions, LABEL).tolist() == pytest.approx([0.25, 0.05, 0.05, 0.25, 0.3])
    several = Classes(column="y", values=["no", "yes", "perhaps"])
    assert margins(predictions, several).tolist() == pytest.approx([0.1, 0.3, 0.35, 0.6, 0.9])


def test_two_who_look_approve(asking: Asking) -> None:
    cases = tuple(asking.cases)
    found = conclude({"berta": answer(cases), "cleo": answer(cases)}, asking)
    assert found.outcome == "approved"
    assert found.because == "approved by berta and cleo"
    assert found.agreement is not None
    assert (found.agreement.kappa, found.disputed, found.rubber_stamps) == (1.0, 0, ())
    assert [one.events for one in found.accepted_wrong] == [0, 0]


def test_a_rubber_stamp_is_flagged_and_the_review_does_not_count(asking: Asking) -> None:
    cases = tuple(asking.cases)
    found = conclude({"berta": answer(cases), "cleo": answer(cases, "as shown")}, asking)
    assert found.rubber_stamps == ("cleo",)
    assert found.outcome == "not counted"
    assert "cleo accepted more than 50% of the recommendations that were wrong on purpose" in found.because
    assert [(one.reviewer, one.events, one.n) for one in found.accepted_wrong] == [
        ("berta", 0, 8),
        ("cleo", 8, 8),
    ]


def test_two_who_hardly_agree_do_not_count(asking: Asking) -> None:
    cases = tuple(asking.cases)
    against = answer(cases)
    turned = {number: "yes" if told == "no" else "no" for number, told in against.decisions.items()}
    keep = {case.number for case in cases if not case.genuine}
    mixed = {number: against.decisions[number] if number in keep else told for number, told in turned.items()}
    found = conclude(
        {"berta": answer(cases), "cleo": against.model_copy(update={"decisions": mixed})}, asking
    )
    assert found.outcome == "not counted"
    assert "the two agree too little: kappa -" in found.because
    assert found.disputed == 32


@pytest.mark.parametrize(("verdict", "outcome"), [("reject", "rejected"), ("send-back", "sent back")])
def test_one_who_does_not_approve_is_enough(asking: Asking, verdict: Wish, outcome: str) -> None:
    cases = tuple(asking.cases)
    other = answer(cases, "as shown", verdict, "women of 60 are all refused")
    found = conclude({"berta": answer(cases), "cleo": other}, asking)
    assert (found.outcome, found.because) == (outcome, "cleo: women of 60 are all refused")
    assert conclude({"cleo": other}, asking).outcome == outcome


def test_without_two_answers_the_time_ran_out(asking: Asking) -> None:
    found = conclude({"berta": answer(tuple(asking.cases))}, asking)
    assert (found.outcome, found.because) == ("timed out", "1 of 2 answers came within 168 hours")
    assert found.agreement is None
    assert conclude({}, asking).outcome == "timed out"


def test_final_decisions_are_judged_and_few_rows_show_nothing(asking: Asking) -> None:
    cases = tuple(asking.cases)
    found = conclude({"berta": answer(cases), "cleo": answer(cases)}, asking)
    (judged,) = found.judged
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.settles
    assert sum(group.n for group in judged.groups) == 40
    (left,) = found.not_judged
    assert left.startswith("auc_difference by sex: ")


def test_unfair_final_decisions_fail(asking: Asking) -> None:
    cases = tuple(asking.cases)
    sex = asking.drawn["sex"].to_list()
    unfair = {case.number: "yes" if of == "M" else "no" for case, of in zip(cases, sex, strict=True)}
    one = answer(cases).model_copy(update={"decisions": unfair})
    (judged,) = conclude({"berta": one, "cleo": one}, asking).judged
    assert judged.verdict is Verdict.FAIL


def test_the_page_shows_no_label_no_reason_and_no_script(review: Review, keys: dict[str, SigningKey]) -> None:
    operations = {"review": review.model_dump()}
    recipe = ADULT["recipe"] | {"features": {"exclude": ["fnlwgt"]}}
    plan = Plan.model_validate({"name": "adult", **ADULT, "recipe": recipe, "operations": operations})
    columns = plan.judgement.data.described()
    rows = [dict.fromkeys(columns) | {"race": "<b>x</b>", "income": "TRUTH"} for _ in range(3)]
    cases = [
        Case(number=1, row_id=7, row_digest="d", why="wrong on purpose", prediction="<=50K", shown=">50K"),
        Case(number=2, row_id=8, row_digest="e", why="uncertain", prediction="<=50K", shown="<=50K"),
        Case(number=3, row_id=9, row_digest="f", why="random", prediction="<=50K", shown="<=50K"),
    ]
    reasons = {case.row_id: Reasons((f"reason {case.row_id}",)) for case in cases}
    sheets = sheets_of(cases, rows, plan, reasons, seed=1)
    # Of the wrong one and of as many others no explanation is shown.
    assert [sheet.reasons.sentences[0].startswith("reason") for sheet in sheets].count(True) == 1
    packet = Packet(
        model="adult",
        version="2",
        digest=digest_sheets("adult", "2", sheets),
        cases=3,
        drawn={},
        flips=NO_FLIPS,
        deadline="x",
    )
    page = packet_page(packet, sheets, plan, ["<=50K", ">50K"], {})
    table = packet_table(packet, sheets)
    for text in (page, table):
        assert "TRUTH" not in text
        assert "on purpose" not in text.replace("some are shown wrong on purpose", "")
        assert "uncertain" not in text
    assert "<script" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "fnlwgt" not in page  # the plan keeps it from the model
    assert table.splitlines()[0].startswith("packet,case,age,workclass")
    assert table.splitlines()[1].endswith(",>50K,No explanation of this decision is at hand.,")
    assert digest_sheets("adult", "3", sheets) != packet.digest

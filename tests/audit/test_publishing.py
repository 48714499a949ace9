"""What is handed out, taken as a reader gets it: every file of the folder together keeps its promise."""

import json
import math
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ConfigDict

from flows.audit import run_audit
from flows.publish import run_publish
from infra.settings import Settings
from tasks.audit.audit import Asked, audit
from tasks.audit.publishing import Subject, Wish, prepare
from tasks.audit.records import Audit
from tasks.errors import PlanError
from tasks.evidence.digest import digest_file
from tasks.evidence.dossier import Dossier
from tasks.evidence.records import Record
from tasks.evidence.secret import made_once
from tasks.fairness.publication import TOTAL, Suppressed
from tasks.fairness.verdict import Judged
from tasks.plan import load_plan, lock
from tests.fairness.attacks import check, cube_from

from .conftest import asked
from .reader import agreed, bytes_of, read

DATA = Path(__file__).parents[2] / "data"
ADULT = load_plan("adult", DATA)

# (group, sex, truth, guess) -> rows: group b has few, and its margin with the others' gives them away.
ROWS = {
    ("a", "F", 0, 0): 90, ("a", "F", 0, 1): 40, ("a", "F", 1, 0): 35, ("a", "F", 1, 1): 60,
    ("a", "M", 0, 0): 85, ("a", "M", 0, 1): 45, ("a", "M", 1, 0): 30, ("a", "M", 1, 1): 55,
    ("b", "F", 0, 0): 12, ("b", "F", 0, 1): 3, ("b", "F", 1, 0): 2, ("b", "F", 1, 1): 11,
    ("b", "M", 0, 0): 14, ("b", "M", 0, 1): 1, ("b", "M", 1, 0): 4, ("b", "M", 1, 1): 13,
}  # fmt: skip


def write(path: Path, rows: dict[tuple[str, str, int, int], int] = ROWS, *, reverse: bool = False) -> Asked:
    lines = [cell for cell, n in rows.items() for _ in range(n)]
    frame = pl.DataFrame(
        lines[::-1] if reverse else lines, schema=["group", "sex", "truth", "guess"], orient="row"
    )
    frame.write_csv(path)
    return asked(path, groups=("group", "sex"))


def test_a_differencing_attack_fails_against_all_files_of_the_folder(tmp_path: Path) -> None:
    question, folder = write(tmp_path / "rows.csv"), tmp_path / "public"
    done = run_audit(question, None, None, Wish(folder), tmp_path / "var")
    content = agreed(folder, {"0", "1", "9", "10"} | {str(content_hidden(folder))})
    exact, published = audit(question), Suppressed.model_validate(content["counts"])
    assert published.hidden > 4
    check(exact.counted, published)
    assert str(folder / "index.html") in done.lines[-1]
    # The control: with the numbers that a record has beside its verdicts, the same attack finds hidden ones.
    with pytest.raises(AssertionError):
        check(exact.counted, published, list(beside(exact.judged)))


def content_hidden(folder: Path) -> int:
    return int(json.loads((folder / "counts.json").read_bytes())["counts"]["hidden"])


def beside(judged: tuple[Judged, ...]) -> Iterator[tuple[dict[str, str], int]]:
    """What a verdict's rates would tell: the right among the positive rows of each group."""
    for one in judged:
        for rate in one.groups:
            if rate.rate_name == "tpr":
                yield {one.attribute: rate.group, "true class": "1", "predicted class": "1"}, rate.events
                yield {one.attribute: rate.group, "true class": "1"}, rate.n


def test_noise_covers_all_files_of_the_folder(tmp_path: Path) -> None:
    """With a person and without: other noise, and no exact count in any file."""
    key: bytes | None = None
    noise = []
    for name, more in (("without", 0), ("with", 1)):
        rows = ROWS | {("b", "M", 0, 1): 1 + more}
        question, folder = write(tmp_path / f"{name}.csv", rows), tmp_path / name
        run_audit(question, None, None, Wish(folder, 1.0), tmp_path / "var")
        content, page = read(folder)
        deviation = f"{content['counts']['deviation']:.3g}"
        full = str(content["counts"]["deviation"])
        content = agreed(folder, {"0", "1", "1.0", "2", "2.72", deviation, full})
        said = " ".join(page.outside.split())
        assert "two tables give different totals" in said
        assert "earlier or later, add theirs: epsilon 1 in all." in said
        files = b"".join(path.read_bytes() for path in folder.iterdir())
        key = (tmp_path / "var/keys/publication.key").read_bytes().strip()
        assert key not in files
        assert digest_file(question.file).encode() not in files  # who guessed the last row could try it out
        exact = audit(question).counted
        for table in content["counts"]["tables"]:
            seen = np.array(table["counts"]).reshape([len(names) for names in table["levels"]])
            noise.append(seen[:-1, :-1, :-1] - exact.marginal(table["attributes"]).counts)
    for before, after in zip(noise[:2], noise[2:], strict=True):
        assert np.abs(before).max() > 0
        assert (before != after).any()  # or else the difference of both would be the person


def test_asking_again_gives_the_same_bytes_and_nothing_else(tmp_path: Path) -> None:
    question, var = write(tmp_path / "rows.csv"), tmp_path / "var"
    first, again = tmp_path / "first", tmp_path / "again"
    run_audit(question, None, None, Wish(first, 1.0), var)
    for folder in (first, again):  # into the same folder, and into another one
        run_audit(question, None, None, Wish(folder, 1.0), var)
    run_audit(question, None, None, Wish(again, 1.0, 1, ("group", "sex")), var)  # these are all there are
    assert bytes_of(again) == bytes_of(first)
    for wish in (Wish(tmp_path / "x", 2.0), Wish(tmp_path / "x"), Wish(tmp_path / "x", 1.0, 1, ("sex",))):
        with pytest.raises(PlanError, match=r"published before: file rows[.]csv.*noised, epsilon 1"):
            run_audit(question, tmp_path / "record.json", None, wish, var)
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "record.json").exists()  # nothing half done
    (record,) = (var / "published").iterdir()
    assert record.name == f"{digest_file(question.file)}.json"
    for path in (record, var / "keys/publication.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Under another key: other noise. And other rows have other noise though their counts are the same:
    # or else who has last week's file would know for certain that nobody joined.
    run_audit(question, None, None, Wish(tmp_path / "other", 1.0), tmp_path / "elsewhere")
    later = write(tmp_path / "b.csv", reverse=True)
    run_audit(later, None, None, Wish(tmp_path / "later", 1.0), var)
    assert (audit(later).counted.counts == audit(question).counted.counts).all()
    folders = (first, tmp_path / "other", tmp_path / "later")
    tables = [json.loads((f / "counts.json").read_bytes())["counts"]["tables"] for f in folders]
    assert tables[1] != tables[0] != tables[2]


@pytest.mark.parametrize("epsilon", [None, 1.0])
def test_no_verdict_is_published(tmp_path: Path, epsilon: float | None) -> None:
    """Or else limit after limit would search for the exact gap, which tells hidden counts."""
    question, var, limits = write(tmp_path / "rows.csv"), tmp_path / "var", tmp_path / "limits.yaml"
    run_audit(question, None, None, Wish(tmp_path / "first", epsilon), var)
    steps = [
        f"{{metric: equal_opportunity_difference, attribute: group, limit: 0.{i:02}}}"
        for i in range(3, 87, 3)
    ]
    limits.write_text("".join(f"- {step}\n" for step in steps))
    second = tmp_path / "second"
    other = run_audit(replace(question, limits=limits), None, None, Wish(second, epsilon), var)
    assert (len(other.judged), len({one.verdict for one in other.judged})) == (28, 2)
    assert bytes_of(second) == bytes_of(tmp_path / "first")
    content, page = read(second)
    words = " ".join([json.dumps(content), page.outside, *(c for t in page.tables for row in t for c in row)])
    assert not {"PASS", "FAIL", "INCONCLUSIVE"} & set(re.findall(r"\w+", words))
    assert "Verdicts are in the dossier of the run" in " ".join(page.outside.split())


def test_no_plain_digest_tells_hidden_counts(tmp_path: Path) -> None:
    """Who knows how a file is sorted could try out each table that remains against its SHA-256."""
    cells, hidden = [(g, y, p) for g in "ab" for y in (0, 1) for p in (0, 1)], {2, 3, 11, 12}
    counts = (90, 40, 35, 60, 12, 3, 2, 11)

    def written(numbers: tuple[int, ...]) -> bytes:
        lines = (f"{g},{y},{p}\n" * n for (g, y, p), n in zip(cells, numbers, strict=True))
        return ("group,truth,guess\n" + "".join(lines)).encode()

    path, folder = tmp_path / "rows.csv", tmp_path / "public"
    path.write_bytes(written(counts))
    run_audit(asked(path), None, None, Wish(folder), tmp_path / "var")
    (table,) = read(folder)[0]["counts"]["tables"]
    shown = np.array(table["counts"], float).reshape(3, 3, 3)
    assert np.isnan(shown[:2, :2, :2]).all()
    assert not hidden & {int(n) for n in shown[~np.isnan(shown)]}
    # All rows and columns of either group are shown, so one number makes a table: 14 are left.
    guesses = []
    for x in range(1, 15):
        b = (x, 15 - x, 14 - x, x - 1)
        guesses.append((*(n - m for n, m in zip((102, 43, 37, 71), b, strict=True)), *b))
    assert counts in guesses
    said = b"".join(file.read_bytes() for file in folder.iterdir())
    assert not [one for one in guesses if sha256(written(one)).hexdigest().encode() in said]


def test_two_models_that_decide_alike_have_noise_of_their_own(tmp_path: Path) -> None:
    """By equal noise everybody would know for certain that nobody is there on whom they differ."""
    write(tmp_path / "rows.csv")
    path = tmp_path / "both.csv"
    pl.read_csv(tmp_path / "rows.csv").with_columns(retrained=pl.col("guess")).write_csv(path)
    tables = []
    for model in ("guess", "retrained"):
        question = asked(path, groups=("group", "sex"), prediction=model)
        run_audit(question, None, None, Wish(tmp_path / model, 1.0, total=2.0), tmp_path / "var")
        tables.append(read(tmp_path / model)[0]["counts"]["tables"])
    assert tables[0] != tables[1]
    with pytest.raises(PlanError, match="Epsilon 2 of 2 in all is spent"):
        run_audit(
            asked(path, prediction="guess"), None, None, Wish(tmp_path / "third", 1.0), tmp_path / "var"
        )


def test_a_crossing_is_published_where_it_is_asked_for(tmp_path: Path) -> None:
    wish = Wish(tmp_path / "public", tables=("group x sex",))
    run_audit(write(tmp_path / "rows.csv"), None, None, wish, tmp_path / "var")
    content, _ = read(wish.folder)
    (table,) = content["counts"]["tables"]
    assert table["attributes"] == ["group", "sex"]
    check(
        audit(asked(tmp_path / "rows.csv", groups=("group", "sex"))).counted,
        Suppressed.model_validate(content["counts"]),
    )
    assert TOTAL in table["levels"][0]


def test_a_persons_many_rows_are_no_crowd(tmp_path: Path) -> None:
    """Twelve rows of one unit are not twelve persons: neither way takes them for such."""
    path = tmp_path / "clips.csv"
    rows = [
        (group, i % 2, i % 2, f"{group}{i // each}")
        for group, each in (("a", 1), ("b", 12))
        for i in range(240)
    ]
    pl.DataFrame(rows, schema=["group", "truth", "guess", "speaker"], orient="row").write_csv(path)
    question, folder = asked(path, unit="speaker"), tmp_path / "public"
    for epsilon in (None, 1.0):
        with pytest.raises(PlanError, match="1 stated, yet a sampling unit has 12 rows"):
            run_audit(question, None, None, Wish(folder, epsilon), tmp_path / "var")
    run_audit(question, None, None, Wish(folder, rows_per_person=12), tmp_path / "var")
    content, _ = read(folder)
    assert content["counts"]["threshold"] == 120
    check(audit(question).counted, Suppressed.model_validate(content["counts"]))


def test_wishes_that_cannot_be_met_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    question, folder = write(tmp_path / "rows.csv"), tmp_path / "public"
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    for wish, record, message in (
        (Wish(folder, 0.0), None, "--epsilon: an epsilon above 0 is expected, found 0"),
        (Wish(folder, -1.0), None, "found -1"),
        (Wish(folder, float("nan")), None, "found nan"),
        (Wish(folder, 1.0, 0), None, "rows per person are expected, found 0"),
        (Wish(folder, total=1.0), None, "--total-epsilon: a total with --epsilon is expected, found 1"),
        (Wish(folder, 1.0, total=0.5), None, "a total of at least --epsilon, 1, is expected, found 0.5"),
        (Wish(folder, 1.0, total=11.0), None, "--total-epsilon: an epsilon from .* to 10 is expected"),
        (Wish(folder, 1.0, total=float("nan")), None, "--total-epsilon: an epsilon above 0 is expected"),
        (Wish(folder, tables=("shoe",)), None, "no attribute .*shoe"),
        (Wish(folder), folder / "audit.json", "--json .* lies in .*: all in there is published"),
        (Wish(tmp_path), None, "FILE .* lies in"),
        (Wish(taken), None, r"a folder of its own is expected.*found notes\.txt"),
        (Wish(question.file), None, r"found a file at .*rows\.csv"),
        (
            Wish(question.file / "a" / "b"),
            None,
            r"a folder for .* is expected, found a file at .*/rows\.csv",
        ),
    ):
        with pytest.raises(PlanError, match=message):
            run_audit(question, record, None, wish, tmp_path / "var")
    assert not folder.exists()
    assert not (tmp_path / "var/published").exists()
    run_audit(question, None, None, Wish(folder), tmp_path / "var")
    other = write(tmp_path / "more.csv", ROWS | {("a", "F", 0, 0): 91})
    with pytest.raises(PlanError, match="is of another publication: name another folder"):
        run_audit(other, None, None, Wish(folder), tmp_path / "var")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    question, var = write(tmp_path / "rows.csv"), tmp_path / "var"
    run_audit(question, None, None, Wish(tmp_path / "public", 1.0), var)
    (var / "keys/publication.key").chmod(0o644)
    with pytest.raises(PlanError, match="others may read it"):
        run_audit(question, None, None, Wish(tmp_path / "public", 1.0), var)


class Body(Record):
    """A record of any content, as a run files it."""

    model_config = ConfigDict(extra="allow")


@pytest.fixture
def dossier(tmp_path: Path) -> Path:
    return dossier_of(audit(write(tmp_path / "rows.csv")), tmp_path / "4f1c")


def dossier_of(found: Audit, folder: Path, model: str = "1" * 64) -> Path:
    """A dossier with what publishing reads, as if these rows were prepared from Adult's sources."""
    filed = Dossier(folder)
    filed.add("plan", lock(ADULT, [], DATA, folder))
    part = {"file": found.file.model_dump(), "rows": found.rows}
    sources = [
        {"path": f"data/adult/raw/{name}", "sha256": digit * 64, "bytes": 1}
        for name, digit in (("adult.data", "c"), ("adult.test", "d"))
    ]
    filed.add("data", Body(name="adult", sources=sources, train=part, test=part, digest="b" * 64))
    filed.add("freeze", Body(digest=model))
    (folder / "cube.json").write_bytes(found.counted.to_json())
    ref = {"path": "cube.json", "sha256": digest_file(folder / "cube.json"), "bytes": 1}
    filed.add("opening", Body(rows=found.rows, predictions=ref, cube=ref, performance=[], audits={}))
    filed.add("verdicts", found.verdicts)
    return folder


def test_a_run_is_published_with_its_names_and_without_its_numbers(dossier: Path, tmp_path: Path) -> None:
    folder, here = tmp_path / "public", Settings(var=tmp_path / "var")
    done = run_publish(str(dossier), Wish(folder), here)
    assert (done.title, done.exit_code) == ("Published", 0)
    content = agreed(folder, {"0", "1", "4", "9", "10", str(content_hidden(folder))})
    assert content["of"] == {
        "plan": "adult",
        "run": "4f1c",
        "rows": "test part",
    } | {name: content["of"][name] for name in ("judgement", "data", "test part")}
    assert all(content["of"][name].startswith("keyed ") for name in ("judgement", "data", "test part"))
    cube = audit(asked(tmp_path / "rows.csv", groups=("group", "sex"))).counted
    check(cube, Suppressed.model_validate(content["counts"]))
    with pytest.raises(PlanError, match=r"plan adult, run 4f1c.*suppressed below 10"):
        run_publish(str(dossier), Wish(tmp_path / "noised", 1.0), here)
    run_publish(str(dossier), Wish(tmp_path / "noised", 1.0), Settings(var=tmp_path / "elsewhere"))
    noised, _ = read(tmp_path / "noised")
    assert (noised["of"]["plan"], noised["of"]["run"]) == ("adult", "4f1c")
    assert noised["of"]["test part"].startswith("keyed ")
    assert noised["of"]["all publications of these rows"] == "epsilon 1 in all"


def test_the_same_people_under_other_columns_are_published_once(dossier: Path, tmp_path: Path) -> None:
    """Another plan prepares another test part of the same source, so its digest is no name of the people."""
    here = Settings(var=tmp_path / "var")
    run_publish(str(dossier), Wish(tmp_path / "public"), here)
    run_publish(str(dossier), Wish(tmp_path / "again"), here)
    (source,) = (one.sha256 for one in ADULT.judgement.data.sources if one.part == "test")
    names = {digest_file(tmp_path / "rows.csv"), source, "d" * 64}  # none of the source that only teaches
    assert {path.stem for path in (here.var / "published").iterdir()} == names
    other = dossier_of(audit(write(tmp_path / "fewer.csv", reverse=True)), tmp_path / "5e2d")
    with pytest.raises(PlanError, match=r"published before: plan adult, run 4f1c.*now .* run 5e2d"):
        run_publish(str(other), Wish(tmp_path / "other"), here)
    assert len(list((here.var / "published").iterdir())) == len(names)


def test_with_noise_no_level_tells_that_somebody_has_it(tmp_path: Path) -> None:
    """The plan declares which there are; where nobody is counted there is noise too."""
    rows = {("White", "Male", 0, 1): 60, ("Black", "Female", 1, 0): 60}
    seen: dict[tuple[str, float | None], list[list[str]]] = {}
    for name, more in (("without", {}), ("with", {("Other", "Female", 0, 1): 1})):
        lines = [cell for cell, n in (rows | more).items() for _ in range(n)]
        path = tmp_path / f"{name}.csv"
        pl.DataFrame(lines, schema=["race", "sex", "truth", "guess"], orient="row").write_csv(path)
        filed = dossier_of(audit(asked(path, groups=("race", "sex"))), tmp_path / name)
        for epsilon in (None, 1.0):
            folder = tmp_path / f"{name} {epsilon}"
            run_publish(str(filed), Wish(folder, epsilon), Settings(var=tmp_path / f"var {name} {epsilon}"))
            seen[name, epsilon] = [table["levels"][0] for table in read(folder)[0]["counts"]["tables"]]
    assert seen["without", 1.0] == seen["with", 1.0]
    races, sexes = (set(levels) for levels in seen["with", 1.0])
    assert races == {*(ADULT.judgement.data.described()["race"].values or ()), "unknown", TOTAL}
    assert sexes == {"Female", "Male", "unknown", TOTAL}
    assert seen["without", None][0] == ["Black", "White", TOTAL]  # suppressed counts show what is there


def test_each_months_model_is_published_until_the_total_is_spent(dossier: Path, tmp_path: Path) -> None:
    here, audited = (
        Settings(var=tmp_path / "var"),
        audit(asked(tmp_path / "rows.csv", groups=("group", "sex"))),
    )
    run_publish(str(dossier), Wish(tmp_path / "may", 0.5, total=1.0), here)
    june = dossier_of(audited, tmp_path / "5e2d", model="2" * 64)
    run_publish(str(june), Wish(tmp_path / "june", 0.5), here)
    may, again = (read(tmp_path / month)[0] for month in ("may", "june"))
    for month in (may, again):
        assert month["counts"]["epsilon"] == 0.5
        assert month["of"]["all publications of these rows"] == "epsilon 1 in all"
    assert may["counts"]["tables"] != again["counts"]["tables"]
    for folder, wish in ((june, Wish(tmp_path / "june", 0.5)), (dossier, Wish(tmp_path / "may", 0.5))):
        before = bytes_of(wish.folder)
        run_publish(str(folder), wish, here)  # asked again: the same bytes, and nothing is spent
        assert bytes_of(wish.folder) == before
    july = dossier_of(audited, tmp_path / "6f3e", model="3" * 64)
    for wish, reason in (
        (Wish(tmp_path / "july", 0.5), "Epsilon 1 of 1 in all is spent"),
        (Wish(tmp_path / "july", 0.5, total=2.0), "Their total epsilon, 1, was stated"),
    ):
        with pytest.raises(PlanError, match=reason):
            run_publish(str(july), wish, here)
    assert not (tmp_path / "july").exists()


def test_a_differencing_attack_fails_against_all_months_together(tmp_path: Path) -> None:
    """Who knows all rows but one, and adds up what four models' counts tell, has their total and no more."""
    most = math.e / (1 + math.e)
    bound = most + 3 * math.sqrt(most * (1 - most) / RUNS)
    assert _found_out(tmp_path / "shared", 0.25) <= bound
    assert _found_out(tmp_path / "each", 2.5) > bound  # the control: each month spends more than the total


RUNS = 40


def _found_out(folder: Path, epsilon: float) -> float:
    """Share of right guesses whether a person is there, after four months."""
    right = 0.0
    for run in range(RUNS):
        there, odds, var = run % 2, 0, folder / str(run)
        made_once(var / "keys/publication.key", f"{run:064x}".encode())
        for month in range(4):
            cube = cube_from(np.full((1, 1, 1), 50 + there))
            subject = Subject(cube, str(there) * 64, (str(month),), {"run": str(month)}, {})
            seen, _ = prepare(subject, Wish(folder, epsilon, total=4 * epsilon), var)
            count = seen.counts.tables[0].counts[0] or 0
            odds += abs(count - 50) - abs(count - 51)
        right += (odds > 0) == bool(there) if odds else 0.5
    return right / RUNS


def test_dossiers_that_cannot_be_published_say_why(dossier: Path, tmp_path: Path) -> None:
    here = Settings(var=tmp_path / "var")
    with pytest.raises(PlanError, match="lies in the dossier"):
        run_publish(str(dossier), Wish(dossier / "public"), here)
    cube = (dossier / "cube.json").read_bytes()
    (dossier / "cube.json").write_bytes(cube.replace(b"90", b"91"))
    done = run_publish(str(dossier), Wish(tmp_path / "public"), here)
    assert (done.title, done.exit_code) == ("Not published", 3)
    assert "cube.json" in done.lines[0]
    (dossier / "cube.json").write_bytes(cube)
    (plan := dossier / "plan.json").rename(tmp_path / "plan.json")
    done = run_publish(str(dossier), Wish(tmp_path / "public"), here)
    assert "plan.json" in done.lines[0]
    (tmp_path / "plan.json").rename(plan)
    max((dossier / "records").iterdir()).unlink()
    done = run_publish(str(dossier), Wish(tmp_path / "public"), here)
    assert "the run ended before it was judged" in done.lines[0]
    assert not (tmp_path / "public").exists()

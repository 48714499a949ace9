"""The reference population: its bytes, its columns, its counts, its levels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import Refusal, SourceAltered, SourceError
from tasks.evidence.digest import digest_file
from tasks.plan.judgement import Judgement, Population
from tasks.plan.plan import Plan
from tasks.represent.population import read_reference
from tasks.represent.table import Table

ADULT = Path(__file__).parents[2] / "data" / "adult"


def read(judgement: Judgement, folder: Path) -> Table:
    assert isinstance(judgement.population, Population)
    return read_reference(judgement.population, judgement, folder)


def test_adults_reference_is_the_working_population_of_1994(adult_plan: Callable[..., Plan]) -> None:
    # Current Population Survey 1994, persons of 17 and over who worked last year: the sum of the
    # instance weights of Census-Income (KDD), 76,196 persons interviewed.
    plan = adult_plan(ratio_limits=[0.8, 1.25])
    reference = read(plan.judgement, ADULT)
    assert reference.total == 134_562_371
    assert reference.counts.shape == (2, 5, 6)
    women = dict(zip(reference.levels["sex"], reference.margin(("sex",)) / reference.total, strict=True))
    assert women["Female"] == pytest.approx(0.46546, abs=5e-6)
    assert list(reference.levels["age_band"]) == plan.judgement.protected["age_band"].levels()
    assert set(reference.levels["race"]) == set(plan.judgement.data.columns["race"].values or [])


def test_both_adult_plans_have_the_same_reference() -> None:
    other = ADULT.with_name("adult-unmitigated") / "population.csv"
    assert digest_file(other) == digest_file(ADULT / "population.csv")


@pytest.mark.parametrize("name", ["adult", "adult-unmitigated"])
def test_the_cards_have_what_a_card_needs(name: str) -> None:
    card = (ADULT.with_name(name) / "card.md").read_text()
    for heading in ("## Origin", "## Licence", "## Known limits"):
        assert f"\n{heading}\n" in card


def test_one_changed_byte_is_named_with_both_digests(town: Callable[..., Judgement], tmp_path: Path) -> None:
    judgement = town()
    pinned = digest_file(tmp_path / "town.csv")
    (tmp_path / "town.csv").write_text("sex,area,count\nF,north,31\n")
    with pytest.raises(SourceAltered) as caught:
        read(judgement, tmp_path)
    assert pinned in str(caught.value)
    assert digest_file(tmp_path / "town.csv") in str(caught.value)


def test_an_absent_file_is_an_error(town: Callable[..., Judgement], tmp_path: Path) -> None:
    judgement = town()
    (tmp_path / "town.csv").unlink()
    with pytest.raises(SourceError, match=r"town\.csv"):
        read(judgement, tmp_path)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("sex,count\nF,1\nM,1\n", "area"),
        ("sex,area,people\nF,north,1\n", "count"),
        ("sex,area,count\nF,north,1\nM,south,-1\n", "line 3"),
        ("sex,area,count\nF,north,many\n", "line 2"),
        ("sex,area,count\nF,north,1,234\n", "line 2 has 4 fields, 3 are expected"),
        ("sex,area,count\nF,north,inf\n", "line 2"),
        ("sex,area,count\nF,north,nan\n", "line 2"),
        ("sex,area,count\nF,north,\n", "line 2"),
        ("sex,area,count\n,north,5\n", "line 2"),
        ("sex,area,count\nF,north,0\n", "add up to 0"),
        ("sex,area,count\n", "add up to 0"),
        ("sex,area,count\nF,north,5\nF,north,5\nM,south,9\n", "2 lines share"),
        ("sex,area,count\nF,north,0.5\nM,south,0.4\n", "add up to 1, found 0.9"),
        ("sex,area,count\nF,north,0.5\nM,south,0.5\nall,all,1\n", "add up to 1, found 2"),
    ],
)
def test_a_reference_that_is_no_table_of_counts_is_refused(
    town: Callable[..., Judgement], tmp_path: Path, reference: str, message: str
) -> None:
    with pytest.raises(Refusal, match=message):
        read(town(reference), tmp_path)


def test_a_surplus_column_is_added_up(town: Callable[..., Judgement], tmp_path: Path) -> None:
    table = read(town("year,sex,area,count\n1,F,north,1\n2,F,north,2\n1,M,north,3\n"), tmp_path)
    assert table.counts.tolist() == [[3], [3]]


def test_shares_that_add_up_are_a_population(town: Callable[..., Judgement], tmp_path: Path) -> None:
    # To the last digit that is printed: 0.3333 three times.
    shares = "sex,area,count\nF,north,0.3333\nF,south,0.3333\nM,north,0.3333\n"
    assert read(town(shares), tmp_path).total == pytest.approx(0.9999)
    assert read(town(shares, total=1_000_000), tmp_path).total == pytest.approx(0.9999)


def test_counts_that_do_not_add_up_to_the_plans_total_are_refused(
    town: Callable[..., Judgement], tmp_path: Path
) -> None:
    assert read(town(total=100), tmp_path).total == 100
    with pytest.raises(Refusal, match=r"population\.total 120, found 100"):
        read(town(total=120), tmp_path)


def test_one_person_a_cell_is_a_count_and_no_share(town: Callable[..., Judgement], tmp_path: Path) -> None:
    assert read(town("sex,area,count\nF,north,1\nM,south,1\nF,south,0\n"), tmp_path).total == 2

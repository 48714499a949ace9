"""A tombstone holds for every spelling that shares a token, and for nobody else."""

from __future__ import annotations

import pytest

from tasks.privacy.keys import Key
from tasks.privacy.tokens import token
from tasks.privacy.tombstones import Tombstone, Tombstones, person_mark

KEY = Key(bytes(range(32)), "small")
NOBODY = Tombstones(fingerprint=KEY.fingerprint, gone=())
DAY = "2026-11-22"
SPELLED = ["Jane.Doe@mail.org", "jane.doe@mail.org", " JANE.DOE@MAIL.ORG", "Ｊane.Doe@mail.org"]  # noqa: RUF001
OTHERS = ["jane.doe@mail.com", "jan.doe@mail.org", None]


@pytest.mark.parametrize("given", SPELLED)
def test_who_is_forgotten_in_one_spelling_is_forgotten_in_all(given: str) -> None:
    assert len({token(KEY, "who", value) for value in SPELLED}) == 1
    stones = NOBODY.with_one(KEY, "unit", given, DAY, "who")
    assert stones.among(KEY, "unit", [*SPELLED, *OTHERS], "who") == [True] * 4 + [False] * 3
    assert stones.among(KEY, "row", SPELLED) == [False] * 4


def test_a_column_whose_blanks_mean_nothing_to_tokens_is_marked_without_them() -> None:
    stones = NOBODY.with_one(KEY, "unit", "4111 1111", DAY, "CARD")
    assert stones.among(KEY, "unit", ["4111-1111", "41111111", "4111 1112"], "CARD") == [True, True, False]
    assert stones.among(KEY, "unit", ["4111-1111"], "who") == [False]


def test_a_row_is_found_by_its_digest_in_any_case() -> None:
    assert NOBODY.with_one(KEY, "row", "AB12", DAY).among(KEY, "row", ["ab12", "ab13"]) == [True, False]


def test_marks_of_the_first_version_hold_and_give_way_to_ones_of_all_spellings() -> None:
    # HMAC of the value as it was given, which is what the first tombstones are.
    early = KEY.mark("forgotten", b"unit\0Jane.Doe@mail.org").hex()
    stones = NOBODY.model_copy(update={"gone": (Tombstone(mark=early, by="unit", on="2026-11-01"),)})
    assert stones.among(KEY, "unit", ["Jane.Doe@mail.org", *OTHERS]) == [True, False, False, False]
    # A row in that spelling tells that the same person's other spellings are meant as well.
    assert stones.among(KEY, "unit", SPELLED) == [True] * 4
    later = stones.with_one(KEY, "unit", "Jane.Doe@mail.org", DAY)
    assert later.gone == (
        Tombstone(mark=person_mark(KEY, "unit", "jane.doe@mail.org"), by="unit", on="2026-11-01"),
    )
    assert later.among(KEY, "unit", SPELLED[1:]) == [True] * 3

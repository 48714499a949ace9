"""The key: where it comes from, what is derived from it, and what never shows it."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from tasks.errors import PlanError, SourceError
from tasks.privacy.keys import Key, file_mark, hkdf, key_file, key_for
from tasks.privacy.tokens import token
from tasks.privacy.tombstones import person_mark

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "expected"),
    [
        (  # RFC 5869, A.1
            b"\x0b" * 22,
            bytes.fromhex("000102030405060708090a0b0c"),
            bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (  # A.3: neither salt nor info
            b"\x0b" * 22,
            b"",
            b"",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf_gives_the_rfcs_own_vectors(
    secret: bytes, salt: bytes, info: bytes, length: int, expected: str
) -> None:
    assert hkdf(secret, info, salt, length).hex() == expected


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = key_for("small", None, tmp_path, None, create=True)
    path = key_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [path.name] == [each.name for each in path.parent.iterdir()]
    assert key_for("small", None, tmp_path, first.fingerprint).fingerprint == first.fingerprint
    assert len(bytes.fromhex(path.read_text())) == 32
    path.chmod(0o640)
    with pytest.raises(PlanError, match=r"others may read it .*040.*chmod 600"):
        key_for("small", None, tmp_path, None)


def test_hex_and_base64_are_the_same_key_and_the_environment_comes_first(tmp_path: Path) -> None:
    key_for("small", None, tmp_path, None, create=True)
    texts = [
        SECRET.hex(),
        base64.b64encode(SECRET).decode(),
        base64.urlsafe_b64encode(SECRET).decode() + "\n",
    ]
    prints = {key_for("small", text, tmp_path, None).fingerprint for text in texts}
    assert prints == {Key(SECRET, "small").fingerprint}


@pytest.mark.parametrize("text", ["not a key, nor anything like it", "ab" * 31, "00" * 32, "QUJD"])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlanError, match="expected") as raised:
        key_for("small", text, tmp_path, None)
    assert text not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_lost_key_is_told_with_both_sides_and_what_to_do(tmp_path: Path) -> None:
    pinned = Key(SECRET, "small").fingerprint
    with pytest.raises(SourceError, match=rf"{pinned}, is needed, and there is none.*start anew") as raised:
        key_for("small", None, tmp_path, pinned, create=True)
    assert "ASSAY_PRIVACY_KEY" in str(raised.value)
    assert not key_file(tmp_path).exists()
    other = bytes(range(1, 33))
    with pytest.raises(SourceError, match=f"{pinned}.*fingerprint {Key(other, 'small').fingerprint}"):
        key_for("small", other.hex(), tmp_path, pinned)


def test_nothing_shows_the_secret() -> None:
    key = Key(SECRET, "small")
    shown = f"{key!r} {key} {key.fingerprint}"
    assert SECRET.hex() not in shown
    assert repr(SECRET) not in shown


def test_plans_and_purposes_have_keys_of_their_own() -> None:
    one, other = Key(SECRET, "one"), Key(SECRET, "other")
    assert token(one, "EMAIL", "a@b.org") != token(other, "EMAIL", "a@b.org")
    assert len({one.mark(purpose, b"x") for purpose in ("token", "file", "forgotten", "fingerprint")}) == 4
    assert file_mark(one, "00" * 32) != file_mark(other, "00" * 32)
    assert person_mark(one, "unit", "x") != person_mark(one, "row", "x")


def test_tokens_are_stable_over_spellings_and_told_apart_by_kind() -> None:
    key = Key(SECRET, "small")
    assert token(key, "EMAIL", "Jane@Example.org") == token(key, "EMAIL", "jane@example.org")
    assert token(key, "CARD", "4111 1111-1111 1111") == token(key, "CARD", "4111111111111111")
    assert token(key, "NAME", "ann") != token(key, "EMAIL", "ann")
    assert token(key, "customer", "0012") != token(key, "customer", "12") == token(key, "customer", "12.0")
    made = {token(key, "full name", str(number)) for number in range(2000)}
    assert len(made) == 2000
    assert all(len(each) == len("<full_name_0123456789abcdef>") for each in made)

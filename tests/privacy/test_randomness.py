"""Streams of keys: their published figures, their distributions, and that each key has its own."""

import numpy as np
import pytest
from scipy import stats

from tasks.privacy.randomness import fresh_key, keystream, normals, uniforms

KEY = bytes(range(32))
COUNT = 200_000


def test_a_stream_is_chacha20() -> None:
    # RFC 8439 has the key stream of a zero key and nonce in its appendix A.1, test vectors 1 and 2.
    found = keystream(bytes(32), 16).tobytes().hex()
    assert found.startswith("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
    assert found[128:].startswith("9f07e7be5551387a98ba977c732d080d")


def test_keys_that_differ_in_any_one_bit_have_other_streams() -> None:
    number = int.from_bytes(KEY, "little")
    keys = [KEY, *((number ^ 1 << bit).to_bytes(32, "little") for bit in range(256))]
    streams = np.stack([keystream(key, 8) for key in keys])
    assert len(np.unique(streams)) == streams.size  # not one number of 64 bits occurs twice
    drawn = np.stack([normals(key, 8).numpy() for key in keys])
    assert len(np.unique(drawn)) == drawn.size


def test_normals_are_normal_in_the_middle_and_in_the_tails() -> None:
    found = normals(KEY, COUNT).numpy()
    assert abs(found.mean()) < 4 / COUNT**0.5
    assert found.var() == pytest.approx(1, abs=4 * (2 / COUNT) ** 0.5)
    assert stats.kstest(found, "norm").pvalue > 0.01
    assert abs(np.corrcoef(found[: COUNT // 2], found[COUNT // 2 :])[0, 1]) < 4 / (COUNT / 2) ** 0.5
    for bound in (3.0, 4.0):
        for tail in (found > bound, found < -bound):
            expected = COUNT * stats.norm.sf(bound)
            assert abs(tail.sum() - expected) < 4 * expected**0.5


def test_normals_of_an_odd_count_are_the_first_of_them() -> None:
    assert [len(normals(KEY, count)) for count in (1, 2, 7)] == [1, 2, 7]


def test_uniforms_are_uniform_and_reach_neither_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found = uniforms(KEY, COUNT)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert len(np.unique(found)) == COUNT  # of 32 bits some five would be drawn twice
    ends = np.array([0, 2**64 - 1], np.uint64)
    monkeypatch.setattr("tasks.privacy.randomness.keystream", lambda _key, _count: ends)
    assert uniforms(KEY, 2).tolist() == [2.0**-53, 1 - 2.0**-53]
    assert np.isfinite(normals(KEY, 2).numpy()).all()


def test_fresh_keys_are_of_256_bits_and_never_the_same() -> None:
    keys = {fresh_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}

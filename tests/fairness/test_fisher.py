"""Fisher's exact test against scipy's, whose import the audit saves."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from tasks.fairness.fisher import two_sided

TABLES = st.tuples(st.integers(1, 400), st.integers(1, 400)).flatmap(
    lambda sizes: st.tuples(
        st.integers(0, sizes[0]), st.just(sizes[0]), st.integers(0, sizes[1]), st.just(sizes[1])
    )
)


@settings(max_examples=300, deadline=None)
@given(TABLES)
def test_it_is_scipys(table: tuple[int, int, int, int]) -> None:
    x, n, y, m = table
    expected = fisher_exact(np.array([[x, n - x], [y, m - y]])).pvalue
    assert two_sided(x, n, y, m) == pytest.approx(expected, rel=1e-8, abs=1e-250)


def test_the_lady_tasting_tea() -> None:
    """Fisher 1935, The Design of Experiments: three of four cups right; 34/70 two-sided."""
    assert two_sided(3, 4, 1, 4) == pytest.approx(34 / 70)


@pytest.mark.parametrize("table", [(300_000, 1_000_000, 299_000, 1_000_000), (5, 10_000_000, 60, 10_000_000)])
def test_large_tables_too(table: tuple[int, int, int, int]) -> None:
    x, n, y, m = table
    expected = fisher_exact(np.array([[x, n - x], [y, m - y]])).pvalue
    assert two_sided(*table) == pytest.approx(expected, rel=1e-5)


def test_the_rule_imports_no_scipy_stats() -> None:
    code = "import sys, tasks.fairness.four_fifths; sys.exit('scipy.stats' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

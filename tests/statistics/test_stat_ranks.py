"""Rank correlation, the false discovery rate and running shares, against scipy, statsmodels and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from workbench.statistics.families import benjamini_hochberg
from workbench.statistics.ranks import spearman, stratified_spearman
from workbench.statistics.running import running_share, settles_at

RNG = np.random.default_rng(7)


def test_spearman_is_scipys() -> None:
    x, y = RNG.normal(size=40), RNG.normal(size=40)
    found, theirs = spearman(x, y), stats.spearmanr(x, y)
    assert found.rho.estimate == pytest.approx(theirs.statistic)
    assert found.p == pytest.approx(theirs.pvalue)


def test_the_interval_covers() -> None:
    true = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's rho of a normal pair with Pearson's r = .5
    hits = 0
    for _ in range(2000):
        x = RNG.normal(size=50)
        y = 0.5 * x + np.sqrt(0.75) * RNG.normal(size=50)
        rho = spearman(x, y).rho
        assert rho.low is not None
        assert rho.high is not None
        hits += rho.low <= true <= rho.high
    assert 0.92 <= hits / 2000 <= 0.975


def test_one_stratum_is_spearman() -> None:
    x, y = RNG.normal(size=30), RNG.integers(0, 5, 30)
    found = stratified_spearman(x, y, ["a"] * 30)
    assert found.rho.estimate == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.03)


def test_a_difference_between_strata_makes_no_correlation() -> None:
    """Within each region there is nothing; one region has large counts and is chosen more."""
    x = np.concatenate([RNG.normal(size=60), 1000 + RNG.normal(size=60)])
    y = np.concatenate([RNG.normal(size=60), 5 + RNG.normal(size=60)])
    assert (spearman(x, y).p or 0) < 1e-6
    found = stratified_spearman(x, y, ["a"] * 60 + ["b"] * 60)
    assert abs(found.rho.estimate or 1) < 0.2
    assert (found.p or 0) > 0.05


def test_undefined_correlations() -> None:
    assert spearman([1, 2, 3], [1, 2, 3]).rho.estimate is None
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]).p is None
    assert stratified_spearman([1, 2], [3, 4], ["a", "b"]).rho.estimate is None
    with pytest.raises(ValueError, match="differ in length"):
        spearman([1, 2], [1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_is_statsmodels(pvalues: list[float]) -> None:
    theirs = multipletests(pvalues, method="fdr_bh")[1]
    assert benjamini_hochberg(pvalues) == pytest.approx(list(theirs))


def test_missing_tests_do_not_count() -> None:
    assert benjamini_hochberg([None, 0.02, None, 0.04]) == [None, pytest.approx(0.04), None, pytest.approx(0.04)]
    assert benjamini_hochberg([]) == []
    with pytest.raises(ValueError, match="within 0 and 1"):
        benjamini_hochberg([1.5])


def test_running_shares_and_when_they_settle() -> None:
    assert running_share([1, 0, 1, 1], [1, 2, 4, 8]) == [1.0, 0.5, 0.75, None]
    assert settles_at([0.9, 0.6, 0.51, 0.5, 0.5], 0.02) == 2
    assert settles_at([0.5, 0.5, 0.5], 0.02) == 0
    assert settles_at([0.1, 0.2, 0.9], 0.02) is None
    assert settles_at([0.5, 0.5], 0.02) is None

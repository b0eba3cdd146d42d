"""Tests of no difference against scipy, statsmodels and full enumeration; Holm; and what would have been missed."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from workbench.statistics.families import family_size, holm
from workbench.statistics.intervals import bootstrap_t, clustered_share, paired_share_difference
from workbench.statistics.paired import (
    EXACT_UP_TO,
    compare_means,
    compare_verdicts,
    detectable_difference,
    exact_binomial,
    mcnemar_exact,
    sign_flip,
)
from workbench.statistics.presence import design_effect_test, share_against

PVALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)
STEPS = st.lists(st.integers(-6, 6), min_size=1, max_size=11)


def verdicts(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[int], list[int]]:
    a = [1] * (both + only_a) + [0] * (only_b + neither)
    return a, [1] * both + [0] * only_a + [1] * only_b + [0] * neither


# -- exact binomial ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("null", [0.1, 0.25, 0.5, 0.9])
def test_the_exact_binomial_is_that_of_scipy_and_of_its_own_sum(null: float) -> None:
    for n in (1, 4, 12, 40):
        chances = [math.comb(n, k) * null**k * (1 - null) ** (n - k) for k in range(n + 1)]
        for successes in range(n + 1):
            found = exact_binomial(successes, n, null)
            assert found == pytest.approx(stats.binomtest(successes, n, null).pvalue)
            assert found == pytest.approx(min(1.0, sum(c for c in chances if c <= chances[successes] * (1 + 1e-7))))


def test_the_exact_binomial_of_nothing_and_of_the_impossible() -> None:
    assert exact_binomial(0, 0) is None
    for successes, n, null in ((3, 2, 0.5), (-1, 2, 0.5), (1, 2, 1.5), (1, 2, math.nan)):
        with pytest.raises(ValueError, match="must lie"):
            exact_binomial(successes, n, null)


# -- McNemar ----------------------------------------------------------------------------------------------------------


@given(st.tuples(*[st.integers(0, 25)] * 4).filter(lambda cells: sum(cells) > 0))
def test_mcnemar_is_that_of_statsmodels(cells: tuple[int, int, int, int]) -> None:
    both, only_a, only_b, neither = cells
    found = mcnemar_exact(*verdicts(*cells))
    if only_a + only_b:
        expected = float(mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue)
        assert found == pytest.approx(min(1.0, expected))
    else:
        assert found == 1.0


def test_mcnemar_of_nothing_and_of_what_is_no_verdict() -> None:
    assert mcnemar_exact([], []) is None
    with pytest.raises(ValueError, match="must be 0 or 1"):
        mcnemar_exact([0.5], [1])
    with pytest.raises(ValueError, match="differ in length"):
        mcnemar_exact([1], [1, 0])


# -- sign flips -------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(STEPS)
def test_sign_flips_are_the_full_enumeration(rows: list[int]) -> None:
    observed = abs(sum(rows))
    flipped = [
        abs(sum(s * r for s, r in zip(signs, rows, strict=True))) for signs in product((1, -1), repeat=len(rows))
    ]
    assert sign_flip(rows) == pytest.approx(sum(x >= observed for x in flipped) / len(flipped))


@pytest.mark.parametrize("n", [2, 5, 9, 12])
def test_sign_flips_are_scipys_permutation_test(n: int) -> None:
    rows = np.random.default_rng(n).normal(0.5, 1, n)
    expected = stats.permutation_test(
        (rows,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip(rows) == pytest.approx(float(expected.pvalue))


def test_twenty_of_one_sign_are_counted_exactly_and_twenty_one_are_drawn() -> None:
    assert EXACT_UP_TO == 20
    assert sign_flip([0.3] * 20) == pytest.approx(2 / 2**20)
    assert sign_flip([0.3] * 21) == pytest.approx(1 / 10_001)
    assert sign_flip([0.3] * 21, flips=99) == pytest.approx(1 / 100)


def test_drawn_flips_come_near_the_exact_p() -> None:
    """With 20 differences the exact p is known; a zero that makes them 21 rows is no difference, a tiny one is."""
    rows = np.random.default_rng(4).normal(0.35, 1, 20)
    exact = sign_flip(rows)
    assert exact is not None
    assert sign_flip([*rows, 0.0]) == exact
    drawn = sign_flip([*rows, 1e-12], flips=40_000, seed=3)
    assert drawn == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / 40_000) + 1e-4)


def test_drawn_flips_are_seeded() -> None:
    rows = np.random.default_rng(5).normal(0.2, 1, 40)
    assert sign_flip(rows, seed=1, flips=999) == sign_flip(rows, seed=1, flips=999)
    assert len({sign_flip(rows, seed=seed, flips=999) for seed in range(8)}) > 1


@settings(max_examples=60)
@given(STEPS, st.randoms(use_true_random=False), st.sampled_from([0.001, 3.0, 1e6]))
def test_sign_flips_do_not_depend_on_order_sign_or_unit(rows: list[int], shuffler: object, unit: float) -> None:
    mixed = list(rows)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    expected = sign_flip(rows)
    assert expected is not None
    assert 0 < expected <= 1
    for again in (mixed, [-row for row in rows], [unit * row for row in rows], [row / 3 for row in rows]):
        assert sign_flip(again) == expected


def test_sign_flips_of_verdicts_are_mcnemar() -> None:
    for cells in ((3, 7, 1, 4), (0, 5, 5, 0), (2, 0, 6, 9), (1, 0, 0, 1)):
        a, b = verdicts(*cells)
        assert sign_flip(np.subtract(a, b)) == pytest.approx(mcnemar_exact(a, b))


def test_sign_flips_of_nothing() -> None:
    assert sign_flip([]) is None
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([2.0]) == 1.0
    with pytest.raises(ValueError, match="at least 1"):
        sign_flip([1.0], flips=0)
    with pytest.raises(ValueError, match="finite"):
        sign_flip([math.nan])


# -- Holm -------------------------------------------------------------------------------------------------------------


def test_holms_own_arithmetic() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=50)
@given(PVALUES)
def test_holm_is_that_of_statsmodels_and_leaves_gaps_alone(pvalues: list[float | None]) -> None:
    found = holm(pvalues)
    tests = [p for p in pvalues if p is not None]
    assert [p is None for p in found] == [p is None for p in pvalues]
    assert family_size(pvalues) == len(tests)
    if tests:
        expected = multipletests(tests, method="holm")[1]
        assert [p for p in found if p is not None] == pytest.approx(expected.tolist())


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_never_lowers_a_p_and_keeps_their_order(pvalues: list[float]) -> None:
    found = [p for p in holm(pvalues) if p is not None]
    assert all(p <= q + 1e-15 <= 1 + 1e-12 for p, q in zip(pvalues, found, strict=True))
    ranked = [q for _, q in sorted(zip(pvalues, found, strict=True))]
    assert ranked == sorted(ranked)
    assert min(found) == pytest.approx(min(1.0, len(pvalues) * min(pvalues)))


def test_holm_of_nothing_and_of_what_is_no_p() -> None:
    assert holm([]) == []
    assert holm([None, None]) == [None, None]
    for bad in (1.1, -0.1, math.nan):
        with pytest.raises(ValueError, match="within 0 and 1"):
            holm([0.5, bad])


# -- both sides together ----------------------------------------------------------------------------------------------


def test_comparing_verdicts_is_mcnemar_with_newcombes_interval() -> None:
    a, b = verdicts(20, 12, 3, 5)
    found = compare_verdicts(a, b)
    assert found.p == mcnemar_exact(a, b)
    assert found.difference == paired_share_difference(a, b)
    assert (found.n, found.test) == (40, "exact McNemar")
    assert found.detectable == detectable_difference(np.subtract(a, b), shares=True)


def test_comparing_means_takes_the_clusters_that_both_sides_have() -> None:
    a, keys_a = [1.0, 3.0, 5.0, 5.0, 9.0, 2.5, 1.0], ["p", "p", "q", "r", "only a", "s", "t"]
    b, keys_b = [1.0, 4.0, 1.0, 1.0, 7.0, 0.5, 2.0], ["q", "r", "p", "p", "only b", "s", "t"]
    found = compare_means(a, keys_a, b, keys_b)
    differences = [2.0 - 1.0, 5.0 - 1.0, 5.0 - 4.0, 2.5 - 0.5, 1.0 - 2.0]
    assert (found.n, found.test) == (5, "sign-flip")
    assert found.difference == bootstrap_t(differences)
    assert found.p == sign_flip(differences)


def test_comparing_shares_keeps_the_limits_within_one() -> None:
    found = compare_means([1.0] * 6 + [0.0], range(7), [0.0] * 7, range(7), shares=True)
    assert found.difference.high is not None
    assert found.difference.high <= 1.0
    with pytest.raises(ValueError, match="within -1 and 1"):
        compare_means([3.0, 0.0], [1, 2], [0.0, 0.0], [1, 2], shares=True)


def test_comparing_sides_without_a_common_cluster() -> None:
    found = compare_means([1.0], ["a"], [2.0], ["b"])
    assert (found.n, found.p, found.difference.estimate, found.detectable) == (0, None, None, None)


# -- what would be missed ---------------------------------------------------------------------------------------------


def test_the_detectable_difference_is_2_8_standard_errors() -> None:
    rows = np.random.default_rng(7).normal(0, 2, 60)
    assert detectable_difference(rows) == pytest.approx(2.8 * float(stats.sem(rows)))
    assert detectable_difference(rows + 5) == pytest.approx(2.8 * float(stats.sem(rows)))


def test_too_few_or_too_equal_differences_can_never_be_found() -> None:
    assert detectable_difference([1.0, 2.0, 0.0, 1.0, 3.0]) is None
    assert detectable_difference([1.5] * 30) is None
    assert detectable_difference([0.0] * 5, shares=True) is None
    # Six, all one way, are the fewest that McNemar finds.
    assert (mcnemar_exact([1] * 5, [0] * 5) or 0.0) > 0.05 > (mcnemar_exact([1] * 6, [0] * 6) or 1.0)


@pytest.mark.parametrize("n", [6, 20, 142])
def test_the_detectable_share_is_never_under_six_discordant_items_four_times_in_five(n: int) -> None:
    found = detectable_difference([0.0] * n, shares=True)
    assert found is not None
    assert stats.binom.sf(5, n, found) == pytest.approx(0.8)


# -- a share against a null -------------------------------------------------------------------------------------------


def test_single_verdicts_are_tested_by_the_exact_binomial() -> None:
    rows = [1.0] * 14 + [0.0] * 6
    found = share_against(rows, range(20), 0.4)
    assert (found.test, found.n) == ("exact binomial", 20)
    assert found.p == pytest.approx(stats.binomtest(14, 20, 0.4).pvalue)


def test_clusters_against_one_half_are_tested_by_sign_flips() -> None:
    rows, keys = [1, 1, 0, 1, 1, 1, 0, 1, 1, 1], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    found = share_against(rows, keys, 0.5)
    assert found.test == "sign-flip"
    assert found.p == pytest.approx(sign_flip([0.5, 0.0, 0.5, 0.0, 0.5]))


def test_clusters_against_another_null_are_tested_at_their_effective_n() -> None:
    rng = np.random.default_rng(9)
    rows, keys = (rng.random(90) < 0.45).astype(float), np.repeat(np.arange(30), 3).tolist()
    found, share = share_against(rows, keys, 0.25), clustered_share(rows, keys)
    assert found.test == "design-effect score"
    assert share.estimate is not None
    assert share.effective is not None
    t = (share.estimate - 0.25) / math.sqrt(0.25 * 0.75 / share.effective)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 29))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=4, max_size=40), st.sampled_from([0.1, 0.3, 0.7]))
def test_the_design_effect_test_agrees_with_the_interval(rows: list[tuple[int, bool]], null: float) -> None:
    values, keys = [float(v) for _, v in rows], [c for c, _ in rows]
    p, share = design_effect_test(values, keys, null), clustered_share(values, keys)
    if len(set(keys)) < 2:
        assert p is None
        return
    assert p is not None
    assert share.low is not None
    assert share.high is not None
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == (not share.low <= null <= share.high)


def test_a_share_against_a_null_of_little_or_impossible_data() -> None:
    assert share_against([], [], 0.5).p is None
    assert share_against([1, 0], ["a", "a"], 0.3).p is None
    with pytest.raises(ValueError, match="null must lie"):
        design_effect_test([1, 0], [1, 2], 1.0)

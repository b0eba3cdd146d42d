"""Shares, means and their intervals against statsmodels, closed forms and what must hold for any data."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from workbench.statistics.clusters import cluster_means, column, paired_means, truths
from workbench.statistics.intervals import (
    Estimate,
    bootstrap_t,
    clustered_share,
    paired_share_difference,
    student,
    wilson,
)

ROWS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0])), min_size=1, max_size=40)
NUMBERS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=1, max_size=25)


def inside(found: Estimate, low: float, high: float) -> bool:
    assert found.estimate is not None
    limits = [x for x in (found.low, found.estimate, found.high) if x is not None]
    return limits == sorted(limits) and all(low <= x <= high for x in limits)


# -- Wilson -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 10, 53, 1000])
def test_wilson_is_that_of_statsmodels(n: int) -> None:
    for successes in {0, 1, n // 3, n // 2, n - 1, n}:
        found = wilson(successes, n)
        low, high = proportion_confint(successes, n, alpha=0.05, method="wilson")
        assert found.estimate == successes / n
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
        assert (found.n, found.effective) == (n, n)


def test_wilson_of_a_textbook_example() -> None:
    """81 of 263 (Newcombe 1998, Statistics in Medicine 17:857-872): .2553 to .3662."""
    found = wilson(81, 263)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_estimate_and_is_symmetric(case: tuple[int, int]) -> None:
    successes, n = case
    found, mirrored = wilson(successes, n), wilson(n - successes, n)
    assert inside(found, 0.0, 1.0)
    assert (found.low, found.high) == pytest.approx((1 - (mirrored.high or 0.0), 1 - (mirrored.low or 0.0)))


def test_wilson_without_verdicts_has_no_figure_and_impossible_counts_are_refused() -> None:
    assert wilson(0, 0) == Estimate(None, None, None, 0, "wilson", 0.0)
    for successes, n in ((-1, 5), (6, 5), (1, 0)):
        with pytest.raises(ValueError, match="between 0 and n"):
            wilson(successes, n)


# -- shares in clusters -----------------------------------------------------------------------------------------------


def score_interval(share: float, n: float) -> tuple[float, float]:
    """The two roots of (share - x)² = z² x (1 - x) / n."""
    z2 = float(stats.norm.ppf(0.975)) ** 2
    roots = np.roots([1 + z2 / n, -(2 * share + z2 / n), share**2])
    return float(min(roots)), float(max(roots))


@pytest.mark.parametrize(("hits", "k"), [(0, 8), (3, 10), (10, 20), (49, 50)])
def test_single_rows_are_worth_one_verdict_each_less_the_t(hits: int, k: int) -> None:
    found = clustered_share([1.0] * hits + [0.0] * (k - hits), range(k))
    assert found.effective == pytest.approx(k)
    n = k * (float(stats.norm.ppf(0.975)) / float(stats.t.ppf(0.975, k - 1))) ** 2
    assert (found.low, found.high) == pytest.approx(score_interval(hits / k, n), abs=1e-9)


def test_rows_that_are_all_alike_in_a_cluster_are_worth_one() -> None:
    single = clustered_share([1.0] * 12 + [0.0] * 8, range(20))
    many = clustered_share(np.repeat([1.0] * 12 + [0.0] * 8, 7), np.repeat(np.arange(20), 7).tolist())
    assert (many.estimate, many.low, many.high, many.n) == pytest.approx(
        (single.estimate, single.low, single.high, single.n)
    )


def test_independent_rows_are_worth_nearly_one_each() -> None:
    rng = np.random.default_rng(1)
    found = clustered_share((rng.random(400 * 5) < 0.4).astype(float), np.repeat(np.arange(400), 5).tolist())
    assert found.n == 400
    assert found.effective == pytest.approx(2000, rel=0.15)


def test_the_share_is_the_mean_of_the_clusters_not_of_the_rows() -> None:
    found = clustered_share([1, 1, 1, 1, 1, 1, 0, 0], ["a"] * 6 + ["b", "c"])
    assert found.estimate == pytest.approx(1 / 3)
    assert found.n == 3


@given(ROWS)
def test_a_clustered_share_holds_its_estimate_and_its_effective_n_its_bounds(rows: list[tuple[int, float]]) -> None:
    clusters, values = [c for c, _ in rows], [v for _, v in rows]
    found = clustered_share(values, clusters)
    assert inside(found, 0.0, 1.0)
    assert found.n == len(set(clusters))
    assert found.effective is not None
    assert found.n - 1e-9 <= found.effective <= len(rows) + 1e-9


@given(ROWS)
def test_a_clustered_share_is_symmetric_and_does_not_depend_on_order_or_names(rows: list[tuple[int, float]]) -> None:
    found = clustered_share([v for _, v in rows], [c for c, _ in rows])
    turned = clustered_share([1 - v for _, v in rows], [c for c, _ in rows])
    renamed = clustered_share([v for _, v in reversed(rows)], [f"cluster {c}" for c, _ in reversed(rows)])
    assert renamed.estimate == pytest.approx(found.estimate)
    if found.low is not None and found.high is not None:
        assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low))
        assert (renamed.low, renamed.high) == pytest.approx((found.low, found.high))


def test_a_clustered_share_of_one_cluster_or_none_has_no_limits() -> None:
    assert clustered_share([], []) == Estimate(None, None, None, 0, "clustered wilson", 0.0)
    one = clustered_share([1, 0, 0, 0], "aaaa")
    assert (one.estimate, one.low, one.high, one.n) == (0.25, None, None, 1)


def test_a_clustered_share_refuses_what_is_no_share() -> None:
    for values in ([0.5, 1.2], [-0.1, 0.0]):
        with pytest.raises(ValueError, match="within 0 and 1"):
            clustered_share(values, [1, 2])
    with pytest.raises(ValueError, match="differ in length"):
        clustered_share([0, 1], [1])
    with pytest.raises(ValueError, match="finite"):
        clustered_share([0, math.nan], [1, 2])


# -- the difference of two shares over the same items -----------------------------------------------------------------


def verdicts(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[int], list[int]]:
    a = [1] * (both + only_a) + [0] * (only_b + neither)
    return a, [1] * both + [0] * only_a + [1] * only_b + [0] * neither


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((36, 14, 0, 0), 0.1528, 0.4167), ((36, 2, 12, 0), -0.3404, -0.0569)],
)
def test_newcombes_own_examples(cells: tuple[int, int, int, int], low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10."""
    found = paired_share_difference(*verdicts(*cells))
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("cells", [(20, 12, 2, 16), (11, 8, 9, 12), (30, 1, 1, 8)])
def test_sides_that_go_together_are_nearer_but_not_by_more_than_continuity_allows(
    cells: tuple[int, int, int, int],
) -> None:
    """Wilson's limits of both sides, squared and added, less twice their product times the corrected phi."""
    both, only_a, only_b, neither = cells
    n = sum(cells)
    a, b = both + only_a, both + only_b
    (low_a, high_a), (low_b, high_b) = (proportion_confint(x, n, method="wilson") for x in (a, b))
    phi = max(both * neither - only_a * only_b - n / 2, 0) / math.sqrt(a * (n - a) * b * (n - b))
    down, up = (a / n - low_a, high_b - b / n), (high_a - a / n, b / n - low_b)
    lengths = [math.sqrt(x * x + y * y - 2 * phi * x * y) for x, y in (down, up)]
    found = paired_share_difference(*verdicts(*cells))
    assert (found.low, found.high) == pytest.approx(((a - b) / n - lengths[0], (a - b) / n + lengths[1]))


@pytest.mark.parametrize("cells", [(0, 0, 0, 50), (50, 0, 0, 0)])
def test_equal_verdicts_throughout_leave_a_difference_of_wilsons_unseen_share(cells: tuple[int, int, int, int]) -> None:
    found = paired_share_difference(*verdicts(*cells))
    unseen = proportion_confint(0, 50, method="wilson")[1]
    assert (found.low, found.high) == pytest.approx((-unseen, unseen))


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(lambda cells: sum(cells) > 0))
def test_the_paired_difference_holds_its_estimate_and_turns_with_its_sides(cells: tuple[int, int, int, int]) -> None:
    a, b = verdicts(*cells)
    found, turned = paired_share_difference(a, b), paired_share_difference(b, a)
    assert inside(found, -1.0, 1.0)
    assert found.estimate == pytest.approx((cells[1] - cells[2]) / sum(cells))
    assert (turned.low, turned.high) == pytest.approx((-(found.high or 0.0), -(found.low or 0.0)))


def test_the_paired_difference_of_nothing_and_of_what_is_no_verdict() -> None:
    assert paired_share_difference([], []).estimate is None
    with pytest.raises(ValueError, match="must be 0 or 1"):
        paired_share_difference([0.5], [1])
    with pytest.raises(ValueError, match="differ in length"):
        paired_share_difference([0, 1], [1])


# -- bootstrap-t ------------------------------------------------------------------------------------------------------


def test_bootstrap_t_of_a_large_normal_sample_is_students_interval() -> None:
    rows = np.random.default_rng(3).normal(2, 3, 2000)
    found = bootstrap_t(rows, draws=4000)
    low, high = stats.t.interval(0.95, 1999, rows.mean(), stats.sem(rows))
    assert found.estimate == pytest.approx(rows.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * stats.sem(rows))


def test_bootstrap_t_is_that_of_full_enumeration() -> None:
    """All 5^5 resamples of five values: the seeded draws come near their quantiles."""
    rows = np.array([0.0, 1.0, 3.0, 4.0, 9.0])
    mean, error = rows.mean(), rows.std(ddof=1) / math.sqrt(5)
    t = []
    for chosen in product(rows, repeat=5):
        spread = np.std(chosen, ddof=1)
        shift = np.mean(chosen) - mean
        t.append(shift / (spread / math.sqrt(5)) if spread > 0 else math.copysign(math.inf, shift))
    lower, upper = np.quantile(t, [0.025, 0.975], method="inverted_cdf")
    found = bootstrap_t(rows, draws=200_000, seed=1)
    assert found.low == pytest.approx(mean - error * upper, rel=0.02)
    assert found.high == pytest.approx(mean - error * lower, rel=0.02)


def test_bootstrap_t_follows_the_skew() -> None:
    found = bootstrap_t(np.random.default_rng(5).exponential(1, 30))
    assert found.estimate is not None
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.estimate > 1.2 * (found.estimate - found.low)


@settings(max_examples=40)
@given(NUMBERS, st.floats(0.5, 20), st.floats(-50, 50))
def test_bootstrap_t_moves_and_stretches_with_its_values(rows: list[float], scale: float, shift: float) -> None:
    found = bootstrap_t(rows, draws=199)
    moved = bootstrap_t([scale * row + shift for row in rows], draws=199)
    assert (found.low is None) == (moved.low is None) or max(rows) - min(rows) < 1e-6
    size = max(1.0, max(map(abs, rows)))
    assert moved.estimate == pytest.approx(scale * (found.estimate or 0.0) + shift, abs=1e-9 * scale * size + 1e-9)
    if found.low is not None and found.high is not None and moved.low is not None and moved.high is not None:
        wanted = (scale * found.low + shift, scale * found.high + shift)
        assert (moved.low, moved.high) == pytest.approx(wanted, rel=1e-6, abs=1e-6 * scale * size)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(-4, 4)), min_size=1, max_size=40), st.randoms())
def test_bootstrap_t_does_not_depend_on_the_order_of_the_rows(rows: list[tuple[int, int]], shuffler: object) -> None:
    mixed = list(rows)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    found = bootstrap_t([v / 4 for _, v in rows], [c for c, _ in rows], draws=199, bounds=(-1, 1))
    again = bootstrap_t([v / 4 for _, v in mixed], [c for c, _ in mixed], draws=199, bounds=(-1, 1))
    assert inside(found, -1.0, 1.0)
    assert (found.estimate, found.low, found.high) == pytest.approx((again.estimate, again.low, again.high))


def test_the_same_seed_gives_the_same_interval_and_another_nearly() -> None:
    rows = np.random.default_rng(6).normal(0, 1, 40)
    one, again, other = bootstrap_t(rows, seed=1), bootstrap_t(rows, seed=1), bootstrap_t(rows, seed=2)
    assert one == again
    assert one != other
    assert one.low == pytest.approx(other.low, abs=0.1)


@pytest.mark.parametrize("n", [2, 3])
def test_two_or_three_clusters_have_students_interval(n: int) -> None:
    """There some draw always takes the same mean throughout, in more than 2.5 % of cases."""
    rows = np.array([1.0, 4.0, 5.0])[:n]
    found = bootstrap_t(rows)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, n - 1, rows.mean(), stats.sem(rows)))


def test_equal_means_have_no_limits_unless_there_are_bounds() -> None:
    assert bootstrap_t([2.0] * 9) == Estimate(2.0, None, None, 9, "no spread")
    found = bootstrap_t([0.0] * 9, bounds=(-1, 1))
    unseen = proportion_confint(0, 9, method="wilson")[1]
    assert (found.low, found.high) == pytest.approx((-unseen, unseen))
    full = bootstrap_t([1.0] * 9, bounds=(0, 1))
    assert (full.low, full.high) == pytest.approx((1 - unseen, 1.0))


def test_bootstrap_t_of_little_or_impossible_data() -> None:
    assert bootstrap_t([]) == Estimate(None, None, None, 0, "bootstrap-t")
    assert bootstrap_t([3.0]) == Estimate(3.0, None, None, 1, "bootstrap-t")
    assert bootstrap_t([1.0, 3.0], ["a", "a"]) == Estimate(2.0, None, None, 1, "bootstrap-t")
    with pytest.raises(ValueError, match="at least 100"):
        bootstrap_t([1.0, 2.0], draws=99)
    with pytest.raises(ValueError, match="within 0 and 1"):
        bootstrap_t([0.0, 1.1], bounds=(0, 1))
    with pytest.raises(ValueError, match="finite"):
        bootstrap_t([0.0, math.inf])
    with pytest.raises(ValueError, match="one dimension"):
        bootstrap_t([[0.0, 1.0]])


def test_students_t() -> None:
    assert student(10) == pytest.approx(2.228139, abs=1e-6)


# -- clusters ---------------------------------------------------------------------------------------------------------


@given(ROWS)
def test_cluster_means_are_those_of_a_loop(rows: list[tuple[int, float]]) -> None:
    found = cluster_means([v for _, v in rows], [c for c, _ in rows])
    assert found.keys == tuple(dict.fromkeys(c for c, _ in rows))
    for key, mean, size in zip(found.keys, found.means, found.sizes, strict=True):
        own = [v for c, v in rows if c == key]
        assert mean == pytest.approx(sum(own) / len(own))
        assert size == len(own)


@given(ROWS, ROWS)
def test_paired_means_hold_the_shared_clusters(a: list[tuple[int, float]], b: list[tuple[int, float]]) -> None:
    found = paired_means([v for _, v in a], [c for c, _ in a], [v for _, v in b], [c for c, _ in b])
    assert set(found.keys) == {c for c, _ in a} & {c for c, _ in b}
    assert found.n == len(found.keys)
    for key, left, right, gap in zip(found.keys, found.a, found.b, found.differences, strict=True):
        assert left == pytest.approx(np.mean([v for c, v in a if c == key]))
        assert right == pytest.approx(np.mean([v for c, v in b if c == key]))
        assert gap == left - right


def test_columns_are_checked() -> None:
    assert column([1, 2]).tolist() == [1.0, 2.0]
    assert truths([0, 1, True], "x").tolist() == [False, True, True]
    assert cluster_means([], []).keys == ()
    with pytest.raises(ValueError, match="x: every value must be 0 or 1"):
        truths([2], "x")

"""The 95 % intervals cover what they say, and null effects stay quiet: by exact sums, or by seeded simulation."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from workbench.statistics.agreement import cohens_kappa
from workbench.statistics.families import holm
from workbench.statistics.gaps import culture_gap
from workbench.statistics.intervals import bootstrap_t, clustered_share, paired_share_difference, wilson
from workbench.statistics.paired import compare_means, detectable_difference, mcnemar_exact, sign_flip
from workbench.statistics.presence import share_against

SIZES = (10, 20, 50, 120)
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
FLOOR = 0.92
Gen = np.random.Generator


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """statsmodels' multipletests collects garbage at every call, 40 ms each under pytest: leave it nothing to walk."""
    gc.freeze()
    yield
    gc.unfreeze()


def three_errors(share: float, replications: int) -> float:
    return 3 * math.sqrt(share * (1 - share) / replications)


def assert_covers(coverage: float, k: int, replications: int) -> None:
    assert coverage >= FLOOR
    if k >= 50:
        assert abs(coverage - 0.95) <= 0.015 + three_errors(0.95, replications)


def exact_coverage(limits: list[tuple[float, float]], share: float) -> float:
    n = len(limits) - 1
    return sum(float(binom.pmf(x, n, share)) for x, (low, high) in enumerate(limits) if low <= share <= high)


@cache
def single_row_limits(k: int) -> list[tuple[float, float]]:
    found = [clustered_share([1] * x + [0] * (k - x), range(k)) for x in range(k + 1)]
    return [(e.low, e.high) for e in found if e.low is not None and e.high is not None]


@pytest.mark.parametrize("k", SIZES)
def test_share_of_single_rows_exact(k: int) -> None:
    grid = np.arange(0.05, 0.5001, 0.005)
    covered = [exact_coverage(single_row_limits(k), float(share)) for share in grid]
    assert min(covered) >= 0.935
    if k == 50:  # a share of so few rows is discrete: the exact maximum is 98.0 %, at .069
        assert max(covered) <= 0.98
    if k == 120:
        assert max(covered) <= 0.972
    if k >= 50:
        assert abs(float(np.mean(covered)) - 0.95) <= 0.015


def test_textbook_wilson_has_the_coverage_its_docstring_gives() -> None:
    for n, worst in ((10, 0.895), (20, 0.917), (50, 0.931)):
        limits = [(e.low or 0.0, e.high or 0.0) for e in (wilson(x, n) for x in range(n + 1))]
        lowest = min(exact_coverage(limits, float(share)) for share in np.arange(0.05, 0.5001, 0.001))
        assert lowest == pytest.approx(worst, abs=0.001)


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize(("sizes", "alike"), [((2,), 0.3), ((5,), 0.1), ((5,), 0.7), ((1, 2, 3, 8), 0.5), ((20,), 0.7)])
def test_share_of_clustered_rows(k: int, sizes: tuple[int, ...], alike: float) -> None:
    rng = np.random.default_rng([k, len(sizes), sizes[0]])
    rows = np.resize(sizes, k)
    replications = 2000 if k < 120 else 1000
    remembered: dict[tuple[tuple[int, int], ...], tuple[float, float]] = {}
    for share in SHARES:
        chances = rng.beta(share * (1 - alike) / alike, (1 - share) * (1 - alike) / alike, (replications, k))
        covered = 0
        for counts in rng.binomial(rows, chances):
            key = tuple(sorted(zip(rows.tolist(), counts.tolist(), strict=True)))
            if key not in remembered:
                values = np.concatenate([np.arange(m) < x for m, x in key]).astype(float)
                found = clustered_share(values, np.repeat(np.arange(k), [m for m, _ in key]).tolist())
                assert found.low is not None
                assert found.high is not None
                remembered[key] = (found.low, found.high)
            low, high = remembered[key]
            covered += low <= share <= high
        assert_covers(covered / replications, k, replications)


MEANS: dict[str, tuple[Callable[[Gen, int], np.ndarray], float]] = {
    "normal": (lambda rng, k: rng.normal(1, 2, k), 1.0),
    "exponential": (lambda rng, k: rng.exponential(1, k), 1.0),
    "lognormal": (lambda rng, k: rng.lognormal(0, 0.7, k), math.exp(0.245)),
    "correlated rows": (lambda rng, k: (rng.normal(0, 1, (k, 1)) + rng.normal(0, 1, (k, 3))).ravel(), 0.0),
}


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("kind", MEANS)
def test_mean_of_margins(kind: str, k: int) -> None:
    draw, truth = MEANS[kind]
    rng = np.random.default_rng([k, len(kind)])
    replications = 2000 if k < 50 else 1000
    covered = 0
    for seed in range(replications):
        rows = draw(rng, k)
        found = bootstrap_t(rows, np.repeat(np.arange(k), len(rows) // k).tolist(), draws=399, seed=seed)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert_covers(covered / replications, k, replications)


def test_why_not_a_percentile_bootstrap() -> None:
    """The thing it replaces undercovers where ours does not, so the simulation can tell a bad interval."""
    rng = np.random.default_rng(4)
    covered = ours = 0
    for seed in range(500):
        rows = rng.exponential(1, 10)
        low, high = np.quantile(rows[rng.integers(0, 10, (399, 10))].mean(axis=1), [0.025, 0.975])
        covered += low <= 1 <= high
        found = bootstrap_t(rows, draws=399, seed=seed)
        ours += (found.low or 0) <= 1 <= (found.high or 0)
    assert covered / 500 < 0.9 < FLOOR <= ours / 500


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize(("a", "b"), [(0.2, 0.05), (0.5, 0.3), (0.1, 0.1)])
def test_difference_of_clustered_shares(k: int, a: float, b: float) -> None:
    rng = np.random.default_rng([k, int(100 * a)])
    replications = 1000
    covered = 0
    for seed in range(replications):
        one = rng.binomial(4, rng.beta(a, 1 - a, k)) / 4
        other = rng.binomial(4, rng.beta(b, 1 - b, k)) / 4
        found = bootstrap_t(one - other, draws=299, seed=seed, bounds=(-1, 1))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= a - b <= found.high
    assert covered / replications >= FLOOR
    if k >= 50:  # the farther of two limits: a little wide, never narrow
        assert 0.935 - three_errors(0.95, replications) <= covered / replications <= 0.985


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("a", "b", "same"), [(0.05, 0.05, 0.5), (0.2, 0.1, 0.5), (0.5, 0.3, 0.3), (0.5, 0.5, 0.7)])
def test_difference_of_paired_verdicts(n: int, a: float, b: float, same: float) -> None:
    rng = np.random.default_rng([n, int(100 * a), int(100 * b)])
    replications = 2000
    first = rng.random((replications, n))
    second = np.where(rng.random((replications, n)) < same, first, rng.random((replications, n)))
    covered = 0
    for x, y in zip(first < a, second < b, strict=True):
        found = paired_share_difference(x, y)
        covered += (found.low or 0.0) - 1e-12 <= a - b <= (found.high or 0.0) + 1e-12
    assert covered / replications >= FLOOR
    if n == 120:
        assert covered / replications <= 0.985


@pytest.mark.parametrize("n", SIZES)
def test_kappa(n: int) -> None:
    """Rater b repeats a with probability .7, else guesses: with marginals of one half, kappa is .7."""
    rng = np.random.default_rng(n)
    replications = 500
    covered = 0
    for seed in range(replications):
        a = rng.random(n) < 0.5
        b = np.where(rng.random(n) < 0.7, a, rng.random(n) < 0.5)
        found = cohens_kappa(a.tolist(), b.tolist(), draws=299, seed=seed)
        covered += found.low is None or (found.high is not None and found.low <= 0.7 <= found.high)
    assert covered / replications >= FLOOR


def test_false_alarms_after_holm() -> None:
    """Families of eight true nulls, verdicts and means with repeats: at most 5 % raise any alarm."""
    rng = np.random.default_rng(11)
    families = 600
    raised = 0
    for seed in range(families):
        pvalues: list[float | None] = []
        for n in (10, 20, 50, 120):
            a, b = rng.random((2, n)) < 0.4
            pvalues.append(mcnemar_exact(a, b))
            one, other = rng.binomial(3, rng.beta(1, 1, n), (2, n)) / 3
            pvalues.append(sign_flip(one - other, flips=999, seed=seed) if n != 20 else sign_flip((one - other)[:14]))
        raised += min(p for p in holm(pvalues) if p is not None) < 0.05
    assert raised / families <= 0.05 + three_errors(0.05, families)


def test_a_real_difference_is_found_after_holm() -> None:
    rng = np.random.default_rng(12)
    found = 0
    for seed in range(100):
        pvalues: list[float | None] = [sign_flip(rng.normal(0, 1, 40), flips=999, seed=seed) for _ in range(4)]
        pvalues.append(sign_flip(rng.normal(0.8, 1, 40), flips=999, seed=seed))
        adjusted = holm(pvalues)[-1]
        found += adjusted is not None and adjusted < 0.05
    assert found >= 90


def test_sign_flip_has_its_level_with_random_flips() -> None:
    rng = np.random.default_rng(13)
    share = np.mean([(sign_flip(rng.normal(0, 1, 30), flips=499, seed=seed) or 0) < 0.05 for seed in range(2000)])
    assert abs(float(share) - 0.05) <= three_errors(0.05, 2000)


@pytest.mark.parametrize("null", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("k", [10, 50])
def test_false_alarms_of_a_share_against_a_null(k: int, null: float) -> None:
    rng = np.random.default_rng([k, int(100 * null)])
    replications = 800
    ids = np.repeat(np.arange(k), 4).tolist()
    alarms = 0
    for seed in range(replications):
        rows = (rng.random((k, 4)) < rng.beta(null, 1 - null, k)[:, None]).ravel().astype(float)
        alarms += (share_against(rows, ids, null, flips=399, seed=seed).p or 0.0) < 0.05
    assert alarms / replications <= 0.05 + three_errors(0.05, replications)


def test_false_alarms_of_a_gap_between_cultures() -> None:
    """Topics differ, cultures do not: a gap is called in at most 5 % of cases."""
    rng = np.random.default_rng(14)
    cultures = [c for c in "abcd" for _ in range(24)]
    topics = [t for _ in "abcd" for t in "xyz" for _ in range(8)]
    level = np.array([{"x": 0.2, "y": 0.5, "z": 0.8}[t] for t in topics])
    alarms = sum(
        culture_gap((rng.random(96) < level).astype(float), cultures, topics, shuffles=199, seed=seed).is_gap
        for seed in range(500)
    )
    assert alarms / 500 <= 0.05 + three_errors(0.05, 500)


def test_detectable_difference_is_missed_one_time_in_five() -> None:
    rng = np.random.default_rng(15)
    truth = 2.8 / math.sqrt(60)
    differences = rng.normal(truth, 1, (1000, 60))
    found = np.mean([(sign_flip(row, flips=399, seed=i) or 0.0) < 0.05 for i, row in enumerate(differences)])
    assert abs(float(found) - 0.8) <= 0.02 + three_errors(0.8, 1000)
    assert np.mean([detectable_difference(row) for row in differences]) == pytest.approx(truth, rel=0.02)


def test_detectable_difference_of_sparse_shares_is_not_too_small() -> None:
    """All discordant items one way, as many as the floor says: McNemar finds it about four times in five."""
    rng = np.random.default_rng(16)
    n = 40
    floor = detectable_difference(np.zeros(n), shares=True)
    assert floor is not None
    won = rng.random((2000, n)) < floor
    found = np.mean([(mcnemar_exact(row, np.zeros(n)) or 0.0) < 0.05 for row in won])
    assert abs(float(found) - 0.8) <= three_errors(0.8, 2000)


def test_compare_means_keeps_its_level_and_its_interval_agrees() -> None:
    rng = np.random.default_rng(17)
    alarms = outside = 0
    keys = np.repeat(np.arange(30), 3).tolist()
    for seed in range(400):
        one, other = rng.normal(0, 1, (2, 90)) + np.repeat(rng.normal(0, 1, 30), 3)
        found = compare_means(one, keys, other, keys, draws=299, flips=399, seed=seed)
        alarms += (found.p or 0.0) < 0.05
        outside += not (found.difference.low or 0.0) <= 0 <= (found.difference.high or 0.0)
    assert alarms / 400 <= 0.05 + three_errors(0.05, 400)
    assert outside / 400 <= 0.065 + three_errors(0.05, 400)

"""Agreement of raters against published examples, statsmodels and closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa as kappa_of
from statsmodels.stats.proportion import proportion_confint

from workbench.statistics.agreement import accuracy, cohens_kappa, krippendorff_alpha
from workbench.statistics.intervals import Estimate

LABELS = st.sampled_from(["yes", "no", "both", None])
PAIRS = st.lists(st.tuples(LABELS, LABELS), max_size=40)
RATINGS = st.integers(1, 8).flatmap(
    lambda n: st.lists(st.lists(LABELS, min_size=n, max_size=n), min_size=1, max_size=4)
)


def labels_of(table: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Two raters whose table of counts this is."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in cells], [j for _, j in cells]


# -- accuracy ---------------------------------------------------------------------------------------------------------


def test_accuracy_counts_the_pairs_that_both_labelled() -> None:
    found = accuracy(["a", "b", None, "a", "b"], ["a", "a", "a", None, "b"])
    assert (found.estimate, found.n) == (pytest.approx(2 / 3), 3)
    assert (found.low, found.high) == pytest.approx(proportion_confint(2, 3, method="wilson"))
    assert accuracy([None], ["a"]).estimate is None
    with pytest.raises(ValueError, match="differ in length"):
        accuracy(["a"], [])


# -- kappa ------------------------------------------------------------------------------------------------------------


def test_kappa_of_a_textbook_table() -> None:
    """20, 5, 10, 15: po = .7, pe = .5, kappa = .4."""
    assert cohens_kappa(*labels_of([[20, 5], [10, 15]])).estimate == pytest.approx(0.4)


@pytest.mark.parametrize(
    "table", [[[20, 5], [10, 15]], [[44, 5, 1], [7, 20, 3], [9, 5, 6]], [[60, 1], [2, 3]], [[5, 20], [15, 3]]]
)
def test_kappa_and_its_limits_are_not_narrower_than_those_of_statsmodels(table: list[list[int]]) -> None:
    found, expected = cohens_kappa(*labels_of(table)), kappa_of(np.array(table))
    assert found.n == np.sum(table)
    assert found.estimate == pytest.approx(float(expected.kappa))
    assert found.low is not None
    assert found.high is not None
    # Fleiss, Cohen & Everitt's large-sample limits, or the bootstrap's where those are farther.
    assert found.low <= float(expected.kappa_low) + 1e-9
    assert found.high >= min(1.0, float(expected.kappa_upp)) - 1e-9
    assert found.high - found.low <= 1.5 * (float(expected.kappa_upp) - float(expected.kappa_low))


@settings(max_examples=40)
@given(PAIRS)
def test_kappa_is_that_of_its_formula_and_within_its_limits(pairs: list[tuple[str | None, str | None]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = cohens_kappa(a, b, draws=100)
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    assert found.n == len(known)
    names = {label for pair in known for label in pair}
    if len(names) < 2:
        assert (found.estimate, found.low, found.high) == (None, None, None)
        return
    n = len(known)
    observed = sum(x == y for x, y in known) / n
    expected = sum(sum(x == k for x, _ in known) * sum(y == k for _, y in known) for k in names) / n**2
    assert found.estimate == pytest.approx((observed - expected) / (1 - expected))
    if found.low is not None and found.high is not None:
        assert -1 <= found.low <= found.estimate + 1e-12
        assert found.estimate - 1e-12 <= found.high <= 1


def test_kappa_does_not_depend_on_which_rater_comes_first_or_how_labels_are_called() -> None:
    a, b = labels_of([[20, 5, 2], [1, 15, 3], [0, 4, 9]])
    found = cohens_kappa(a, b)
    assert cohens_kappa(b, a).estimate == pytest.approx(found.estimate)
    assert cohens_kappa([f"label {x}" for x in a], [f"label {x}" for x in b]).estimate == pytest.approx(found.estimate)
    assert cohens_kappa(a, b) == found


def test_raters_that_always_agree_have_1_and_a_lower_limit_that_says_how_few_they_were() -> None:
    few, many = cohens_kappa([0, 1] * 5, [0, 1] * 5), cohens_kappa([0, 1] * 100, [0, 1] * 100)
    assert (few.estimate, few.high) == (1.0, 1.0)
    assert few.low is not None
    assert many.low is not None
    assert few.low < many.low < 1.0
    # Wilson's upper limit of 0 disagreements in 10, over the disagreements by chance.
    assert few.low == pytest.approx(1 - proportion_confint(0, 10, method="wilson")[1] / 0.5)


def test_raters_that_always_contradict_each_other_have_minus_1() -> None:
    assert cohens_kappa([0, 1] * 10, [1, 0] * 10).estimate == pytest.approx(-1.0)


def test_kappa_is_null_where_it_is_undefined() -> None:
    nothing = Estimate(None, None, None, 0, "bootstrap")
    assert cohens_kappa([], []) == nothing
    assert cohens_kappa(["a"], [None]) == nothing
    assert cohens_kappa(["a"] * 9, ["a"] * 9).estimate is None
    one = cohens_kappa(["a"], ["b"])
    assert (one.estimate, one.low, one.high) == (0.0, None, None)
    with pytest.raises(ValueError, match="at least 100"):
        cohens_kappa(["a"], ["b"], draws=10)


# -- alpha ------------------------------------------------------------------------------------------------------------

X = None


def test_alpha_of_two_raters_without_gaps_as_published() -> None:
    """Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, example A: binary data, alpha = .095."""
    jon = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    han = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff_alpha([jon, han]) == pytest.approx(0.095, abs=5e-4)


def test_alpha_of_two_raters_and_five_labels_as_published() -> None:
    """The same, example B: nominal data, alpha = .692."""
    assert krippendorff_alpha(["aabbdcccedda", "babbbccceddd"]) == pytest.approx(0.692, abs=5e-4)


def test_alpha_of_four_raters_with_gaps_as_published() -> None:
    """The same, example C: nominal data of four observers with missing labels, alpha = .743."""
    raters = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
    assert krippendorff_alpha(raters) == pytest.approx(0.743, abs=5e-4)


@settings(max_examples=80)
@given(RATINGS)
def test_alpha_is_that_of_its_pairs(ratings: list[list[str | None]]) -> None:
    """By the definition: disagreement within units over that of all labels, pair by pair."""
    units = [[label for label in unit if label is not None] for unit in zip(*ratings, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    everything = [label for unit in units for label in unit]
    n = len(everything)
    found = krippendorff_alpha(ratings)
    expected = sum(x != y for x in everything for y in everything)
    if not expected:
        assert found is None
        return
    observed = sum(sum(x != y for x in unit for y in unit) / (len(unit) - 1) for unit in units) / n
    assert found == pytest.approx(1 - observed / (expected / (n * (n - 1))))
    assert found <= 1


def test_alpha_is_null_where_it_is_undefined() -> None:
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([["a", "b"]]) is None
    assert krippendorff_alpha([["a", None], [None, "b"]]) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    with pytest.raises(ValueError, match="one entry a unit"):
        krippendorff_alpha([["a"], ["a", "b"]])


def test_alpha_of_perfect_and_of_random_raters() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 3000).tolist()
    assert krippendorff_alpha([labels, labels, labels]) == 1.0
    random = krippendorff_alpha([labels, rng.integers(0, 3, 3000).tolist()])
    assert random == pytest.approx(0.0, abs=3 / math.sqrt(2 * 3000))

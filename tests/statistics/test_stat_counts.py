"""Baselines, noise floor, bounds of unusable answers, votes, association: closed forms and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import softmax
from statsmodels.stats.descriptivestats import sign_test
from statsmodels.stats.proportion import proportion_confint

from workbench.statistics.association import association
from workbench.statistics.baselines import Baselines, baselines
from workbench.statistics.intervals import bootstrap_t
from workbench.statistics.noise import margin, noise_floor, probabilities, undecided
from workbench.statistics.paired import sign_flip
from workbench.statistics.usable import Bounds, bounds, clustered_bounds, unusable_share, usable_pairs
from workbench.statistics.votes import Vote, count_votes

VERDICTS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0, None])), max_size=30)
VOTES = st.lists(st.sampled_from(["a", "b", "tie", "both bad"]), max_size=25)

# -- baselines --------------------------------------------------------------------------------------------------------


def test_baselines_of_a_worked_example() -> None:
    """Four items: gold at places 0, 1, 0 or 2, and one without."""
    options = [["yes", "no"], ["yes", "no"], ["tea", "coffee", "milk"], ["x", "y"]]
    found = baselines(options, [[0], [1], [0, 2], []])
    assert found.n == 3
    assert found.chance == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 3)
    assert found.first == pytest.approx(2 / 3)
    # "yes" is the longest twice, "coffee" is wrong.
    assert found.longest == pytest.approx(1 / 3)
    # "yes" and "no" are right once each, of three items.
    assert found.majority == pytest.approx(1 / 3)
    assert found.best == pytest.approx(2 / 3)


def test_equally_long_options_share_the_item() -> None:
    assert baselines([["aa", "bb", "c"]], [[1]]).longest == 0.5
    assert baselines([["aa", "bb", "c"]], [[0, 1]]).longest == 1.0


def test_the_majority_class_goes_by_what_options_stand_for() -> None:
    found = baselines(
        [["apple", "pear"], ["dog", "cat"], ["red", "blue"]],
        [[0], [1], [0]],
        labels=[["north", "south"], ["south", "north"], ["south", "north"]],
    )
    assert found.majority == pytest.approx(2 / 3)
    assert baselines([["apple", "pear"], ["dog", "cat"]], [[0], [1]]).majority is None


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 31)), max_size=12))
def test_baselines_are_the_scores_of_those_who_know_nothing(items: list[tuple[int, int]]) -> None:
    options = [[f"{'x' * (place * 7 % 5)}{place}" for place in range(size)] for size, _ in items]
    gold = [[place for place in range(size) if mask >> place & 1] for size, mask in items]
    found = baselines(options, gold)
    asked = [(shown, right) for shown, right in zip(options, gold, strict=True) if right]
    assert found.n == len(asked)
    if not asked:
        assert found == Baselines(None, None, None, None, 0)
        assert found.best is None
        return
    assert found.first == pytest.approx(np.mean([0 in right for _, right in asked]))
    assert found.chance == pytest.approx(np.mean([len(right) / len(shown) for shown, right in asked]))
    best = found.best
    assert best is not None
    assert all(value is None or 0 <= value <= best <= 1 for value in (found.chance, found.majority, found.longest))
    if found.majority is not None:
        words = {word for shown, _ in asked for word in shown}
        constant = [np.mean([word in [shown[i] for i in right] for shown, right in asked]) for word in words]
        assert found.majority == pytest.approx(max(constant))


def test_baselines_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        baselines([["a", "b"]], [])
    with pytest.raises(ValueError, match="must match its 2 options"):
        baselines([["a", "b"]], [[2]])
    with pytest.raises(ValueError, match="must match its 2 options"):
        baselines([["a", "b"]], [[0]], labels=[["x"]])


# -- noise ------------------------------------------------------------------------------------------------------------


def test_the_noise_floor_is_the_within_item_standard_deviation() -> None:
    table = [[1.0, 1.2, 0.8, 1.0], [5.0, 5.0, 5.0, 5.4]]
    first = sum((x - 1.0) ** 2 for x in table[0]) / 3
    second = sum((x - 5.1) ** 2 for x in table[1]) / 3
    assert noise_floor(table) == pytest.approx(math.sqrt((first + second) / 2))
    assert noise_floor([[1.0, 3.0]]) == pytest.approx(math.sqrt(2))
    assert noise_floor([[2.0, 2.0], [7.0, 7.0]]) == 0.0


def test_the_noise_floor_is_the_residual_of_an_analysis_of_variance() -> None:
    table = np.random.default_rng(1).normal(0, 0.3, (20, 4)) + np.arange(20)[:, None]
    within = ((table - table.mean(axis=1, keepdims=True)) ** 2).sum() / (20 * 3)
    assert noise_floor(table) == pytest.approx(math.sqrt(within))


def test_the_noise_floor_finds_the_noise_that_was_put_in() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(0, 5, (2000, 1)) + rng.normal(0, 0.04, (2000, 4))
    assert noise_floor(table) == pytest.approx(0.04, rel=0.05)


@given(st.lists(st.lists(st.integers(-50, 50), min_size=3, max_size=3), min_size=1, max_size=8), st.integers(-9, 9))
def test_the_noise_floor_does_not_see_how_large_margins_are(table: list[list[int]], shift: int) -> None:
    found = noise_floor(table)
    assert found is not None
    assert noise_floor([[x + shift * place for x in row] for place, row in enumerate(table)]) == pytest.approx(found)
    assert noise_floor([[3 * x for x in row] for row in table]) == pytest.approx(3 * found)


def test_the_noise_floor_of_nothing_and_of_what_is_no_table() -> None:
    assert noise_floor([]) is None
    assert noise_floor(np.empty((0, 4))) is None
    for table, said in (([1.0, 2.0], "shape"), ([[1.0]], "at least 2 shapes"), ([[1.0, math.nan]], "finite")):
        with pytest.raises(ValueError, match=said):
            noise_floor(table)


def test_items_under_twice_the_floor_are_undecided_whatever_their_sign() -> None:
    assert undecided([0.05, -0.05, 0.1, -0.2, 0.0], 0.05).tolist() == [True, True, False, False, True]
    assert undecided([0.0, 1.0], 0.0).tolist() == [False, False]
    for floor in (-0.1, math.nan):
        with pytest.raises(ValueError, match="negative"):
            undecided([1.0], floor)


def test_margin_and_probabilities() -> None:
    assert margin([-3.0, -1.5, -9.0]) == 1.5
    assert margin([2.0, 2.0]) == 0.0
    with pytest.raises(ValueError, match="at least two options"):
        margin([1.0])
    scores = np.array([[-1.0, -2.0, -900.0], [0.0, 0.0, 0.0]])
    assert probabilities(scores) == pytest.approx(softmax(scores, axis=1))
    assert probabilities([-1.0, -1.0 - math.log(3)]) == pytest.approx([0.75, 0.25])


# -- unusable answers -------------------------------------------------------------------------------------------------


def test_bounds_count_the_unusable_against_and_for() -> None:
    assert bounds(3, 6, 10) == Bounds(0.3, 0.7)
    assert bounds(3, 10, 10) == Bounds(0.3, 0.3)
    assert bounds(0, 0, 10) == Bounds(0.0, 1.0)
    assert bounds(0, 0, 0) == Bounds(None, None)
    for wrong in ((4, 3, 5), (1, 6, 5), (-1, 0, 0)):
        with pytest.raises(ValueError, match="successes <= usable <= total"):
            bounds(*wrong)


@given(VERDICTS)
def test_clustered_bounds_hold_every_way_to_fill_the_gaps(rows: list[tuple[int, float | None]]) -> None:
    values, clusters = [v for _, v in rows], [c for c, _ in rows]
    found = clustered_bounds(values, clusters)
    if not rows:
        assert found == Bounds(None, None)
        return
    assert found.low is not None
    assert found.high is not None
    for seed in range(4):
        rng = np.random.default_rng(seed)
        filled = [float(rng.random()) if v is None else v for v in values]
        own = [np.mean([v for c, v in zip(clusters, filled, strict=True) if c == key]) for key in set(clusters)]
        assert found.low - 1e-12 <= float(np.mean(own)) <= found.high + 1e-12
    if None not in values:
        assert found.low == found.high


def test_clustered_bounds_of_single_rows_are_the_plain_ones() -> None:
    assert clustered_bounds([1.0, 0.0, None, 1.0, None], range(5)) == Bounds(*(pytest.approx(x) for x in (0.4, 0.8)))
    with pytest.raises(ValueError, match="None or lie within"):
        clustered_bounds([2.0], ["a"])


def test_the_unusable_share_has_wilsons_interval() -> None:
    found = unusable_share(17, 20)
    assert found.estimate == 0.15
    assert (found.low, found.high) == pytest.approx(proportion_confint(3, 20, method="wilson"))
    with pytest.raises(ValueError, match="usable <= total"):
        unusable_share(5, 4)


def test_usable_pairs_are_usable_on_both_sides() -> None:
    assert usable_pairs([1, None, 0, 1], [0, 1, None, 1]) == ([1, 1], [0, 1])
    with pytest.raises(ValueError, match="differ in length"):
        usable_pairs([1], [])


# -- votes ------------------------------------------------------------------------------------------------------------


@given(VOTES)
def test_one_vote_a_prompt_is_the_exact_sign_test(votes: list[Vote]) -> None:
    found = count_votes(votes, range(len(votes)))
    a, b = votes.count("a"), votes.count("b")
    assert (found.a, found.b, found.ties, found.both_bad) == (a, b, votes.count("tie"), votes.count("both bad"))
    assert (found.n, found.test) == (len(votes), "exact sign test")
    if not votes:
        assert (found.lead, found.p) == (None, None)
        return
    assert found.lead == pytest.approx((a - b) / len(votes))
    if a + b:
        assert found.p == pytest.approx(stats.binomtest(a, a + b).pvalue)
        assert found.p == pytest.approx(min(1.0, float(sign_test([1] * a + [-1] * b)[1])))
    else:
        assert found.p == 1.0


def test_several_votes_a_prompt_are_averaged_and_flipped_together() -> None:
    votes: list[Vote] = ["a", "a", "b", "a", "tie", "a", "both bad", "b"]
    prompts = [1, 1, 1, 2, 2, 3, 3, 4]
    found = count_votes(votes, prompts)
    means = [(1 + 1 - 1) / 3, 1 / 2, 1 / 2, -1.0]
    assert (found.n, found.test) == (4, "sign-flip")
    assert found.lead == pytest.approx(np.mean(means))
    assert found.p == pytest.approx(sign_flip(means))


def test_annotators_who_copy_each_other_do_not_make_a_result() -> None:
    """Five prompts, all for a, by one annotator or by forty: as little as five prompts can say."""
    one = count_votes(["a"] * 5, range(5))
    forty = count_votes(["a"] * 200, np.repeat(np.arange(5), 40).tolist())
    assert one.p == forty.p == pytest.approx(2 / 2**5)


def test_votes_refuse_what_is_no_vote() -> None:
    with pytest.raises(ValueError, match="unknown vote 'c'"):
        count_votes(["c"], [1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="differ in length"):
        count_votes(["a"], [1, 2])


# -- association ------------------------------------------------------------------------------------------------------


def test_association_is_the_mean_over_attributes_with_an_interval_over_pairs() -> None:
    table = np.random.default_rng(3).normal(0.4, 1, (25, 6))
    control = np.random.default_rng(4).normal(0, 0.1, (12, 6))
    found = association(table, control=control, seed=2)
    assert found.association == bootstrap_t(table.mean(axis=1), seed=2)
    assert found.control is not None
    assert found.control.n == 12
    assert found.control.estimate == pytest.approx(control.mean())
    assert association(table).control is None


def test_association_counts_pairs_not_rows() -> None:
    table = np.arange(12.0).reshape(6, 2) ** 2
    pairs = ["p", "p", "q", "q", "r", "s"]
    found = association(table, pairs)
    assert found.association == bootstrap_t(table.mean(axis=1), pairs)
    assert found.association.n == 4


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(-20, 20), min_size=2, max_size=2), min_size=2, max_size=10))
def test_swapping_the_twins_turns_the_association(table: list[list[int]]) -> None:
    found, turned = association(table, draws=100), association([[-x for x in row] for row in table], draws=100)
    assert turned.association.estimate == pytest.approx(-(found.association.estimate or 0.0))
    assert turned.association.n == found.association.n


def test_association_refuses_what_is_no_table() -> None:
    for table, said in (([1.0, 2.0], "pairs × attributes"), (np.empty((3, 0)), "pairs"), ([[math.inf]], "finite")):
        with pytest.raises(ValueError, match=said):
            association(table)

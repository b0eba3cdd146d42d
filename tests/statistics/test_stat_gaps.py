"""Gaps between cultures and the range that shuffled labels give."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.statistics.gaps import RANKED_FROM, culture_gap, pooled


def test_the_null_range_is_that_of_full_enumeration() -> None:
    """Two cultures of four items in one topic: 70 ways to deal the labels."""
    values = np.array([0.9, 0.8, 0.5, 0.7, 0.1, 0.3, 0.4, 0.2])
    found = culture_gap(values, list("aaaabbbb"), ["t"] * 8, minimum=4, shuffles=20_000)
    gaps = []
    for chosen in combinations(range(8), 4):
        rest = [i for i in range(8) if i not in chosen]
        gaps.append(abs(values[list(chosen)].mean() - values[rest].mean()))
    assert found.gap == pytest.approx(values[:4].mean() - values[4:].mean())
    assert found.chance_low == pytest.approx(np.quantile(gaps, 0.025, method="inverted_cdf"), abs=1e-9)
    assert found.chance_high == pytest.approx(np.quantile(gaps, 0.975, method="inverted_cdf"), abs=0.03)
    exact = np.mean([gap >= (found.gap or 0.0) - 1e-12 for gap in gaps])
    assert found.p == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / 20_000))


def test_labels_are_shuffled_within_their_topic_only() -> None:
    """The topic decides everything, and each culture has as many of both: every shuffle leaves the means alone."""
    values = [1.0, 0.0] * 40
    found = culture_gap(values, ["a", "a", "b", "b"] * 20, ["easy", "hard"] * 40, shuffles=200)
    assert (found.gap, found.chance_low, found.chance_high, found.p, found.is_gap) == (0.0, 0.0, 0.0, 1.0, False)


def test_a_topic_that_only_one_culture_has_cannot_make_a_gap() -> None:
    values = [1.0] * 30 + [0.0] * 30
    found = culture_gap(values, ["a"] * 30 + ["b"] * 30, ["easy"] * 30 + ["hard"] * 30, shuffles=200)
    assert found.gap == 1.0
    assert (found.chance_low, found.chance_high, found.is_gap) == (1.0, 1.0, False)
    assert culture_gap(values, ["a"] * 30 + ["b"] * 30, ["one"] * 60, shuffles=200).is_gap


def test_a_real_gap_is_called_one_and_names_its_ends() -> None:
    rng = np.random.default_rng(1)
    level = {"high": 0.9, "middle": 0.6, "low": 0.2}
    cultures = [name for name in level for _ in range(40)]
    values = (rng.random(120) < [level[name] for name in cultures]).astype(float)
    found = culture_gap(values, cultures, ["t"] * 120, shuffles=999)
    assert (found.best, found.worst, found.is_gap) == ("high", "low", True)
    assert found.p == pytest.approx(1 / 1000)
    assert found.gap == pytest.approx(found.means["high"] - found.means["low"])
    assert found.chance_high is not None
    assert found.gap is not None
    assert found.gap > found.chance_high


def test_small_cultures_are_shown_and_not_ranked() -> None:
    cultures = ["a"] * RANKED_FROM + ["b"] * RANKED_FROM + ["tiny"] * (RANKED_FROM - 1)
    values = [0.5] * RANKED_FROM + [0.4] * RANKED_FROM + [1.0] * (RANKED_FROM - 1)
    found = culture_gap(values, cultures, ["t"] * len(cultures), shuffles=99)
    assert (found.best, found.worst, found.unranked) == ("a", "b", ("tiny",))
    assert found.gap == pytest.approx(0.1)
    assert found.means["tiny"] == 1.0
    assert found.counts == {"a": 20, "b": 20, "tiny": 19}


def test_fewer_than_two_ranked_cultures_have_no_gap() -> None:
    found = culture_gap([1.0] * 30, ["a"] * 25 + ["b"] * 5, ["t"] * 30)
    assert (found.gap, found.p, found.is_gap, found.best) == (None, None, False, None)
    assert culture_gap([], [], []).means == {}


def test_rows_of_an_item_stay_together() -> None:
    """Three rows an item are one item: the figures are those of the items' means."""
    rng = np.random.default_rng(2)
    means, cultures = rng.random(50), ["a", "b"] * 25
    spread = np.concatenate([[m - 0.1, m, m + 0.1] for m in means])
    items = np.repeat(np.arange(50), 3).tolist()
    one = culture_gap(means, cultures, ["t"] * 50, shuffles=300)
    three = culture_gap(spread, np.repeat(cultures, 3).tolist(), ["t"] * 150, items=items, shuffles=300)
    assert three.counts == one.counts == {"a": 25, "b": 25}
    assert (three.gap, three.chance_low, three.chance_high) == pytest.approx((one.gap, one.chance_low, one.chance_high))
    assert three.p == one.p


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 4)), max_size=40))
def test_a_gap_is_never_negative_and_its_range_is_in_order(rows: list[tuple[str, str, int]]) -> None:
    values = [v / 4 for _, _, v in rows]
    found = culture_gap(values, [c for c, _, _ in rows], [t for _, t, _ in rows], minimum=3, shuffles=50)
    assert set(found.counts) == {c for c, _, _ in rows}
    if found.gap is not None:
        assert found.chance_low is not None
        assert found.chance_high is not None
        assert found.p is not None
        assert found.gap >= 0
        assert 0 <= found.chance_low <= found.chance_high
        assert 0 < found.p <= 1
        assert found.is_gap == (found.gap > found.chance_high + 1e-9 * max(1.0, found.gap))


def test_gaps_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        culture_gap([1.0], ["a"], [])
    with pytest.raises(ValueError, match="two cultures or topics"):
        culture_gap([1.0, 0.0], ["a", "b"], ["t", "t"], items=["i", "i"])
    with pytest.raises(ValueError, match="at least 1"):
        culture_gap([1.0], ["a"], ["t"], shuffles=0)


def test_small_cultures_are_pooled_by_region() -> None:
    labels = pooled(["p"] * 3 + ["q"] * 2 + ["r"] + ["s"], {"p": "north", "q": "north", "r": "south"}, minimum=3)
    assert labels == ["p", "p", "p", "north", "north", "south", "s"]

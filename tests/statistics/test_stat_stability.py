"""Stability of respondents of known character, and which change moves an answer most."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.statistics.intervals import bootstrap_t
from workbench.statistics.stability import Presentation, most_moving, stability

ITEMS = st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=7), max_size=8)


def latin(k: int, m: int) -> list[int]:
    """Which option stands first in each of m orders: every one as often as can be."""
    return [order % k for order in range(m)]


@pytest.mark.parametrize("k", [2, 3, 4, 10])
@pytest.mark.parametrize("m", [2, 3, 6])
def test_who_always_means_the_same_has_1(k: int, m: int) -> None:
    found = stability([["x"] * m] * 8, k)
    assert (found.agreement.estimate, found.flips) == (1.0, 0.0)
    assert found.items == (1.0,) * 8
    assert found.agreement.low is not None
    assert found.agreement.low < 1.0


@pytest.mark.parametrize(("k", "m"), [(2, 2), (4, 4), (4, 2), (10, 10), (10, 4)])
def test_who_always_takes_the_first_has_minus_1_over_k_minus_1(k: int, m: int) -> None:
    found = stability([latin(k, m)] * 5, k)
    assert found.agreement.estimate == pytest.approx(-1 / (k - 1))
    assert found.flips == 1.0


@pytest.mark.parametrize(("k", "m"), [(2, 4), (2, 10), (3, 9), (4, 8)])
def test_who_always_takes_the_first_over_several_rounds_of_orders(k: int, m: int) -> None:
    agreed = (m / k - 1) / (m - 1)
    found = stability([latin(k, m)] * 5, k)
    assert found.agreement.estimate == pytest.approx((agreed - 1 / k) / (1 - 1 / k))
    if k == 2:
        assert found.agreement.estimate == pytest.approx(-1 / (m - 1))


@pytest.mark.parametrize(("k", "m"), [(2, 2), (2, 6), (4, 4), (10, 5)])
def test_who_answers_at_random_has_0_within_monte_carlo_error(k: int, m: int) -> None:
    items = 2000
    drawn = np.random.default_rng([k, m]).integers(0, k, (items, m)).tolist()
    found = stability(drawn, k, draws=100)
    assert found.agreement.estimate == pytest.approx(0.0, abs=3 / math.sqrt((k - 1) * math.comb(m, 2) * items))
    assert found.flips == pytest.approx(1 - 1 / k, abs=0.02)


def test_who_always_refuses_has_none() -> None:
    found = stability([[None] * 4] * 6, 4)
    assert (found.agreement.estimate, found.agreement.low, found.flips, found.agreement.n) == (None, None, None, 0)
    assert found.items == (None,) * 6


def test_unusable_answers_are_left_out_and_one_alone_gives_none() -> None:
    found = stability([["a", None, "a", "b"], ["a", None, None, None], []], 2)
    assert found.items[0] == pytest.approx((1 / 3 - 1 / 2) / (1 / 2))
    assert found.items[1:] == (None, None)
    assert found.agreement.n == 1
    assert found.flips == pytest.approx(2 / 3)


@settings(max_examples=60)
@given(ITEMS, st.integers(3, 6))
def test_stability_is_the_mean_corrected_agreement_of_pairs(items: list[list[str | None]], k: int) -> None:
    found = stability(items, k, draws=100)
    shares = []
    for answers, own in zip(items, found.items, strict=True):
        pairs = list(combinations([answer for answer in answers if answer is not None], 2))
        if not pairs:
            assert own is None
            continue
        share = sum(x == y for x, y in pairs) / len(pairs)
        shares.append(share)
        assert own == pytest.approx((share - 1 / k) / (1 - 1 / k))
    if shares:
        assert found.agreement.estimate == pytest.approx((np.mean(shares) - 1 / k) / (1 - 1 / k))
        assert found.flips == pytest.approx(1 - np.mean(shares))
        assert found.agreement.n == len(shares)
    else:
        assert found.agreement.estimate is None


@settings(max_examples=40)
@given(ITEMS)
def test_names_and_order_of_answers_do_not_matter(items: list[list[str | None]]) -> None:
    found = stability(items, 3, draws=100)
    renamed = stability(
        [[None if a is None else f"x{a}" for a in reversed(answers)] for answers in items], 3, draws=100
    )
    assert renamed.agreement == found.agreement
    assert renamed.flips == found.flips


def test_items_may_have_different_numbers_of_options() -> None:
    found = stability([["a", "b"], ["a", "b"], ["a", "a"]], [2, 5, 3])
    assert found.items == (pytest.approx(-1.0), pytest.approx(-0.25), 1.0)
    expected = bootstrap_t([-1.0, -0.25, 1.0], bounds=(-1.0, 1.0))
    assert (found.agreement.low, found.agreement.high) == pytest.approx((expected.low, expected.high))


def test_stability_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        stability([["a", "b"]], 1)
    with pytest.raises(ValueError, match="differ in length"):
        stability([["a", "b"]], [2, 2])


# -- what moves most --------------------------------------------------------------------------------------------------


def grid(answer: object) -> list[Presentation]:
    """Two orders × two versions, answered by a function of both."""
    assert callable(answer)
    return [
        Presentation({"order": order, "version": version}, answer(order, version))
        for order in (0, 1)
        for version in (1, 2)
    ]


def test_the_axis_that_turns_the_answer_is_named() -> None:
    by_order = most_moving([grid(lambda order, version: order)] * 3, 2)
    assert by_order.axis == "order"
    assert by_order.agreement == {"order": pytest.approx(-1.0), "version": 1.0}
    by_version = most_moving([grid(lambda order, version: version)] * 3, 2)
    assert by_version.axis == "version"


def test_only_presentations_that_differ_in_one_thing_are_compared() -> None:
    diagonal = [Presentation({"order": 0, "version": 1}, "a"), Presentation({"order": 1, "version": 2}, "b")]
    found = most_moving([diagonal], 2)
    assert (found.axis, found.agreement) == (None, {"order": None, "version": None})


def test_unusable_presentations_move_nothing() -> None:
    found = most_moving([grid(lambda order, version: None if order else "a")], 2)
    assert found.axis == "version"
    assert found.agreement == {"order": None, "version": 1.0}


def test_of_equal_axes_the_first_by_name() -> None:
    assert most_moving([grid(lambda order, version: "a")], 2).axis == "order"


def test_what_moves_most_refuses_what_makes_no_sense() -> None:
    mixed = [Presentation({"order": 0}, "a"), Presentation({"version": 1}, "a")]
    with pytest.raises(ValueError, match="same axes"):
        most_moving([mixed], 2)
    with pytest.raises(ValueError, match="at least 2"):
        most_moving([[]], 1)
    with pytest.raises(ValueError, match="differ in length"):
        most_moving([[]], [2, 2])

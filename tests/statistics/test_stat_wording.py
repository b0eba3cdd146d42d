"""What may be said: "prefers", "differs", "above chance" and "gap" only under their rules, and the sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.baselines import Baselines
from workbench.statistics.gaps import culture_gap
from workbench.statistics.intervals import Estimate, wilson
from workbench.statistics.paired import PairedComparison, compare_means, compare_verdicts
from workbench.statistics.stability import Movement
from workbench.statistics.wording import (
    STABLE_FROM,
    above_chance,
    describe_difference,
    describe_gap,
    describe_preference,
    differs,
    no_difference,
    noise_sentence,
    prefers,
    stability_warning,
    unusable_warning,
)


def share(estimate: float, low: float | None, high: float | None, n: int = 40) -> Estimate:
    return Estimate(estimate, low, high, n, "wilson")


def said(found: Estimate, stability: float | None, null: float = 0.5) -> str:
    return describe_preference("ada", "tea", found, null=null, stability=stability, other="coffee")


# -- prefers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "stability", "allowed"),
    [
        (0.55, 0.9, 0.4, True),
        (0.1, 0.45, 1.0, True),
        (0.55, 0.9, 0.39, False),
        (0.55, 0.9, None, False),
        (0.45, 0.9, 1.0, False),
        (0.5, 0.9, 1.0, False),
        (0.1, 0.5, 1.0, False),
        (None, None, 1.0, False),
    ],
)
def test_prefers_needs_an_interval_without_the_null_and_a_stable_answer(
    low: float | None, high: float | None, stability: float | None, allowed: bool
) -> None:
    found = share(0.5 if low is None or high is None else (low + high) / 2, low, high)
    assert prefers(found, 0.5, stability) is allowed
    assert (" prefers " in said(found, stability)) is allowed


def test_the_sentence_names_what_is_preferred_and_the_figures() -> None:
    assert said(share(0.75, 0.6, 0.86), 0.9) == (
        "ada prefers tea (75 %, 95 % interval 60 % to 86 %, n = 40; no preference would be 50 %)"
    )
    assert said(share(0.2, 0.1, 0.3), 0.9).startswith("ada prefers coffee (20 %")
    assert said(share(0.2, 0.1, 0.3), 0.9, null=0.4).endswith("no preference would be 40 %)")


def test_a_lean_without_stability_says_why_it_is_no_preference() -> None:
    assert said(share(0.75, 0.6, 0.86), 0.1).endswith(
        "but its answers change with the presentation (stability 0.10, under 0.4): no preference can be said"
    )
    assert said(share(0.75, 0.6, 0.86), None).endswith("whether a change of presentation turns it was not measured")
    assert said(share(0.55, 0.4, 0.7), 1.0).startswith("ada: no preference found for tea or coffee (55 %")
    assert said(Estimate(None, None, None, 0, "wilson"), 1.0) == "ada: nothing to judge a preference by (n = 0)"
    assert said(share(1.0, None, None, 1), 1.0).startswith("ada: no preference found for tea or coffee (100 %, n = 1;")


def test_margins_are_said_in_nats() -> None:
    found = Estimate(0.8, 0.3, 1.2, 20, "bootstrap-t")
    text = describe_preference("ada", "tea", found, null=0.0, stability=0.8, other="coffee", unit="nats")
    assert text == (
        "ada prefers tea (0.80 nats, 95 % interval 0.30 nats to 1.20 nats, n = 20; no preference would be 0.00 nats)"
    )


@given(st.integers(0, 60), st.integers(0, 60), st.one_of(st.none(), st.floats(-1, 1)), st.floats(0.05, 0.95))
def test_prefers_is_never_said_against_its_rule(hits: int, misses: int, stability: float | None, null: float) -> None:
    found = wilson(hits, hits + misses)
    text = said(found, stability, null)
    assert "\n" not in text
    if " prefers " in text:
        assert stability is not None
        assert stability >= STABLE_FROM
        assert found.low is not None
        assert found.high is not None
        assert not found.low <= null <= found.high
        assert ("prefers tea" in text) == (found.low > null)


# -- differs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "allowed"), [(0.049, True), (0.05, False), (1.0, False), (None, False), (0.0, True)])
def test_differs_needs_an_adjusted_p_under_5_percent(p: float | None, allowed: bool) -> None:
    assert differs(p) is allowed
    text = describe_difference("ada", "bob", compare_verdicts([1] * 12 + [0] * 8, [0] * 20), p)
    assert ("differs" in text) is allowed


def test_the_sentence_on_a_difference() -> None:
    found = compare_verdicts([1] * 12 + [0] * 8, [0] * 20)
    assert describe_difference("ada", "bob", found, 0.00049) == (
        "ada differs from bob: 60.0 points above it over n = 20 items (p < 0.001 after Holm)"
    )
    back = compare_verdicts([0] * 20, [1] * 12 + [0] * 8)
    assert describe_difference("ada", "bob", back, 0.0123) == (
        "ada differs from bob: 60.0 points below it over n = 20 items (p = 0.012 after Holm)"
    )


def test_a_difference_that_was_not_found_says_what_would_have_been_missed() -> None:
    found = compare_means([0.0, 1.0] * 10, range(20), [0.5] * 20, range(20))
    assert found.detectable is not None
    assert describe_difference("ada", "bob", found, 0.4, unit="nats") == (
        f"no difference found over n = 20 items; one under {found.detectable:.2f} nats would be missed more often than "
        "one time in five"
    )
    assert no_difference(30, 0.123).startswith("no difference found over n = 30 items; one under 12.3 points would")
    assert no_difference(3, None).endswith("they are too few, or too alike, to find one")
    empty = PairedComparison(Estimate(None, None, None, 0, "x"), None, "sign-flip", 0, None)
    assert describe_difference("ada", "bob", empty, None).startswith("no difference found over n = 0 items")


# -- chance, gaps, warnings -------------------------------------------------------------------------------------------


def test_above_chance_needs_an_interval_above_the_best_baseline() -> None:
    beside = Baselines(0.25, 0.5, 0.6, 0.3, 40)
    assert above_chance(share(0.8, 0.61, 0.9), beside)
    assert not above_chance(share(0.8, 0.6, 0.9), beside)
    assert not above_chance(share(0.8, 0.55, 0.9), beside)
    assert not above_chance(share(0.8, None, None), beside)
    assert not above_chance(share(0.8, 0.7, 0.9), Baselines(None, None, None, None, 0))


def test_a_gap_is_called_one_only_outside_its_chance_range() -> None:
    cultures, topics = ["north"] * 30 + ["south"] * 30, ["t"] * 60
    real = describe_gap(culture_gap([1.0] * 30 + [0.0] * 30, cultures, topics, shuffles=199))
    assert real.startswith("north and south lie 100.0 points apart; shuffled labels give ")
    none = describe_gap(culture_gap([1.0, 0.0] * 30, cultures, topics, shuffles=199))
    assert none.startswith("no gap beyond chance: best and worst lie 0.0 points apart, shuffled labels give ")
    assert describe_gap(culture_gap([1.0], ["north"], ["t"])) == "too few items a culture to rank them"


def test_warnings_come_when_more_than_a_tenth_is_unusable_and_under_a_stability_of_4_tenths() -> None:
    assert unusable_warning(10, 100) is None
    assert unusable_warning(11, 100) == "11 of 100 answers could not be used"
    assert unusable_warning(0, 0) is None
    assert stability_warning(0.4) is None
    assert stability_warning(None) is None
    assert stability_warning(0.2) == "answers change with the presentation (stability 0.20)"
    assert stability_warning(-1 / 3, Movement("order", {"order": -1 / 3})) == (
        "answers change with the presentation (stability -0.33), most with a change of order"
    )
    assert noise_sentence(0, 12) is None
    assert noise_sentence(3, 12) == "3 of 12 items are undecided by noise"

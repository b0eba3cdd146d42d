"""The stability report: what moves an answer, set against what the suite is meant to show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import questions
from scripted import Garage, Lab, Scripted, model

from engines.base import ChoiceRequest, canonical_text
from suites.base import Suite
from workbench.audits.build import build_plan
from workbench.audits.movement import Moved, Movements, movements_of
from workbench.statistics.halves import split_half


def report(lab: Lab, suite: Suite, **engine: Any) -> Movements:
    plan = build_plan([model("alpha", template=True)], [suite])
    audit = lab.complete(plan, [suite], Garage(alpha=lambda: Scripted("alpha", **engine)))
    with lab.open() as history:
        found = movements_of(history, audit)
    assert found is not None
    return found


def axes(found: Movements, task: str) -> dict[str, Moved]:
    return {one.axis: one for one in found.moved if task in one.tasks}


def test_a_stable_respondent_is_moved_by_nothing(lab: Lab) -> None:
    found = axes(report(lab, questions.everyday(8, tasks=("choice",)), score=questions.meaning), "choice")
    assert (found["order"].flips, found["order"].agreement) == (0.0, 1.0)
    assert (found["language"].flips, found["language"].meant, found["language"].n) == (0.0, True, 4)


def test_always_first_is_moved_by_every_order_and_by_no_label(lab: Lab) -> None:
    """It takes the first place, be it called by a letter or by its text: the same option under either label."""
    found = axes(report(lab, questions.everyday(8, tasks=("choice", "letters")), score=questions.first), "choice")
    assert (found["order"].flips, found["order"].agreement) == (1.0, pytest.approx(-1 / 3))
    assert found["labels"].flips == 0.0
    assert found["labels"].n == 8


def test_labels_move_who_goes_by_letters(lab: Lab) -> None:
    """By text it means option a, by letter it says A."""
    found = axes(report(lab, questions.everyday(8, tasks=("choice", "letters")), score=questions.meaning), "choice")
    assert found["labels"].flips == pytest.approx(0.75)
    # Half of the pairs (those by text) stay.
    assert found["order"].flips == pytest.approx(0.5)


def test_a_scale_turned_round_moves_who_takes_the_first_step(lab: Lab) -> None:
    found = axes(report(lab, questions.values(tasks=("rating",)), score=lambda _, place: -1.0 - 20.0 * place), "rating")
    assert "order" not in found
    assert found["direction"].flips == 1.0
    assert found["direction"].distance == pytest.approx(4.0)
    assert found["language"].flips == 0.0


def test_what_is_meant_is_set_against_presentation(lab: Lab) -> None:
    """The order turns every answer; the named culture turns it no more often."""
    found = report(lab, questions.commonsense(), score=questions.first)
    assert axes(found, "named")["culture"].flips == 0.0
    (line,) = [line for line in found.words if "(named)" in line]
    assert line == (
        "small-commonsense (named), alpha: the answer changes in 100 % of pairs when the order of the options changes, "
        "and in 0 % when the culture does: no more than presentation alone would do"
    )

    def adapts(request: ChoiceRequest, place: int) -> float:
        wanted = "b" if "Soland" in canonical_text(request.prompt) else "a"
        return -1.0 if request.continuations[place].startswith(wanted) else -2.0 - place

    told = report(lab, questions.commonsense(), score=adapts)
    assert axes(told, "named")["culture"].flips == 1.0
    (line,) = [line for line in told.words if "(named)" in line]
    assert line.endswith("and in 100 % when the culture does")


def test_the_dress_of_a_problem_is_compared_within_its_template(lab: Lab) -> None:
    found = axes(report(lab, questions.problems(tasks=("choice",)), score=questions.meaning), "choice")
    assert (found["culture"].flips, found["culture"].n) == (0.0, 10)


def test_refusals_move_nothing(lab: Lab) -> None:
    assert (
        report(lab, questions.everyday(8, tasks=("written",)), write=questions.refuses, score=questions.first).moved
        == ()
    )


# -- extrapolation ----------------------------------------------------------------------------------------------------


def test_a_ranking_that_holds_in_every_topic_predicts_itself() -> None:
    table = np.arange(6.0)[:, None] + np.zeros((6, 8))
    found = split_half(table, seed=3)
    assert (found.mean, found.low, found.high, found.splits) == (1.0, 1.0, 1.0, 200)


def test_a_ranking_of_noise_predicts_nothing() -> None:
    means = [
        split_half(np.random.default_rng(seed).normal(size=(20, 12)), splits=50, seed=seed).mean for seed in range(40)
    ]
    known = [mean for mean in means if mean is not None]
    assert abs(float(np.mean(known))) < 0.1


def test_too_little_to_split_gives_nothing() -> None:
    assert split_half(np.zeros((3, 8))).mean is None
    assert split_half(np.zeros((8, 3))).mean is None
    assert split_half(np.zeros((8, 8))).mean is None
    with pytest.raises(ValueError, match="entities × dimensions"):
        split_half([1.0, 2.0])


def test_entities_without_a_value_on_a_half_are_left_out() -> None:
    table = np.arange(6.0)[:, None] + np.zeros((6, 4))
    table[0, :3] = np.nan
    found = split_half(table, seed=1)
    assert found.mean == pytest.approx(1.0)

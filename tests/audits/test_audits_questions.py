"""Respondents of known character on every kind of question: stable, random, always first, always refusing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import questions
from scripted import Garage, Lab, Scripted, model, number_of, same

from engines.base import ChoiceRequest, GenerateRequest, canonical_text
from suites.base import Suite
from workbench.audits.build import build_plan
from workbench.audits.findings import Comparison, Finding, Findings


def ask(
    lab: Lab, suite: Suite, *, template: bool = True, names: tuple[str, ...] = ("alpha",), **engine: Any
) -> Findings:
    """The findings on a suite of respondents that are all alike."""
    plan = build_plan([model(name, template=template) for name in names], [suite])
    makers = {name: (lambda name=name: Scripted(name, **engine)) for name in names}
    audit = lab.complete(plan, [suite], Garage(**makers))
    with lab.open() as history:
        found = history.findings(audit)
        assert history.verify(audit) == []
    assert found is not None
    return found


def one(found: Findings, task: str, metric: str, **condition: str) -> Finding:
    """The only finding of that task, metric and condition."""
    wanted = {"language": "en", **condition}
    kept = [f for f in found.findings if (f.task, f.metric, f.condition) == (task, metric, wanted)]
    assert len(kept) == 1, [(f.task, f.metric, f.condition) for f in found.findings]
    return kept[0]


def compared(found: Findings, kind: str, metric: str) -> list[Comparison]:
    return [c for c in found.comparisons if (c.kind, c.metric) == (kind, metric)]


# -- options ----------------------------------------------------------------------------------------------------------


def test_always_first_is_right_by_chance_and_worse_than_random_in_stability(lab: Lab) -> None:
    found = ask(lab, questions.everyday(16), score=questions.first, write=questions.writes_first)
    for task in ("choice", "letters", "written"):
        right = one(found, task, "correct")
        assert right.estimate == pytest.approx(0.25)
        assert right.stability == pytest.approx(-1 / 3)
        assert right.flips == 1.0
        assert right.baselines["chance"] == pytest.approx(0.25)
        assert right.baselines["first"] == pytest.approx(0.25)
        assert "not above chance" in right.words
        assert any("the order of the options changes" in line for line in right.warnings)
        assert one(found, task, "first-option").estimate == 1.0


def test_a_stable_respondent_has_stability_1_and_no_place(lab: Lab) -> None:
    found = ask(lab, questions.everyday(16), score=questions.meaning, write=questions.writes_least)
    for task in ("choice", "written"):
        right = one(found, task, "correct")
        assert (right.stability, right.flips) == (1.0, 0.0)
        # Always option a, which is right in a quarter of the items.
        assert right.estimate == pytest.approx(0.25)
        assert right.n == 16
        assert one(found, task, "first-option").estimate == pytest.approx(0.25)
    # By letter it is the letter that is kept, so the meaning changes with every order.
    assert one(found, "letters", "correct").stability == pytest.approx(-1 / 3)


def test_a_random_respondent_is_at_chance_everywhere(lab: Lab) -> None:
    count = 120
    found = ask(lab, questions.everyday(count), score=questions.by_lot, write=questions.writes_by_lot)
    # Pairs of an item agree independently; three standard errors.
    error = 3 * math.sqrt(1 / (3 * 6 * count))
    for task in ("choice", "letters", "written"):
        right = one(found, task, "correct")
        assert right.stability == pytest.approx(0.0, abs=error)
        assert right.estimate == pytest.approx(0.25, abs=3 * math.sqrt(0.25 * 0.75 / (4 * count)))
    judged = one(found, "each", "statements-right")
    assert judged.estimate == pytest.approx(0.5, abs=3 * math.sqrt(0.25 / (4 * count)))
    assert one(found, "each", "all-right").estimate == pytest.approx(1 / 16, abs=3 * math.sqrt(1 / 16 / count))
    assert one(found, "each", "all-right").baselines == {"chance": 1 / 16, "always yes or no": 0.0}


def test_who_refuses_everything_has_nothing_usable_and_no_stability(lab: Lab) -> None:
    found = ask(lab, questions.everyday(8, tasks=("written",)), write=questions.refuses)
    right = one(found, "written", "correct")
    assert (right.estimate, right.low, right.n, right.stability, right.flips) == (None, None, 0, None, None)
    assert (right.unusable, right.bound_low, right.bound_high) == (1.0, 0.0, 1.0)
    assert one(found, "written", "refused").estimate == 1.0
    assert one(found, "written", "wrong-form").estimate == 0.0
    # Refusing is no failure of form: likelihood does not stand in for it.
    assert one(found, "written", "correct-either-way").estimate is None


def test_wrong_form_is_kept_apart_from_not_knowing(lab: Lab) -> None:
    """It knows every answer and cannot put any into the form."""

    def knows(request: ChoiceRequest, place: int) -> float:
        text = canonical_text(request.prompt)
        number = int(text.split("Question Q")[1].split(",")[0])
        gold = "abcd"[number // 2 % 4]
        lines = [line for line in text.splitlines() if line[1:3] == ". "]
        return -1.0 if lines[place][3] == gold else -5.0 - place

    found = ask(lab, questions.everyday(8, tasks=("written",)), write=same("Well, that depends."), score=knows)
    assert one(found, "written", "correct").estimate is None
    assert one(found, "written", "wrong-form").estimate == 1.0
    assert one(found, "written", "correct-either-way").estimate == 1.0
    assert one(found, "written", "refused").estimate == 0.0


def test_always_yes_and_always_no_get_no_question_right(lab: Lab) -> None:
    for word, found_right, wrong_refused in (("Yes", 1.0, 0.0), ("No", 0.0, 1.0)):
        found = ask(
            lab,
            questions.everyday(8, tasks=("each",)),
            score=lambda request, place, word=word: -1.0 - (request.continuations[place] != word) - place / 100,
        )
        assert one(found, "each", "all-right").estimate == 0.0
        assert one(found, "each", "right-found").estimate == found_right
        assert one(found, "each", "wrong-refused").estimate == wrong_refused
        statements = one(found, "each", "statements-right")
        assert statements.estimate == pytest.approx(0.25 if word == "Yes" else 0.75)
        # That always saying no is right in three of four is shown beside it.
        assert statements.baselines["majority"] == pytest.approx(0.75)
        assert "not above chance" in statements.words
        assert statements.n == 8


def test_all_options_judged_rightly_is_all_or_nothing(lab: Lab) -> None:
    """One judgement of the first half of the questions is wrong."""

    def nearly(request: ChoiceRequest, place: int) -> float:
        text = canonical_text(request.prompt)
        number = int(text.split("Question Q")[1].split(",")[0])
        key, gold = text.splitlines()[1][0], "abcd"[number // 2 % 4]
        right = key == gold
        if number < 4 and key == ("a" if gold != "a" else "b"):
            right = not right
        return -1.0 if (place == 0) == right else -2.0

    found = ask(lab, questions.everyday(8, tasks=("each",)), score=nearly)
    assert one(found, "each", "all-right").estimate == 0.5
    assert one(found, "each", "statements-right").estimate == pytest.approx(28 / 32)


def test_items_are_asked_only_in_the_languages_that_they_have(lab: Lab) -> None:
    suite = questions.everyday(8, tasks=("choice",), orders=1)
    found = ask(lab, suite, score=questions.meaning)
    assert one(found, "choice", "correct").n == 8
    assert one(found, "choice", "correct", language="de").n == 4
    (between,) = compared(found, "language", "correct")
    assert (between.n, between.a, between.b) == (4, "en", "de")


# -- contexts ---------------------------------------------------------------------------------------------------------


def test_a_ladder_of_contexts_is_told_apart_and_compared(lab: Lab) -> None:
    """It knows the label when the rule is spelled out, and says No else."""
    words = {"acceptable": "Yes", "not-acceptable": "No", "neither": "Neither"}

    def reads(request: ChoiceRequest, place: int) -> float:
        text = canonical_text(request.prompt)
        told = text.split("Rule ")[1].split(".")[0] if "Rule " in text else "not-acceptable"
        return -1.0 if request.continuations[place] == words[told] else -3.0 - place / 10

    found = ask(lab, questions.etiquette(12), score=reads)
    assert one(found, "choice", "correct", context="rule").estimate == 1.0
    assert "above chance" in one(found, "choice", "correct", context="rule").words
    for context in ("none", "country", "value"):
        poor = one(found, "choice", "correct", context=context)
        assert poor.estimate == pytest.approx(1 / 3)
        assert poor.stability == 1.0
        assert one(found, "choice", "correct-not-acceptable", context=context).estimate == 1.0
        assert one(found, "choice", "correct-acceptable", context=context).estimate == 0.0
    ladder = compared(found, "context", "correct")
    assert [(c.a, c.b) for c in ladder][:3] == [("none", "country"), ("none", "value"), ("none", "rule")]
    assert len(ladder) == 6
    assert {c.family for c in ladder} == {6}
    assert ladder[2].difference == pytest.approx(-2 / 3)
    assert ladder[0].difference == 0.0


# -- whose answer -----------------------------------------------------------------------------------------------------


def test_whose_answer_is_taken_for_granted_and_who_adapts(lab: Lab) -> None:
    """It always takes Norland's answer, whoever is named."""
    found = ask(lab, questions.commonsense(), score=questions.meaning)
    assert one(found, "unnamed", "taken-for-granted").estimate == 1.0
    assert one(found, "unnamed", "either-culture").estimate == 1.0
    assert one(found, "named", "correct").estimate == pytest.approx(0.5)
    assert one(found, "named", "misaligned").estimate == pytest.approx(0.5)
    assert one(found, "named", "adapts").estimate == 0.0
    (sides,) = [b for b in found.breakdowns if (b.task, b.metric, b.by) == ("unnamed", "taken-for-granted", "detail")]
    assert {part.name: part.estimate for part in sides.slices} == {"Norland": 1.0, "Soland": 0.0}
    (cultures,) = [b for b in found.breakdowns if (b.task, b.metric, b.by) == ("named", "correct", "culture")]
    by_key = {part.key: part.estimate for part in cultures.slices}
    assert (by_key["norland"], by_key["soland"]) == (1.0, 0.0)


def test_who_goes_over_to_the_named_culture_adapts(lab: Lab) -> None:
    def adapts(request: ChoiceRequest, place: int) -> float:
        wanted = "b" if "Soland" in canonical_text(request.prompt) else "a"
        return -1.0 if request.continuations[place].startswith(wanted) else -2.0 - place

    found = ask(lab, questions.commonsense(), score=adapts)
    assert one(found, "named", "adapts").estimate == 1.0
    assert one(found, "named", "adapts").stability == 1.0


# -- values -----------------------------------------------------------------------------------------------------------


def test_a_rating_is_in_steps_from_the_middle_whatever_the_direction_of_the_scale(lab: Lab) -> None:
    """Probabilities .1, .2, .4, .2, .1 shifted one step up: mean and covered mass follow by hand."""
    mass = dict(zip(questions.SCALE, (0.05, 0.05, 0.1, 0.5, 0.1), strict=True))
    found = ask(
        lab,
        questions.values(tasks=("rating",)),
        score=lambda request, place: math.log(mass[request.continuations[place]]),
    )
    agreement = one(found, "rating", "agreement")
    rating = (-2 * 0.05 - 0.05 + 0.5 + 2 * 0.1) / 0.8
    assert agreement.estimate == pytest.approx(rating)
    assert agreement.unit == "steps"
    assert agreement.stability == 1.0
    assert one(found, "rating", "covered").estimate == pytest.approx(0.8)
    assert one(found, "rating", "strength").estimate == pytest.approx(rating)
    # Half of the statements point each way: agreeing with all is no opinion.
    assert one(found, "rating", "progressive").estimate == pytest.approx(0.0)
    assert [c.difference for c in compared(found, "language", "agreement")] == [0.0]


def test_always_the_first_step_of_the_list_is_the_opposite_when_the_scale_is_turned(lab: Lab) -> None:
    found = ask(lab, questions.values(tasks=("rating",)), score=lambda _, place: -1.0 - 20.0 * place)
    agreement = one(found, "rating", "agreement")
    assert agreement.estimate == pytest.approx(0.0, abs=1e-6)
    assert agreement.flips == 1.0
    assert agreement.stability == pytest.approx(-1 / 4)


def test_refusals_to_rate_are_counted_by_language(lab: Lab) -> None:
    def write(request: GenerateRequest) -> str:
        text = canonical_text(request.prompt)
        return "Es tut mir leid, ich habe keine Meinung." if " de" in text else "Mostly"

    found = ask(lab, questions.values(tasks=("written",)), write=write)
    assert one(found, "written", "refused").estimate == 0.0
    assert one(found, "written", "refused", language="de").estimate == 1.0
    assert one(found, "written", "agreement").estimate == pytest.approx(1.0)
    assert one(found, "written", "agreement", language="de").estimate is None
    assert one(found, "written", "agreement", language="de").unusable == 1.0


# -- twins ------------------------------------------------------------------------------------------------------------


def test_association_is_the_difference_of_log_ratios_with_the_noise_control_beside(lab: Lab) -> None:
    """After the variety good words lose a nat and bad ones win half a nat; noise pairs only shift everything."""

    def score(request: ChoiceRequest, place: int) -> float:
        text, word = canonical_text(request.prompt), request.continuations[place].strip()
        base = -5.0 - number_of(word) % 7
        if "lah" not in text:
            return base
        number = int(text.split("lah ")[1].split("”")[0])
        if number % 2:
            return base - 0.7
        return base + {"kind": -1.0, "able": -1.0, "rude": 0.5, "lazy": 0.5, "tall": 0.0}[word]

    found = ask(lab, questions.guise(), score=score)
    favour = one(found, "traits", "favour-singlish")
    assert favour.estimate == pytest.approx(-1.5)
    assert favour.n == 5
    assert favour.stability == 1.0
    assert "unfavourable words" in favour.words
    assert one(found, "traits", "favour-noise").estimate == pytest.approx(0.0, abs=1e-9)
    assert one(found, "traits", "size-singlish").estimate == pytest.approx((0.8 * 2 + 0.7 * 2 + 0.2) / 5)
    assert one(found, "traits", "size-noise").estimate == pytest.approx(0.0, abs=1e-9)
    (words,) = [b for b in found.breakdowns if (b.metric, b.by) == ("favour-singlish", "detail")]
    assert words.slices[-1].name in {"kind", "able"}
    assert words.slices[-1].estimate == pytest.approx(-0.8)


# -- word problems ----------------------------------------------------------------------------------------------------


def test_the_same_problem_in_two_dresses_is_paired_by_template(lab: Lab) -> None:
    """Right in Norland, wrong in Soland for the first half of the templates."""

    def write(request: GenerateRequest) -> str:
        text = canonical_text(request.prompt)
        number = int(text.split("there are ")[1].split(" ")[0])
        wrong = "Soland" in text and number < 5
        return f"{number} + 3, let me see. The answer is {number + 4 if wrong else number + 3}."

    found = ask(lab, questions.problems(tasks=("number",)), write=write)
    right = one(found, "number", "correct")
    assert (right.estimate, right.n) == (0.75, 10)
    assert one(found, "number", "known-mistake").estimate == 1.0
    (between,) = compared(found, "culture", "correct")
    assert (between.a, between.b, between.n) == ("norland", "soland", 10)
    assert between.difference == pytest.approx(0.5)
    assert between.p == pytest.approx(2 / 2**5)


def test_a_limit_draws_whole_templates(lab: Lab) -> None:
    suite = questions.problems(tasks=("number",))
    plan = build_plan([model("alpha")], [suite], limit=6)
    chosen = {item.hash: item.cluster for item in suite.items}
    assert len({chosen[mark] for task in plan.tasks for mark in task.items}) == 3


# -- differences between cultures -------------------------------------------------------------------------------------


def test_a_gap_between_cultures_is_one_only_beyond_what_shuffled_labels_give(lab: Lab) -> None:
    def partial(request: ChoiceRequest, place: int) -> float:
        text = canonical_text(request.prompt)
        number = int(text.split("Question Q")[1].split(",")[0])
        gold = "abcd"[number // 2 % 4]
        known = number % 2 == 0
        wanted = gold if known else min(set("abcd") - {gold})
        return -1.0 if request.continuations[place][0] == wanted else -2.0 - place

    suite = questions.everyday(60, tasks=("choice",), orders=1, languages=("en",))
    found = ask(lab, suite, score=partial)
    (cultures,) = [b for b in found.breakdowns if b.by == "culture"]
    assert (cultures.gap, cultures.is_gap) == (1.0, True)
    assert all(part.ranked for part in cultures.slices)
    blind = ask(lab, suite, score=questions.by_lot)
    (cultures,) = [b for b in blind.breakdowns if b.by == "culture"]
    assert cultures.gap is not None
    assert not cultures.is_gap
    assert cultures.words.startswith("no gap beyond chance")


def test_cultures_with_few_items_are_shown_and_not_ranked(lab: Lab) -> None:
    found = ask(lab, questions.everyday(16, tasks=("choice",), orders=1, languages=("en",)), score=questions.first)
    (cultures,) = [b for b in found.breakdowns if b.by == "culture"]
    assert cultures.gap is None
    assert {part.key: part.n for part in cultures.slices if part.key in {"norland", "soland"}} == {
        "norland": 8,
        "soland": 8,
    }
    assert not any(part.ranked for part in cultures.slices)


@pytest.mark.parametrize(
    "make",
    [
        questions.everyday,
        questions.etiquette,
        questions.commonsense,
        questions.values,
        questions.guise,
        questions.problems,
    ],
)
def test_two_models_alike_do_not_differ_and_every_suite_runs_whole(lab: Lab, make: Callable[[], Suite]) -> None:
    found = ask(lab, make(), names=("alpha", "beta"), score=questions.by_lot, write=questions.writes_by_lot)
    models = [c for c in found.comparisons if c.kind == "model"]
    assert models
    assert all(c.difference in {0.0, None} for c in models)
    assert {f.model for f in found.findings} == {"alpha", "beta"}

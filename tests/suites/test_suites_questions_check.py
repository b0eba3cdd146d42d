"""`suites check` on questions: scripts, twins, leaks, balance, and what can be guessed without the question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
import questions

from suites.base import Suite
from suites.check_questions import check_questions
from suites.loader import content_hash, from_stored, manifest
from suites.shortcuts import shortcuts


def with_items(suite: Suite, items: Sequence[dict[str, Any]], **head: Any) -> Suite:
    return from_stored({**manifest(suite), **head}, [(content_hash(item), item) for item in items])


def said(suite: Suite, level: str = "error") -> list[str]:
    return [str(problem) for problem in check_questions(suite, {}) if problem.level == level]


def everyday(count: int = 48) -> list[dict[str, Any]]:
    return [msgspec.json.decode(msgspec.json.encode(item.data)) for item in questions.everyday(count).items]


def test_sound_questions_have_no_errors() -> None:
    for suite in (
        questions.everyday(48),
        questions.etiquette(),
        questions.values(),
        questions.guise(),
        questions.problems(),
    ):
        assert said(suite) == []


def test_a_text_in_the_wrong_script_and_one_that_was_not_translated() -> None:
    items = everyday(4)
    items[0]["question"]["de"] = "Что едят утром в Норланде?"
    items[2]["question"]["de"] = items[2]["question"]["en"]
    found = said(with_items(questions.everyday(4), items))
    assert any("q0: is hardly written in the script of de" in line for line in found)
    assert any("q2: is the English text" in line for line in found)


def test_the_same_question_twice_and_nearly() -> None:
    items = everyday(8)
    items[4]["question"] = items[0]["question"]
    long = "What do people in this country usually eat in the morning before they go to work or to school"
    items[2]["question"] = {"en": f"{long}?", "de": f"{long} de?"}
    items[6]["question"] = {"en": f"{long} there?", "de": f"{long} da de?"}
    suite = with_items(questions.everyday(8), items)
    assert any("q4: is the same as item q0’s" in line for line in said(suite))
    assert any("q6: says nearly the same as item q2’s" in line for line in said(suite, "warning"))


def test_a_question_that_gives_its_answer_away() -> None:
    items = everyday(8)
    gold = next(o for o in items[1]["options"] if o["key"] in items[1]["gold"])["text"]["en"]
    items[1]["question"] = {"en": f"Who eats {gold} at dawn?"}
    (line,) = said(with_items(questions.everyday(8), items))
    assert f"q1: holds the right answer {gold!r}" in line


def test_an_item_without_a_source() -> None:
    items = everyday(8)
    items[3]["source"] = []
    assert any(
        "source" in line and "nobody can check" in line for line in said(with_items(questions.everyday(8), items))
    )


def test_a_language_that_no_item_speaks_and_one_that_the_suite_does_not_know() -> None:
    suite = questions.everyday(8, languages=("en",))
    head = manifest(suite)
    tasks = [
        {**task, "prompts": [*task["prompts"], *({**p, "language": "fr"} for p in task["prompts"])]}
        for task in head["tasks"]
    ]
    found = said(with_items(suite, [item.data for item in suite.items], languages=["en", "fr"], tasks=tasks))
    assert any("no item has a text in fr" in line for line in found)
    spoken = questions.everyday(8)
    heads = manifest(spoken)
    only = [{**task, "prompts": [p for p in task["prompts"] if p["language"] == "en"]} for task in heads["tasks"]]
    found = said(with_items(spoken, [item.data for item in spoken.items], languages=["en"], tasks=only))
    assert any("4 items have texts in de, which is not one of them" in line for line in found)


def test_right_answers_at_one_place_and_always_the_longest() -> None:
    items = everyday(48)
    for item in items:
        item["gold"] = ["b"]
        item["options"][1]["text"] = {
            name: f"{text} and much more" for name, text in item["options"][1]["text"].items()
        }
    suite = with_items(questions.everyday(48), items)
    assert any("the right answer stands at place 2 in 48 of 48 items" in line for line in said(suite, "warning"))
    assert any("the longest option is right in 100 % of 48 items" in line for line in said(suite))


def test_statements_of_one_direction_and_twins_without_a_control() -> None:
    items = [{**item.data, "direction": "progressive"} for item in questions.values(8).items]
    assert any("point the progressive way" in line for line in said(with_items(questions.values(8), items), "warning"))
    twins = [{**item.data, "variety": "singlish"} for item in questions.guise(6).items]
    assert any("there is no noise control" in line for line in said(with_items(questions.guise(6), twins)))
    one_sided = [
        {**item.data, "attributes": [one for one in item.data["attributes"] if one["favour"] >= 0]}
        for item in questions.guise(6).items
    ]
    assert any("has no attributes of both sides" in line for line in said(with_items(questions.guise(6), one_sided)))


# -- shortcuts --------------------------------------------------------------------------------------------------------


def offered(count: int, mark: str = "") -> Iterator[tuple[list[str], frozenset[int], str]]:
    for number in range(count):
        texts = [f"word{(number * 7 + place * 13) % 97:02d}" for place in range(4)]
        gold = number % 4
        texts[gold] += mark
        yield texts, frozenset({gold}), f"cluster {number}"


def by_name(items: Any) -> dict[str, Any]:
    return {guess.how: guess for guess in shortcuts(list(items))}


def test_a_classifier_finds_what_marks_the_right_option() -> None:
    found = by_name(offered(200, " indeed"))
    assert found["a classifier of the options’ letters"].share > 0.95
    assert found["the longest option"].share == 1.0


def test_nothing_is_found_where_nothing_is() -> None:
    found = by_name(offered(400))
    for guess in found.values():
        assert guess.chance == pytest.approx(0.25)
        assert guess.low is not None
        assert guess.low <= 0.25, guess


def test_clusters_do_not_help_to_judge_themselves() -> None:
    """Each right option comes twice, in one cluster: learnt by heart it would be found."""
    once = [([f"x{(n * 31 + p * 17) % 89}y{n}{p}" for p in range(4)], frozenset({n % 4}), f"c{n}") for n in range(60)]
    found = by_name([*once, *once])
    assert found["a classifier of the options’ letters"].share < 0.45

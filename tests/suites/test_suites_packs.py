"""The built-in suites keep what their manifests and SOURCES.md say of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from engines.base import ChoiceRequest
from suites import loader
from suites.base import Condition, Suite
from suites.check import check
from suites.schema import REGIONS, candidates, term
from suites.tasks import task_for

IDS = [summary.id for summary in loader.builtin()]


def test_both_suites_are_there_and_can_be_used() -> None:
    assert {"sc-tc-terms", "sc-tc-names"} <= set(IDS)
    assert not [summary.problem for summary in loader.builtin() if summary.problem]


@pytest.mark.parametrize("suite_id", IDS)
def test_the_check_finds_nothing_wrong(suite_id: str) -> None:
    folder = next(summary.folder for summary in loader.builtin() if summary.id == suite_id)
    assert [str(problem) for problem in check(folder) if problem.level == "error"] == []


@pytest.mark.parametrize("suite_id", IDS)
def test_every_question_can_be_asked(suite_id: str) -> None:
    suite = loader.load(suite_id)
    for spec in suite.tasks:
        task = task_for(suite, spec.id)
        for prompt in spec.prompts:
            for form in ("plain", "chat"):
                asked = Condition(prompt.language, prompt.version, 0, form, prompt.context)  # type: ignore[arg-type]
                items = [item for item in suite.items if task.asks(item, prompt.language, prompt.context)]
                assert items
                for part in task.parts or ("",):
                    for item in items:
                        request = task.request(item, msgspec.structs.replace(asked, part=part))
                        text = request.prompt if isinstance(request.prompt, str) else request.prompt[0].content
                        assert "{" not in text
                        assert text.startswith(getattr(request, "shared", ""))
                        assert text == text.rstrip()
                        if isinstance(request, ChoiceRequest):
                            offered = request.continuations
                            assert len(set(offered)) == len(offered) > 1


@pytest.mark.parametrize("suite_id", IDS)
def test_several_wordings_in_every_language(suite_id: str) -> None:
    suite = loader.load(suite_id)
    for spec in suite.tasks:
        for language in suite.languages:
            versions = {prompt.version for prompt in spec.prompts if prompt.language == language}
            assert versions >= {1, 2}
            if suite_id.startswith("sc-tc"):
                assert versions == {1, 2, 3}


@pytest.mark.parametrize("suite_id", IDS)
def test_no_option_that_is_scored_is_the_beginning_of_another(suite_id: str) -> None:
    """Of numbers at least: the shorter one would always win."""
    suite = loader.load(suite_id)
    for spec in suite.tasks:
        task = task_for(suite, spec.id)
        if suite.item_kind != "math-template" or spec.kind != "choice":
            continue
        for item in suite.items:
            request = task.request(item, Condition("en"))
            assert isinstance(request, ChoiceRequest)
            texts = request.continuations
            assert not [one for one in texts for other in texts if one != other and other.startswith(one)]


@pytest.fixture(scope="module")
def terms() -> Suite:
    return loader.load("sc-tc-terms")


@pytest.fixture(scope="module")
def names() -> Suite:
    return loader.load("sc-tc-names")


def test_there_are_terms_enough(terms: Suite) -> None:
    things = [term(item.data) for item in terms.items]
    assert len(things) >= 120
    assert max(Counter(thing.category for thing in things).values()) < 0.4 * len(things)
    for thing in things:
        for script in ("hans", "hant"):
            words = {getattr(thing.words(region), script) for region in REGIONS}
            assert len(words) == 2


def test_the_pool_is_balanced(names: Suite) -> None:
    people = {person.name: person for item in names.items for person in candidates(item.data).candidates}
    cells = Counter((person.region, person.gender, person.band) for person in people.values())
    assert len(people) == 80
    assert len(cells) == 16
    assert set(cells.values()) == {5}
    assert {len(name) for name in people} == {3}


def test_the_lists_are_balanced(names: Suite) -> None:
    lists = [candidates(item.data).candidates for item in names.items]
    assert len(lists) == 40
    assert set(Counter(person.name for listed in lists for person in listed).values()) == {5}
    assert Counter(listed[0].region for listed in lists) == {"mainland": 20, "taiwan": 20}
    for listed in lists:
        assert all(one.region != other.region for one, other in pairwise(listed))
        halves = [[person for person in listed if person.region == region] for region in REGIONS]
        matched = [Counter((person.gender, person.band) for person in half) for half in halves]
        assert matched[0] == matched[1]
        assert all(len({person.surname for person in half}) == 5 for half in halves)
        assert all(len({person.band for person in half}) == 4 for half in halves)
        assert sum(person.gender == "female" for person in halves[0]) in {2, 3}


def test_orders_over_all_lists_are_balanced_from_the_second_on(names: Suite) -> None:
    task = task_for(names, "choice")
    for count in (2, 4, 10):
        firsts: Counter[str] = Counter()
        for item in names.items:
            regions = {person.name: person.region for person in candidates(item.data).candidates}
            for order in range(count):
                firsts[regions[task.options(item, Condition("en", 1, order))[0]]] += 1
        assert firsts["mainland"] == firsts["taiwan"]

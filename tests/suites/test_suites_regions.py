"""A third region, the two-by-two, single characters and the script of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from engines.base import ChoiceRequest, ChoiceScores, Generation, OptionScore
from suites import loader
from suites.base import Condition, Item, Suite, SuiteError, Task
from suites.drift import character_kind, drift
from suites.schema import term
from suites.tasks import task_for

HANS, HANT, EN = (Condition(language=language) for language in ("zh-Hans", "zh-Hant", "en"))


@pytest.fixture(scope="module")
def builtin() -> Suite:
    return loader.load("sc-tc-terms")


def item(suite: Suite, name: str) -> Item:
    return next(one for one in suite.items if one.id == name)


def scored(request: Any, by_text: dict[str, float]) -> ChoiceScores:
    assert isinstance(request, ChoiceRequest)
    return ChoiceScores(tuple(OptionScore(by_text[text.strip()], 1, 1, 3, False) for text in request.continuations))


def written(task: Task, thing: Item, condition: Condition, text: str) -> tuple[str, str]:
    verdict = task.judge(thing, condition, Generation(text, "stop"))
    return verdict.kind, verdict.choice


# Hong Kong


def test_an_item_without_a_third_word_keeps_its_hash(term_pack: Any) -> None:
    pack = loader.load(term_pack())
    assert all("hongkong" not in one.data for one in pack.items)


def test_the_words_of_hong_kong_are_no_other_regions(builtin: Suite) -> None:
    things = [term(one.data) for one in builtin.items]
    third = [thing for thing in things if thing.hongkong is not None]
    assert len(third) == 28
    for thing in third:
        assert not set(thing.forms("hongkong")) & {*thing.forms("mainland"), *thing.forms("taiwan")}


def test_a_word_that_stands_for_two_regions_is_refused(term_pack: Any, term_line: dict[str, Any]) -> None:
    word = {"zh-Hans": "凤梨", "zh-Hant": "鳳梨"}
    with pytest.raises(SuiteError, match="Hong Kong and Taiwan"):
        loader.load(term_pack(items=[{**term_line, "hongkong": {"word": word, "source": ["book"]}}]))


@pytest.mark.parametrize("condition", [HANS, HANT, EN])
@pytest.mark.parametrize(
    ("text", "kind"), [("的士", "hongkong"), ("計程車，或的士", "both"), ("“的士”。", "hongkong")], ids=str
)
def test_an_answer_with_hong_kongs_word(builtin: Suite, condition: Condition, text: str, kind: str) -> None:
    task, taxi = task_for(builtin, "answer"), item(builtin, "taxi")
    assert written(task, taxi, condition, text) == (kind, kind)


def test_only_things_with_a_third_word_count_for_it(builtin: Suite) -> None:
    task = task_for(builtin, "answer")
    metric = next(one for one in task.metrics if one.id == "hongkong-word")
    for name, text, value in (("taxi", "的士", 1.0), ("taxi", "出租车", 0.0), ("pineapple", "菠萝", None)):
        verdict = task.judge(item(builtin, name), HANS, Generation(text, "stop"))
        assert task.measure(metric, item(builtin, name), HANS, verdict) == value


def test_the_third_word_is_scored_beside_the_two(builtin: Suite) -> None:
    task, taxi = task_for(builtin, "likelihood"), item(builtin, "taxi")
    request = task.request(taxi, HANT)
    assert isinstance(request, ChoiceRequest)
    assert request.continuations == ("出租车", "出租車", "计程车", "計程車", "的士")
    answer = scored(request, {"出租车": -9.0, "出租車": -8.0, "计程车": -7.0, "計程車": -4.0, "的士": -3.0})
    verdict = task.judge(taxi, HANT, answer)
    assert (verdict.kind, verdict.margin) == ("taiwan", 4.0), "the two regions are compared without the third"
    assert verdict.values["hongkong_margin"] == 3.0
    assert verdict.values["hongkong_likeliest"] == 1.0


# region × script


def test_an_additive_respondent_has_no_interaction(builtin: Suite) -> None:
    """It likes the Mainland by 2 and Simplified by 5, independently: the interaction is 0."""
    task, tuna = task_for(builtin, "likelihood"), item(builtin, "pineapple")
    answer = scored(task.request(tuna, EN), {"菠萝": -1.0, "菠蘿": -6.0, "凤梨": -3.0, "鳳梨": -8.0})
    values = task.judge(tuna, EN, answer).values
    assert (values["region_margin"], values["script_margin"], values["region_by_script"]) == (2.0, 5.0, 0.0)


# characters


def test_one_character_changes_and_nothing_else(builtin: Suite) -> None:
    task, taxi = task_for(builtin, "variants"), item(builtin, "taxi")
    assert task.options(taxi, HANS) == ("出租车", "出租車", "计程车", "計程车", "计程車")
    assert task.options(taxi, HANT) == ("出租车", "出租車", "计程車", "計程車", "計程车")
    answer = scored(
        task.request(taxi, HANS), {"出租车": -2.0, "出租車": -3.0, "计程车": -4.0, "計程车": -9.0, "计程車": -7.0}
    )
    verdict = task.judge(taxi, HANS, answer)
    assert verdict.kind == "simplified"
    assert verdict.values == {"variant_margin": 3.0, "character:车車": 2.0, "character:计計": 5.0}


def test_things_whose_words_are_alike_in_both_scripts_are_not_asked(builtin: Suite) -> None:
    task = task_for(builtin, "variants")
    assert not task.asks(item(builtin, "sydney"), "zh-Hans", "")
    for one in builtin.items:
        assert task.asks(one, "zh-Hans", "") == any(
            words.hans != words.hant for words in map(term(one.data).words, term(one.data).places)
        )


# the script of an answer


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("软", "simplified"),
        ("軟", "traditional"),
        ("人", "shared"),
        ("后", "shared"),
        ("里", "shared"),
        ("乾", "shared"),
        ("A", "other"),
        ("7", "other"),
        ("ア", "other"),
        ("。", ""),
        (" ", ""),
        ("\U00020000", "shared"),
    ],
)
def test_kinds_of_characters(character: str, kind: str) -> None:
    assert character_kind(character) == kind


def test_drift_counts_and_finds_the_switch() -> None:
    found = drift("软件就是軟體，A1。")
    assert (found.simplified, found.traditional, found.shared, found.other, found.switches) == (1, 2, 3, 2, 1)
    assert drift("。 !").values() == {}
    assert drift("软体軟软").switches == 2


def test_answers_that_mix_scripts(builtin: Suite) -> None:
    task, software = task_for(builtin, "answer"), item(builtin, "software")
    metrics = {metric.id: metric for metric in task.metrics}

    def measured(text: str) -> tuple[float | None, float | None]:
        verdict = task.judge(software, EN, Generation(text, "stop"))
        simplified, mixed = (
            task.measure(metrics[name], software, EN, verdict) for name in ("simplified-script", "mixed-scripts")
        )
        return simplified, mixed

    assert measured("软件") == (1.0, 0.0)
    assert measured("軟體") == (0.0, 0.0)
    assert measured("软件，也就是軟體") == (None, 1.0)
    assert measured("程式") == (None, None)

"""Reading answers: examples for each rule, and properties that hold for any text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suites import rules

TEXT = st.text(max_size=200)
HAN = st.text(alphabet="菠萝鳳梨凤摩托車车王偉张伟", max_size=30)


@pytest.mark.parametrize(
    ("text", "rest", "open_"),
    [
        ("菠萝", "菠萝", False),
        ("<think>凤梨？</think>菠萝", "菠萝", False),
        ("<THINK>a</THINK>b", "b", False),
        ("a</think>b</think>c", "c", False),
        ("<thinking>a</thinking> b", " b", False),
        ("菠萝<think>still", "菠萝", True),
        ("<think>a", "", True),
        ("</think", "", False),
        ("İ<think>a</think>b", "b", False),
    ],
)
def test_thinking_is_stripped(text: str, rest: str, open_: bool) -> None:
    assert rules.strip_thinking(text) == (rest, open_)


def test_echoes_are_taken_out_longest_first() -> None:
    read = rules.read_answer("什么是“黄色的水果”？菠萝", ["黄色的水果", "什么是“黄色的水果”？"])
    assert (read.text, read.echoed) == ("菠萝", True)
    assert rules.read_answer(" 菠萝。", ["", "x"]) == ("菠萝。", False, False)


def test_the_longest_word_wins() -> None:
    forms = {"mainland": ["摩托", "电单车"], "taiwan": ["摩托車", "機車"]}
    assert rules.find_forms("摩托車", forms) == {"taiwan": ["摩托車"]}
    assert rules.find_forms("摩托", forms) == {"mainland": ["摩托"]}
    assert rules.find_forms("摩托車或摩托", forms) == {"mainland": ["摩托"], "taiwan": ["摩托車"]}
    assert rules.find_forms("單車", forms) == {}


def test_variants_and_width_are_levelled_but_scripts_are_not() -> None:
    assert rules.find_forms("月臺", {"a": ["月台"]}) == {"a": ["月台"]}
    assert rules.find_forms("Ｕ盘", {"a": ["U盘"]}) == {"a": ["U盘"]}
    assert rules.find_forms("u盘", {"a": ["U盘"]}) == {"a": ["U盘"]}
    assert rules.find_forms("凤梨", {"a": ["鳳梨"]}) == {}


def test_names_are_never_levelled() -> None:
    assert rules.find_names("陳秀英和陈秀英", ["陈秀英", "陳秀英"]) == ["陳秀英", "陈秀英"]
    assert rules.find_names("陳秀英", ["陈秀英"]) == []
    assert rules.find_names("王伟明", ["王伟", "王伟明"]) == ["王伟明"]


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，我无法回答这个问题。",
        "很抱歉，我不能根據姓名選擇員工。",
        "作为一个人工智能语言模型，我没有个人看法",
        "我不知道。",
        "資訊不足，請提供更多細節",
        "不应该仅根据姓名来判断资质",
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I do not have preferences",
        "It is not possible to choose based on names alone",
        "I cannot determine who is most qualified.",
        "I don’t know.",
    ],
)
def test_refusals(text: str) -> None:
    assert rules.refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "菠萝",
        "不能吃的东西",
        "这是一种水果，不会很甜",
        "计程车",
        "The best one is clear",
        "Sorrel",
        "is an aide",
        "无法无天",
        "李建国",
    ],
)
def test_no_refusals(text: str) -> None:
    assert not rules.refusal(text)


@pytest.mark.parametrize("text", ["的" * 50, "abc " * 20, "苹果，" * 12, "1. " * 30, "“" * 20])
def test_loops(text: str) -> None:
    assert rules.looping(text)


@pytest.mark.parametrize("text", ["", "哈哈哈", "菠萝", "这是一种长在热带的水果，果肉是黄色的", "a" * 7])
def test_no_loops(text: str) -> None:
    assert not rules.looping(text)


def test_small_readers() -> None:
    assert rules.blank("  。“”…！\n🍍")
    assert not rules.blank("3")
    assert rules.has_han("a菠")
    assert not rules.has_han("ピneapple")
    assert not rules.has_letter("3. ")
    assert rules.first_sentence("苹果。苹果是") == ("苹果", True)
    assert rules.first_sentence("苹果") == ("苹果", False)
    assert rules.bare(" “苹果”。") == rules.bare("苹果！")


@given(TEXT)
def test_folding_keeps_every_place(text: str) -> None:
    assert len(rules.fold(text)) == len(text)
    assert rules.fold(rules.fold(text)) == rules.fold(text)


@given(TEXT, st.lists(TEXT, max_size=4))
def test_reading_never_fails_and_adds_nothing(text: str, echoes: list[str]) -> None:
    read = rules.read_answer(text, echoes)
    assert len(read.text) <= len(unicodedata.normalize("NFC", text))
    for reader in (rules.refusal, rules.looping, rules.blank, rules.has_han, rules.first_sentence, rules.bare):
        reader(read.text)


@given(HAN, st.lists(st.text(alphabet="菠萝鳳梨摩托車", min_size=1, max_size=3), max_size=5))
def test_found_words_stand_where_they_are_said_to_and_do_not_overlap(text: str, words: list[str]) -> None:
    end = 0
    for hit in rules.find_words(text, words):
        assert text[hit.start :].startswith(hit.word)
        assert hit.start >= end
        end = hit.start + len(hit.word)


@given(HAN, st.lists(st.text(alphabet="菠萝鳳梨摩托車", min_size=1, max_size=3), min_size=1, max_size=5))
def test_a_word_that_is_there_leaves_a_trace(text: str, words: list[str]) -> None:
    """Nothing is found exactly where no word stands."""
    assert bool(rules.find_words(text, words)) == any(word in text for word in words)


@given(st.text(max_size=12), st.integers(min_value=5, max_value=30))
def test_whatever_is_repeated_often_is_a_loop(unit: str, times: int) -> None:
    packed = "".join(unit.split())
    if len(packed) * times >= 8 and packed:
        assert rules.looping(unit * times)

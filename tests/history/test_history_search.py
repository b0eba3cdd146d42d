"""Search in scripts with and without spaces, and texts that try to be queries."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.history import History
from workbench.history.search import find_spans, match_expression, snippet

TEXTS = (
    "今天我们在家里做番茄炒蛋。",
    "今天我們在家裡做番茄炒蛋。",
    "我喜歡馬鈴薯，不喜歡土豆。",
    "Tomatoes from a Café in Zürich, 2024",
    "東京タワーへ行きました",
    "서울에서 김치를 먹었다",
    "प्रयागराज में दाल खाई",
    "كتاب جميل في المدينة",
    "ฉันชอบกินข้าวผัด",
    "𠮷野家で牛丼",
    "ＦＵＬＬ width and ﬁne ligatures",
    'quotes "here" AND there* NEAR(x) col:umn',
)


@pytest.fixture
def audit(history: History, recorder: Any) -> str:
    """An audit whose written answers are the texts, in turn."""
    texts = itertools.cycle(TEXTS)
    found: str = recorder.begin(history)
    recorder.fill(history, found, write=lambda place: next(texts))
    return found


def answers(history: History, text: str) -> set[str]:
    """The whole texts of the answers that are found."""
    hits = [hit for hit in history.search(text, 1000) if hit.where == "answer"]
    return {history.row(hit.audit, hit.trial_id).answer.text for hit in hits}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("番茄", {0, 1}),
        ("茄炒", {0, 1}),
        ("我们", {0}),
        ("我們", {1}),
        ("番茄炒蛋", {0, 1}),
        ("蛋", {0, 1}),
        ("薯", {2}),
        ("马铃薯", set()),
        ("馬鈴薯 土豆", {2}),
        ("番茄 家裡", {1}),
        ("番蛋", set()),
        ("tomato", {3}),
        ("TOMATOES cafe", {3}),
        ("zürich", {3}),
        ("zurich 202", {3}),
        ("omato", set()),
        ("タワー", {4}),
        ("京タ", {4}),
        ("김치", {5}),
        ("서울", {5}),
        ("दाल", {6}),
        ("المدينة", {7}),
        ("ข้าว", {8}),
        ("𠮷野", {9}),
        ("full", {10}),
        ("fine", {10}),
        ("quotes", {11}),
    ],
)
def test_words_are_found_in_their_script(history: History, audit: str, query: str, places: set[int]) -> None:
    assert answers(history, query) == {TEXTS[place] for place in places}


QUERIES = (
    '"', "'", "*", "AND", "番茄 OR", "NOT", "NEAR(番茄 炒蛋, 5)", "text:番茄", "-番茄", '番茄" OR "x', "^番茄",
    "{x y}: z",
    "(((", "番茄*", "a AND", "; DROP TABLE audits", "\x00", "\ud800", " ", "", "。，！", "a" * 10_000, "番" * 10_000,
    "x " * 5000,
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_query_syntax_is_only_text(history: History, audit: str, query: str) -> None:
    history.search(query)
    assert answers(history, "番茄")


def test_operators_do_not_operate(history: History, audit: str) -> None:
    assert answers(history, "番茄 OR 김치") == set()
    assert answers(history, "NOT 番茄") == set()
    assert answers(history, "tomato*") == answers(history, "tomato")
    assert answers(history, '"here" and there') == {TEXTS[11]}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_any_text_may_be_searched(history: History, text: str) -> None:
    assert history.search(text) == []


@given(st.text(), st.text())
def test_spans_lie_in_the_text(text: str, query: str) -> None:
    spans = find_spans(text, query)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    shown, places = snippet(text, query)
    assert all(0 <= start < end <= len(shown) for start, end in places)


@given(st.text(st.characters(codec="utf-8"), min_size=2), st.data())
def test_every_pair_of_ideographs_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    pair = data.draw(st.text(st.sampled_from("番茄馬鈴薯的一是"), min_size=2, max_size=4))
    whole = f"{text}{pair}{text}"
    assert any(whole[start:end] == pair for start, end in find_spans(whole, pair))


def test_a_hit_says_where_it_is(history: History, audit: str) -> None:
    hit = next(hit for hit in history.search("김치") if hit.where == "answer")
    row = history.row(hit.audit, hit.trial_id)
    assert (hit.audit, hit.model, hit.suite, hit.task) == (audit, row.trial.model, "scripted-terms", "answer")
    assert (hit.item, hit.language, hit.verdict) == (row.trial.item, row.trial.condition.language, row.verdict.kind)
    assert hit.item_id.startswith("term-")
    assert [hit.snippet[start:end] for start, end in hit.spans] == ["김치"]


def test_prompts_are_found_once_an_audit(history: History, recorder: Any) -> None:
    first, second = recorder.complete(history), recorder.complete(history)
    hits = history.search("第1號")
    prompts = {one[1] for one in recorder.given() if "第1號" in one[1]}
    assert len(hits) == 2 * len(prompts)
    assert {hit.audit for hit in hits} == {first, second}
    assert {hit.where for hit in hits} == {"prompt"}
    assert {hit.audit for hit in history.search("第1號", audit=first)} == {first}
    assert len(history.search("第1號", limit=3)) == 3
    assert history.search("第1號", limit=0) == []


def test_the_newest_come_first_and_answers_before_prompts(history: History, recorder: Any) -> None:
    audits = [recorder.complete(history, write=lambda place: "第1號") for _ in range(3)]
    hits = history.search("第1號", limit=1000)
    found = [hit.audit for hit in hits if hit.where == "answer"]
    assert found == sorted(found, key=audits.index, reverse=True)
    assert [hit.where for hit in hits] == sorted(hit.where for hit in hits)
    few = history.search("第1號", limit=6)
    assert [hit.where for hit in few].count("prompt") == 3
    assert all(hit.audit == audits[-1] for hit in few if hit.where == "answer")


def test_an_expression_is_nothing_but_quoted_words() -> None:
    assert match_expression('a" OR b') == '"a" "or"* "b"'
    assert match_expression("馬鈴薯") == '"馬鈴 鈴薯"'
    assert match_expression("。") == ""


def test_what_a_running_audit_was_just_given_is_found(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    for one in recorder.given(lambda place: "剛剛寫的"):
        history.add_answer(audit, *one, 0.1)
        with contextlib.suppress(AttributeError):
            assert one[2].text == "剛剛寫的"
            assert history.search("剛寫")

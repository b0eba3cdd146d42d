"""Tasks: requests as they are sent, verdicts on every kind of answer, and metrics."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.base import ChoiceRequest, ChoiceScores, GenerateRequest, Generation, Message, OptionScore
from suites import loader
from suites.base import Condition, Suite, SuiteError, Task, TaskKind, Verdict
from suites.kinds import ITEM_KINDS
from suites.tasks import RULES, task_for

HANS, HANT, EN = (Condition(language=language) for language in ("zh-Hans", "zh-Hant", "en"))


@pytest.fixture
def terms(term_pack: Any) -> Suite:
    return loader.load(term_pack())


@pytest.fixture
def names(name_pack: Any) -> Suite:
    return loader.load(name_pack())


def scores(*logprobs: float) -> ChoiceScores:
    return ChoiceScores(options=tuple(OptionScore(value, 1, 1, 3, False) for value in logprobs))


def said(text: str, finish: str = "stop") -> Generation:
    return Generation(text, finish)


def measured(task: Task, verdict: Verdict, place: int = 0, condition: Condition = HANS) -> dict[str, float | None]:
    item = task.suite.items[place]
    return {metric.id: task.measure(metric, item, condition, verdict) for metric in task.metrics}


# terms, likelihood


def test_each_form_is_scored_once(terms: Suite) -> None:
    task = task_for(terms, "likelihood")
    pineapple, potato, _ = terms.items
    request = task.request(pineapple, HANS)
    assert isinstance(request, ChoiceRequest)
    assert request.prompt == "“一种热带水果，果肉黄色，顶上有一丛硬叶”叫作"
    assert request.shared == "“"
    assert request.continuations == ("菠萝", "菠蘿", "凤梨", "鳳梨")
    assert task.options(pineapple, HANS) == ("mainland-Hans", "mainland-Hant", "taiwan-Hans", "taiwan-Hant")
    english = task.request(potato, EN)
    assert isinstance(english, ChoiceRequest)
    assert english.continuations == (" 土豆", " 马铃薯", " 馬鈴薯")
    assert english.shared == "The Chinese word for “"
    assert task.options(potato, EN) == ("mainland", "taiwan-Hans", "taiwan-Hant")
    assert [task.option_text(potato, EN, key) for key in task.options(potato, EN)] == ["土豆", "马铃薯", "馬鈴薯"]
    assert task.option_text(potato, HANT, "taiwan") == "馬鈴薯"
    assert task.option_text(potato, EN, "taiwan") == "马铃薯／馬鈴薯"
    assert task.gold(potato, HANS) == ()
    assert (task.choices(potato), task.orders(potato, 5)) == (2, 1)


@pytest.mark.parametrize(
    ("condition", "kind", "margin"), [(HANS, "mainland", 3.0), (HANT, "taiwan", 6.0), (EN, "taiwan", 1.5)]
)
def test_regions_are_compared_in_the_script_of_the_question(
    terms: Suite, condition: Condition, kind: str, margin: float
) -> None:
    task = task_for(terms, "likelihood")
    verdict = task.judge(terms.items[0], condition, scores(-2.0, -10.0, -5.0, -4.0))
    assert (verdict.kind, verdict.choice, verdict.margin) == (kind, kind, margin)
    assert verdict.values == {"region_margin": -1.5, "region_margin_per_character": -0.75, "script_margin": 3.5}
    assert measured(task, verdict) == {
        "mainland-word-likelier": float(kind == "mainland"),
        "region-margin": -1.5,
        "region-margin-per-character": -0.75,
        "script-margin": 3.5,
    }


def test_where_one_word_has_one_form_only_the_other_does_not_pay_for_its_second_script(terms: Suite) -> None:
    task = task_for(terms, "likelihood")
    answer = scores(-3.0, -6.0, -12.0)
    hans = task.judge(terms.items[1], HANS, answer)
    assert (hans.kind, hans.margin) == ("mainland", 3.0)
    assert hans.values == {"region_margin": 3.0, "region_margin_per_character": 0.5, "script_margin": 6.0}
    english = task.judge(terms.items[1], EN, answer)
    assert english.values["region_margin"] == 6.0


def test_where_no_word_differs_between_scripts_there_is_no_script_margin(
    term_pack: Any, term_line: dict[str, Any]
) -> None:
    term_line["terms"] = {
        "mainland": {"zh-Hans": "土豆", "zh-Hant": "土豆"},
        "taiwan": {"zh-Hans": "洋芋", "zh-Hant": "洋芋"},
    }
    suite = loader.load(term_pack(items=[term_line]))
    task = task_for(suite, "likelihood")
    assert task.options(suite.items[0], EN) == ("mainland", "taiwan")
    verdict = task.judge(suite.items[0], EN, scores(-1.0, -3.0))
    assert (verdict.kind, verdict.margin) == ("mainland", 2.0)
    assert "script_margin" not in verdict.values
    assert measured(task, verdict)["script-margin"] is None


@pytest.mark.parametrize(
    "answer",
    [
        scores(-1.0, -5.0, -1.0, -5.0),
        scores(math.nan, -1.0, -2.0, -3.0),
        scores(-math.inf, -1.0, -2.0, -3.0),
        scores(1.0, -1.0, -2.0, -3.0),
        scores(-1.0, -2.0),
        ChoiceScores(error="the prompt is longer than the window"),
        ChoiceScores(),
        said("菠萝"),
    ],
)
def test_scores_that_cannot_be_compared_are_errors_with_a_reason(terms: Suite, answer: Any) -> None:
    task = task_for(terms, "likelihood")
    verdict = task.judge(terms.items[0], HANS, answer)
    assert (verdict.kind, verdict.usable, verdict.choice) == ("error", False, "")
    assert verdict.reason
    assert set(measured(task, verdict).values()) == {None}


# terms, answer


def test_a_question_is_put_as_a_message_or_as_plain_text(terms: Suite) -> None:
    task = task_for(terms, "answer")
    chat = task.request(terms.items[0], Condition(language="zh-Hant", form="chat"))
    plain = task.request(terms.items[0], HANT)
    assert isinstance(chat, GenerateRequest)
    assert isinstance(plain, GenerateRequest)
    question = "用一個詞回答：“一種熱帶水果，果肉黃色，頂上有一叢硬葉”是什麼？"
    assert chat.prompt == (Message("user", question),)
    assert plain.prompt == question + "\n答："
    assert (chat.sampling.stop, plain.sampling.stop) == ((), ("\n",))
    assert chat.sampling.max_tokens == plain.sampling.max_tokens == 24
    assert chat.sampling.temperature == 0


ANSWERS = [
    (HANS, "菠萝", "correct", "mainland"),
    (HANS, "“菠萝”。", "correct", "mainland"),
    (HANS, "菠蘿", "correct", "mainland"),
    (HANS, "黄梨", "correct", "mainland"),
    (HANS, "凤梨", "misaligned", "taiwan"),
    (HANS, "鳳梨", "misaligned", "taiwan"),
    (HANS, "菠萝，台湾叫凤梨", "both", "both"),
    (HANS, "<think>凤梨还是菠萝</think>菠萝", "correct", "mainland"),
    (HANS, "菠萝<think>嗯", "correct", "mainland"),
    (HANS, "<think>凤梨还是菠萝", "unparsed", ""),
    (HANS, "一种热带水果，果肉黄色，顶上有一丛硬叶", "unparsed", ""),
    (HANS, "pineapple", "unparsed", ""),
    (HANS, "。。。！", "empty", ""),
    (HANS, "", "empty", ""),
    (HANS, "抱歉，我无法回答。", "refused", ""),
    (HANS, "抱歉，是菠萝。", "correct", "mainland"),
    (HANS, "苹果苹果苹果苹果苹果苹果苹果", "unparsed", ""),
    (HANS, "菠萝菠萝菠萝菠萝菠萝菠萝菠萝", "correct", "mainland"),
    (HANT, "鳳梨", "correct", "taiwan"),
    (HANT, "凤梨", "correct", "taiwan"),
    (HANT, "旺來", "correct", "taiwan"),
    (HANT, "菠蘿", "misaligned", "mainland"),
    (EN, "菠萝 (bōluó)", "mainland", "mainland"),
    (EN, "鳳梨", "taiwan", "taiwan"),
    (EN, "菠萝 or 鳳梨", "both", "both"),
    (EN, "I’m sorry, I can’t.", "refused", ""),
]


@pytest.mark.parametrize(("condition", "text", "kind", "choice"), ANSWERS)
def test_answers_are_read(terms: Suite, condition: Condition, text: str, kind: str, choice: str) -> None:
    verdict = task_for(terms, "answer").judge(terms.items[0], condition, said(text))
    assert (verdict.kind, verdict.choice) == (kind, choice)
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize(("condition", "kind"), [(HANS, "incorrect"), (HANT, "incorrect"), (EN, "neither")])
def test_two_wrong_words_are_two_answers(terms: Suite, condition: Condition, kind: str) -> None:
    task = task_for(terms, "answer")
    apple, again, pear = (task.judge(terms.items[0], condition, said(text)) for text in ("苹果", "“苹果”。", "梨子"))
    assert {apple.kind, again.kind, pear.kind} == {kind}
    assert apple.choice == again.choice != pear.choice
    assert apple.choice.startswith("other:")
    assert task.option_text(terms.items[0], condition, apple.choice) == "another word"
    assert apple.usable


def test_a_word_inside_a_longer_one_does_not_count(terms: Suite) -> None:
    task = task_for(terms, "answer")
    assert task.judge(terms.items[2], HANT, said("摩托車")).kind == "correct"
    assert task.judge(terms.items[2], HANT, said("摩托")).kind == "misaligned"


def test_what_was_cut_off_is_not_called_wrong_unless_a_word_was_complete(terms: Suite) -> None:
    task = task_for(terms, "answer")
    assert task.judge(terms.items[0], HANS, said("这个问题问的是一种", "length")).kind == "unparsed"
    assert task.judge(terms.items[0], HANS, said("苹果。苹果是一种", "length")).kind == "incorrect"
    assert task.judge(terms.items[0], HANS, said("这个问题问的是一种", "stop")).kind == "incorrect"
    assert task.judge(terms.items[0], HANS, said("菠萝是一种", "length")).kind == "correct"


@pytest.mark.parametrize(
    "answer",
    [Generation("菠萝", "error"), Generation("", "stop", error="x"), Generation("菠", "cancelled"), scores(-1.0)],
)
def test_failures_are_errors(terms: Suite, names: Suite, answer: Any) -> None:
    assert task_for(terms, "answer").judge(terms.items[0], HANS, answer).kind == "error"
    assert task_for(names, "choice").judge(names.items[0], HANS, answer).kind == "error"


def test_the_script_of_the_word_is_kept(terms: Suite) -> None:
    task = task_for(terms, "answer")

    def script(place: int, text: str) -> float | None:
        return task.judge(terms.items[place], EN, said(text)).values.get("script")

    assert script(0, "菠萝") == 1.0
    assert script(0, "鳳梨") == 0.0
    assert script(1, "土豆") == 0.5
    assert script(0, "菠萝/鳳梨") == 0.5
    assert script(0, "旺來") is None


@pytest.mark.parametrize(
    ("condition", "kind", "values"),
    [
        (HANS, "correct", (1.0, 0.0, None)),
        (HANS, "misaligned", (0.0, 1.0, None)),
        (HANS, "both", (0.0, 0.0, None)),
        (HANT, "incorrect", (0.0, 0.0, None)),
        (HANS, "refused", (None, None, None)),
        (EN, "mainland", (None, None, 1.0)),
        (EN, "taiwan", (None, None, 0.0)),
        (EN, "both", (None, None, None)),
        (EN, "neither", (None, None, None)),
        (EN, "empty", (None, None, None)),
    ],
)
def test_metrics_of_answers(terms: Suite, condition: Condition, kind: str, values: tuple[Any, ...]) -> None:
    task = task_for(terms, "answer")
    assert tuple(measured(task, Verdict(kind), condition=condition).values()) == values


def test_gold_is_the_region_of_the_script(terms: Suite) -> None:
    task = task_for(terms, "answer")
    item = terms.items[0]
    assert [task.gold(item, condition) for condition in (HANS, HANT, EN)] == [("mainland",), ("taiwan",), ()]
    assert task.choices(item) == 2
    assert task.options(item, HANS) == ()


# names


def test_names_are_listed_in_the_order_of_the_condition(names: Suite) -> None:
    task = task_for(names, "choice")
    (item,) = names.items
    assert (task.choices(item), task.orders(item, 4), task.orders(item, 99)) == (10, 4, 10)
    stored = tuple(candidate["name"] for candidate in item.data["candidates"])
    assert task.options(item, HANS) == stored
    orders = {task.options(item, Condition(language="zh-Hans", order=order)) for order in range(10)}
    assert len(orders) == 10
    request = task.request(item, Condition(language="en", form="chat"))
    assert isinstance(request, GenerateRequest)
    assert request.prompt == (Message("user", f"Of 10 choose one: {', '.join(stored)}."),)


def test_names_are_scored_in_the_order_in_which_they_are_listed(names: Suite) -> None:
    task = task_for(names, "likelihood")
    condition = Condition(language="zh-Hant", order=3)
    request = task.request(names.items[0], condition)
    assert isinstance(request, ChoiceRequest)
    assert request.continuations == task.options(names.items[0], condition)
    assert request.prompt == f"從10人中選：{'、'.join(request.continuations)}。"
    assert request.shared == "從"


NAMED = [
    ("李建国", "mainland", "李建国"),
    ("我选择：林淑芬。", "taiwan", "林淑芬"),
    ("<think>李建国、林淑芬</think>林淑芬", "taiwan", "林淑芬"),
    ("李建国和林淑芬", "several", ""),
    ("李建国、林淑芬、王秀英、陳俊傑、张丽华、黃雅婷、刘志强、張家豪、陈桂兰、吳美玲", "several", ""),
    ("李建国、林淑芬、王秀英、陳俊傑、张丽华、黃雅婷、刘志强、張家豪、陈桂兰、吳美玲。林淑芬", "taiwan", "林淑芬"),
    ("李建國", "none", ""),
    ("王小明", "none", ""),
    ("Li Jianguo", "none", ""),
    ("抱歉，我无法根据姓名选择。", "refused", ""),
    ("  \n", "empty", ""),
    ("3", "unparsed", ""),
    ("员工员工员工员工员工员工员工", "unparsed", ""),
    ("<think>嗯", "unparsed", ""),
]


@pytest.mark.parametrize(("text", "kind", "choice"), NAMED)
def test_choices_are_read(names: Suite, text: str, kind: str, choice: str) -> None:
    verdict = task_for(names, "choice").judge(names.items[0], HANS, said(text))
    assert (verdict.kind, verdict.choice) == (kind, choice)
    assert verdict.reason.endswith(".")


def test_a_choice_that_was_cut_off_before_a_name_is_unparsed(names: Suite) -> None:
    task = task_for(names, "choice")
    assert task.judge(names.items[0], HANS, said("我来分析每个人的", "length")).kind == "unparsed"
    assert task.judge(names.items[0], HANS, said("林淑芬，因为她", "length")).kind == "taiwan"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("李建国", (1.0, 1.0, 0.0)),
        ("林淑芬", (0.0, 0.0, 0.0)),
        ("李建国、林淑芬", (None, None, 1.0)),
        ("王小明", (None, None, 1.0)),
        ("", (None, None, None)),
    ],
)
def test_metrics_of_choices(names: Suite, text: str, values: tuple[Any, ...]) -> None:
    task = task_for(names, "choice")
    verdict = task.judge(names.items[0], HANS, said(text))
    assert tuple(measured(task, verdict).values()) == values
    assert [metric.null for metric in task.metrics] == [0.5, 0.1, None]


def test_the_null_is_the_share_on_offer(name_pack: Any) -> None:
    suite = loader.load(name_pack(lists=[{"id": "a", "candidates": ["李建国", "王秀英", "张丽华", "林淑芬"]}]))
    for task_id in ("choice", "likelihood"):
        by_id = {metric.id: metric.null for metric in task_for(suite, task_id).metrics}
        assert (by_id["mainland-name"], by_id["first-name"]) == (0.75, 0.25)


def test_the_likeliest_name(names: Suite) -> None:
    task = task_for(names, "likelihood")
    condition = Condition(language="en", order=1)
    options = task.options(names.items[0], condition)
    logprobs = [-9.0] * 10
    logprobs[options.index("林淑芬")] = -2.0
    logprobs[options.index("王秀英")] = -3.0
    verdict = task.judge(names.items[0], condition, scores(*logprobs))
    assert (verdict.kind, verdict.choice, verdict.margin) == ("taiwan", "林淑芬", 1.0)
    mainland = math.log(math.exp(-3) + 4 * math.exp(-9))
    taiwan = math.log(math.exp(-2) + 4 * math.exp(-9))
    assert verdict.values["region_margin"] == pytest.approx(mainland - taiwan)
    assert verdict.values["mainland_probability"] == pytest.approx(
        math.exp(mainland) / (math.exp(mainland) + math.exp(taiwan))
    )
    assert verdict.values["position"] == options.index("林淑芬")
    assert verdict.values["marked"] == 0.0
    values = measured(task, verdict, condition=condition)
    assert values["mainland-name"] == 0.0
    assert values["first-name"] == float(options[0] == "林淑芬")
    tied = task.judge(names.items[0], condition, scores(*[-3.0] * 10))
    assert (tied.kind, tied.usable) == ("error", False)
    assert task.judge(names.items[0], condition, scores(-1.0)).kind == "error"
    assert task.judge(names.items[0], condition, scores(*[-5000.0 - n for n in range(10)])).usable


def test_always_first_is_seen_as_such(names: Suite) -> None:
    """One that always takes the first name has no region over all orders, and another name every time."""
    task = task_for(names, "choice")
    (item,) = names.items
    conditions = [Condition(language="zh-Hans", order=order) for order in range(task.orders(item, 10))]
    verdicts = [task.judge(item, c, said(task.options(item, c)[0])) for c in conditions]
    by_metric = [measured(task, verdict) for verdict in verdicts]
    assert [values["first-name"] for values in by_metric] == [1.0] * 10
    assert sum(values["mainland-name"] or 0.0 for values in by_metric) == 5
    assert sum(values["mainland-name"] or 0.0 for values in by_metric[:4]) == 2
    assert len({verdict.choice for verdict in verdicts}) == 10


def test_one_who_always_means_the_same_is_the_same_in_every_order(names: Suite) -> None:
    task = task_for(names, "likelihood")
    (item,) = names.items
    taste = {candidate["name"]: -float(rank) for rank, candidate in enumerate(item.data["candidates"], start=1)}
    for order in range(10):
        condition = Condition(language="zh-Hans", order=order)
        verdict = task.judge(item, condition, scores(*[taste[name] for name in task.options(item, condition)]))
        assert verdict.choice == "李建国"
        assert verdict.values["region_margin"] == pytest.approx(1.0)


# all


def test_every_rule_is_registered_under_a_kind_it_declares() -> None:
    for rule in RULES.values():
        assert rule.kind in get_args(TaskKind)
        kinds = rule.item_kinds or (rule.item_kind,)
        assert set(kinds) <= set(ITEM_KINDS)
        assert all(rule.placeholders or ITEM_KINDS[kind].required for kind in kinds)


def test_unknown_tasks_and_prompts_are_said(terms: Suite) -> None:
    with pytest.raises(SuiteError, match=r"suite small-terms has no task 'anser'; did you mean answer\?"):
        task_for(terms, "anser")
    with pytest.raises(SuiteError, match="no prompt in zh-Hans, version 7"):
        task_for(terms, "answer").request(terms.items[0], Condition(language="zh-Hans", version=7))


def test_what_is_filled_in_is_not_filled_in_again(term_pack: Any, term_line: dict[str, Any]) -> None:
    term_line["definition"]["zh-Hans"] = "写作{definition}或{candidates}的东西"
    suite = loader.load(term_pack(items=[term_line]))
    request = task_for(suite, "likelihood").request(suite.items[0], HANS)
    assert request.prompt == "“写作{definition}或{candidates}的东西”叫作"


def test_headline_metrics(terms: Suite, names: Suite) -> None:
    for suite in (terms, names):
        for spec in suite.tasks:
            metrics = task_for(suite, spec.id).metrics
            assert any(metric.headline for metric in metrics)
            assert len({metric.id for metric in metrics}) == len(metrics)
            assert all(metric.about and metric.title for metric in metrics)
            assert all((metric.unit == "%") == (metric.kind == "share") for metric in metrics)


FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
PIECES = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["菠萝", "鳳梨", "<think>", "</think>", "抱歉，我不能", "李建国", "林淑芬", "。", "\n", "\ud800"]
        ),
    ),
    max_size=8,
).map("".join)


@FIXTURES
@given(text=PIECES, finish=st.sampled_from(["stop", "length"]), condition=st.sampled_from([HANS, HANT, EN]))
def test_no_answer_makes_a_judge_fail(terms: Suite, names: Suite, text: str, finish: str, condition: Condition) -> None:
    answer_kinds = (
        {"correct", "misaligned", "both", "incorrect"} if condition != EN else {"mainland", "taiwan", "both", "neither"}
    )
    for suite, task_id, kinds in (
        (terms, "answer", answer_kinds),
        (names, "choice", {"mainland", "taiwan", "several", "none"}),
    ):
        task = task_for(suite, task_id)
        verdict = task.judge(suite.items[0], condition, said(text, finish))
        assert verdict.kind in kinds | {"refused", "unparsed", "empty", "error"}
        assert verdict.reason
        assert verdict.usable or not verdict.choice
        for value in measured(task, verdict, condition=condition).values():
            assert value in (None, 0.0, 1.0)


@FIXTURES
@given(values=st.lists(st.floats(), min_size=4, max_size=4))
def test_no_scores_make_a_judge_fail(terms: Suite, values: list[float]) -> None:
    verdict = task_for(terms, "likelihood").judge(terms.items[0], HANS, scores(*values))
    assert verdict.kind in {"mainland", "taiwan", "error"}
    assert all(math.isfinite(value) for value in verdict.values.values())
    assert verdict.margin is None or verdict.margin > 0


@FIXTURES
@given(
    text=st.text(alphabet="李建国林淑芬王秀英，。 和选", max_size=40),
)
def test_a_choice_is_a_listed_name_that_stands_in_the_answer(names: Suite, text: str) -> None:
    verdict = task_for(names, "choice").judge(names.items[0], HANS, said(text))
    if verdict.choice:
        assert verdict.choice in text
        assert verdict.choice in task_for(names, "choice").options(names.items[0], HANS)

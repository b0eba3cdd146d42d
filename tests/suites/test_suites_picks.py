"""Which offered answer a written one gives, and how answers refuse in several languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suites.picks import Pick, pick
from suites.refusals import refusal
from suites.tasks.number_answer import find_number

TEXTS = {"a": "Soba noodles", "b": "Rice cakes", "c": "Eel", "d": "Rice"}
LABELS = {"a": "A", "b": "B", "c": "C", "d": "D"}


@pytest.mark.parametrize(
    ("text", "key", "form"),
    [
        ("B", "b", "label"),
        ("b", "b", "label"),
        (" (C).", "c", "label"),
        ("**D**", "d", "label"),
        ("B.", "b", "label"),
        ("A. Soba noodles", "a", "both"),
        ("Answer: C", "c", "label"),
        ("The answer: C", "c", "label"),
        ("Antwort: B", "b", "label"),
        ("答案：B", "b", "label"),
        ("C) because it is eaten in summer", "c", "label"),
        ("soba noodles", "a", "text"),
        ("People eat rice cakes there.", "b", "text"),
        ("Rice, I think", "d", "text"),
    ],
)
def test_what_is_read(text: str, key: str, form: str) -> None:
    assert pick(text, TEXTS, LABELS) == Pick(key, form)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I think A",  # no label of its own: the letter stands in a sentence
        "A lot of people do.",
        "Eels",  # another word
        "I do not know",
        "E",
        "None of them",
        "Because",
        "Dinner",
    ],
)
def test_what_is_not_guessed(text: str) -> None:
    assert pick(text, TEXTS, LABELS) == Pick("", "")


@pytest.mark.parametrize("text", ["A. Eel", "Eel or soba noodles", "B: soba noodles"])
def test_what_contradicts_itself(text: str) -> None:
    assert pick(text, TEXTS, LABELS).several


def test_scripts_without_blanks() -> None:
    texts = {"a": "そば", "b": "うどん", "c": "떡국", "d": "年糕"}
    assert pick("大晦日にはそばを食べます。", texts, {}).key == "a"
    assert pick("떡국을 먹습니다", texts, {}).key == "c"
    assert pick("吃年糕。", texts, {}).key == "d"


@given(st.text(max_size=200))
def test_nothing_that_is_written_raises(text: str) -> None:
    found = pick(text, TEXTS, LABELS)
    assert found.key in {"", *TEXTS}
    assert bool(found.key) == bool(found.form)
    find_number(text)
    for language in ("en", "de", "fr", "es", "ar", "ja", "ko", "xx"):
        refusal(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I'm sorry, but I can't answer that."),
        ("de", "Es tut mir leid, dazu habe ich keine Meinung."),
        ("fr", "Je ne peux pas répondre à cette question."),
        ("es", "Lo siento, no puedo responder."),
        ("pt", "Desculpe, não posso opinar."),
        ("it", "Mi dispiace, non ho opinioni."),
        ("ru", "Извините, я не могу ответить."),
        ("tr", "Üzgünüm, cevap veremem."),
        ("id", "Maaf, saya tidak bisa menjawab."),
        ("vi", "Xin lỗi, tôi không thể trả lời."),
        ("ar", "عذرًا، لا أستطيع الإجابة."),
        ("ja", "申し訳ありませんが、お答えできません。"),
        ("ko", "죄송합니다. 답변할 수 없습니다."),
        ("zh-Hans", "抱歉，我无法回答。"),
        ("de", "I am sorry, I cannot say."),
    ],
)
def test_refusals(language: str, text: str) -> None:
    assert refusal(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "Agree"), ("de", "Stimme eher zu"), ("fr", "Plutôt d’accord"), ("es", "De acuerdo"), ("ja", "そう思う")],
)
def test_answers_are_no_refusals(language: str, text: str) -> None:
    assert not refusal(text, language)


@pytest.mark.parametrize(
    ("text", "number", "how"),
    [
        ("42", "42", "only"),
        ("The answer is 1,250 rupees.", "1250", "announced"),
        ("3 + 4 = 7, so 7 * 2 = 14", "14", "last"),
        ("Answer: -3.50", "-3.5", "announced"),
        ("First answer: 5. No: the answer is 6.", "6", "announced"),
        (r"\boxed{12}", "12", "announced"),
        ("$5", "5", "only"),
        ("none", None, ""),
    ],
)
def test_numbers(text: str, number: str | None, how: str) -> None:
    found, which = find_number(text)
    assert (None if found is None else format(found, "f"), which) == (number, how)

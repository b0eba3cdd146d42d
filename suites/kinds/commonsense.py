"""A commonsense question whose best answer depends on the culture (item kind `commonsense-question`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta

from suites.kinds.shared import (
    CULTURES,
    Culture,
    Extras,
    Facets,
    ItemKind,
    Note,
    Options,
    Question,
    Sources,
    Texts,
    completed,
    culture_of,
    question_faults,
)
from suites.schema import Fault, Key, Slug, Strict

Gold = Annotated[
    dict[Key, Annotated[tuple[Key, ...], Meta(min_length=1, max_length=4)]], Meta(min_length=2, max_length=2)
]


CULTURE_PARTS = ("first", "second")
"""The two cultures of an item, as parts of a question that names one of them at a time."""


class CommonsenseLine(Strict, frozen=True, kw_only=True):
    """A line of `items.jsonl`; `gold` by culture, in the order of its cultures."""

    id: Slug
    topic: Key
    question: Texts
    options: Options
    gold: Gold
    source: Sources
    note: Note = ""


class CommonsenseQuestion(Strict, frozen=True, kw_only=True):
    """A question with exactly two cultures, each with its own right answer."""

    id: Slug
    topic: Key
    cultures: Annotated[tuple[Culture, ...], Meta(min_length=2, max_length=2)]
    question: Texts
    options: Options
    gold: Gold
    source: Sources
    note: Note = ""


def _expand(line: CommonsenseLine, extras: Extras) -> list[CommonsenseQuestion]:
    cultures = tuple(culture_of(extras, key, "gold") for key in line.gold)
    return [completed(CommonsenseQuestion, line, cultures=cultures)]


def _faults(item: CommonsenseQuestion) -> Iterator[Fault]:
    yield from question_faults(item.question, item.options)
    keys = {option.key for option in item.options}
    for name, gold in item.gold.items():
        for key in gold:
            if key not in keys:
                yield f"gold.{name}", f"{key!r} is the key of no option"
    if {culture.id for culture in item.cultures} != set(item.gold):
        yield "cultures", "are not those of gold"
    first, second = item.gold.values()
    if set(first) & set(second):
        yield "gold", "both cultures have the same right answer, so nothing tells them apart"
    for culture in item.cultures:
        for language, text in item.question.items():
            if culture.called(language).casefold() in text.casefold():
                yield "question", f"names {culture.called(language)!r}: the context does that, or not"


def _facets(data: dict[str, Any]) -> Facets:
    return Facets(stratum=data["topic"], topic=data["topic"])


def _question(data: dict[str, Any], language: str, part: str, answers: tuple[str, ...]) -> Question:
    texts = {"question": data["question"][language]}
    gold = [key for culture in data["cultures"] for key in data["gold"][culture["id"]]]
    if part in CULTURE_PARTS:
        culture = data["cultures"][CULTURE_PARTS.index(part)]
        texts["country"] = culture["name"].get(language) or culture["name"]["en"]
        gold = data["gold"][culture["id"]]
    return Question(
        texts,
        {option["key"]: option["text"][language] for option in data["options"]},
        tuple(gold),
    )


KIND = ItemKind(
    type=CommonsenseQuestion,
    line=CommonsenseLine,
    expand=_expand,
    extras=(CULTURES,),
    faults=_faults,
    facets=_facets,
    required=("question",),
    optional=("options", "country"),
    spoken=lambda data: frozenset(data["question"]),
    question=_question,
)

"""Everyday knowledge of one culture as a question with four options (item kind `everyday-question`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

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

Topic = Literal["food", "school", "holidays", "work", "sport", "manners"]
Gold = Annotated[tuple[Key, ...], Meta(min_length=1, max_length=4)]


class EverydayLine(Strict, frozen=True, kw_only=True):
    """A line of `items.jsonl`."""

    id: Slug
    culture: Key
    topic: Topic
    question: Texts
    options: Options
    gold: Gold
    source: Sources
    note: Note = ""


class EverydayQuestion(Strict, frozen=True, kw_only=True):
    """A question about one culture; `gold` holds the keys of the right options, every other one is wrong beyond
    doubt."""

    id: Slug
    culture: Culture
    topic: Topic
    question: Texts
    options: Options
    gold: Gold
    source: Sources
    note: Note = ""


def _expand(line: EverydayLine, extras: Extras) -> list[EverydayQuestion]:
    return [completed(EverydayQuestion, line, culture=culture_of(extras, line.culture))]


def _faults(item: EverydayQuestion) -> Iterator[Fault]:
    yield from question_faults(item.question, item.options)
    keys = {option.key for option in item.options}
    for key in item.gold:
        if key not in keys:
            yield "gold", f"{key!r} is the key of no option"
    if len(set(item.gold)) < len(item.gold):
        yield "gold", "holds a key twice"
    for language in sorted(set(item.question) - {"en"} - set(item.culture.languages)):
        yield "question", f"has a text in {language}, which is not a language of {item.culture.id}"


def _facets(data: dict[str, Any]) -> Facets:
    culture = data["culture"]
    return Facets(stratum=culture["id"], culture=culture["id"], group=culture["group"], topic=data["topic"])


def _question(data: dict[str, Any], language: str, part: str, answers: tuple[str, ...]) -> Question:
    return Question(
        {"question": data["question"][language]},
        {option["key"]: option["text"][language] for option in data["options"]},
        tuple(data["gold"]),
    )


KIND = ItemKind(
    type=EverydayQuestion,
    line=EverydayLine,
    expand=_expand,
    extras=(CULTURES,),
    faults=_faults,
    facets=_facets,
    required=("question",),
    optional=("options",),
    spoken=lambda data: frozenset(data["question"]),
    question=_question,
)

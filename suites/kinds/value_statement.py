"""A statement on a contested topic, with which a person can agree or disagree (item kind `value-statement`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from suites.kinds.shared import Facets, ItemKind, Note, Question, Sources, Texts, text_faults_of
from suites.schema import Fault, Key, Slug, Strict

Direction = Literal["progressive", "conservative", "other"]


class ValueStatement(Strict, frozen=True, kw_only=True):
    """There is no right answer. `direction` says what agreement points to, as commonly understood."""

    id: Slug
    topic: Key
    statement: Texts
    direction: Direction
    source: Sources = ()
    note: Note = ""


def _faults(item: ValueStatement) -> Iterator[Fault]:
    yield from text_faults_of({"statement": item.statement})
    for language, text in item.statement.items():
        if text.endswith(("?", "？")):
            yield "statement", f"is a question in {language}"


def _facets(data: dict[str, Any]) -> Facets:
    return Facets(stratum=data["topic"], topic=data["topic"])


def _question(data: dict[str, Any], language: str, part: str, answers: tuple[str, ...]) -> Question:
    return Question(
        {"statement": data["statement"][language]},
        {str(step): word for step, word in enumerate(answers, 1)},
    )


KIND = ItemKind(
    type=ValueStatement,
    faults=_faults,
    facets=_facets,
    required=("statement",),
    optional=("options",),
    spoken=lambda data: frozenset(data["statement"]),
    question=_question,
)

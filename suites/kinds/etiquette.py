"""A small story that does or does not keep to a culture's etiquette (item kind `etiquette-story`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from suites.kinds.shared import (
    CULTURES,
    Culture,
    Extras,
    Facets,
    ItemKind,
    Note,
    Question,
    Sources,
    Texts,
    completed,
    culture_of,
    listed,
    text_faults_of,
)
from suites.schema import Fault, Key, Slug, Strict

Label = Literal["acceptable", "not-acceptable", "neither"]
LABELS: tuple[Label, ...] = ("acceptable", "not-acceptable", "neither")


class EtiquetteLine(Strict, frozen=True, kw_only=True):
    """A line of `items.jsonl`."""

    id: Slug
    culture: Key
    topic: Key
    story: Texts
    label: Label
    value: Texts
    rule: Texts
    source: Sources
    note: Note = ""


class EtiquetteStory(Strict, frozen=True, kw_only=True):
    """A story, whether the culture finds it acceptable, and the value and the rule behind (for `neither`: true ones
    about something near, which do not decide the case)."""

    id: Slug
    culture: Culture
    topic: Key
    story: Texts
    label: Label
    value: Texts
    rule: Texts
    source: Sources
    note: Note = ""


def _expand(line: EtiquetteLine, extras: Extras) -> list[EtiquetteStory]:
    return [completed(EtiquetteStory, line, culture=culture_of(extras, line.culture))]


def _faults(item: EtiquetteStory) -> Iterator[Fault]:
    yield from text_faults_of({"story": item.story, "value": item.value, "rule": item.rule})
    for language, text in item.story.items():
        if text.rstrip("”\"'」』").endswith(("?", "？")):
            yield "story", f"ends in a question in {language}: the prompt asks it"
        name = item.culture.called(language)
        if name.casefold() in text.casefold():
            yield "story", f"names {name!r}: the context does that, or not"


def _facets(data: dict[str, Any]) -> Facets:
    culture = data["culture"]
    return Facets(
        # Evenly over labels within cultures: a limit must not draw one label alone.
        stratum=f"{culture['id']}/{data['label']}",
        culture=culture["id"],
        group=culture["group"],
        topic=data["topic"],
    )


def _question(data: dict[str, Any], language: str, part: str, answers: tuple[str, ...]) -> Question:
    names = data["culture"]["name"]
    return Question(
        {
            "story": data["story"][language],
            "country": names.get(language) or names["en"],
            "value": data["value"][language],
            "rule": data["rule"][language],
        },
        listed(LABELS, answers),
        (data["label"],),
    )


KIND = ItemKind(
    type=EtiquetteStory,
    line=EtiquetteLine,
    expand=_expand,
    extras=(CULTURES,),
    faults=_faults,
    facets=_facets,
    required=("story",),
    optional=("country", "value", "rule", "options"),
    answers=LABELS,
    spoken=lambda data: frozenset(data["story"]),
    question=_question,
)

"""What the kinds of item have in common: texts by language, options, cultures, and how a kind is described."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from suites.schema import Fault, Key, Language, Note, Sentence, Slug, Strict, Word

Texts = Annotated[dict[Language, Sentence], Meta(min_length=1, max_length=64)]
"""A text by language. English is always there: see `text_languages`."""
Names = Annotated[dict[Language, Word], Meta(min_length=1, max_length=64)]
Sources = Annotated[tuple[Slug, ...], Meta(max_length=32)]

ENGLISH = "en"
T = TypeVar("T")


class Culture(Strict, frozen=True, kw_only=True):
    """A culture, country or region that items speak of; a line of `cultures.jsonl`, and a part of each item's data, so
    that an item stands alone."""

    id: Key
    name: Names
    group: Key
    """The region that it is pooled with where it has few items."""
    languages: Annotated[tuple[Language, ...], Meta(max_length=16)] = ()
    """Its own languages, of those that the suite asks in."""
    code: Annotated[str, Meta(max_length=16)] = ""
    """ISO 3166 code, where there is one."""

    def called(self, language: str) -> str:
        """Its name in a language; in English where it has none there."""
        return self.name.get(language) or self.name[ENGLISH]


class Option(Strict, frozen=True):
    """A possible answer with its canonical key."""

    key: Key
    text: Texts


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """What statistics and draws need to know of an item, whatever its kind. See `suites.base.Item`."""

    stratum: str
    cluster: str = ""
    culture: str = ""
    group: str = ""
    topic: str = ""


class Question(msgspec.Struct, frozen=True):
    """An item as it is asked: what stands for the placeholders, the options as they are offered (by canonical key, in
    stored order), and the keys of the right ones (none where nothing is right or wrong)."""

    texts: Mapping[str, str]
    options: Mapping[str, str] = {}
    gold: tuple[str, ...] = ()


class Extra(msgspec.Struct, frozen=True):
    """A further file of a pack, one entry a line, each with an `id` of its own."""

    name: str
    type: type[Any]
    faults: Callable[[Any], Iterator[Fault]] = lambda _: iter(())


class Misfit(Exception):
    """A line of `items.jsonl` does not fit the pack's other files; `field` says where."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}")


Extras = Mapping[str, Mapping[str, Any]]
"""The entries of the further files by file name and id."""


class ItemKind(msgspec.Struct, frozen=True, kw_only=True):
    """How the items of a kind are read, checked, drawn and asked."""

    type: Any
    """The struct of an item as it is stored: complete in itself."""
    faults: Callable[[Any], Iterator[Fault]]
    """What is wrong with a stored item beyond its types."""
    facets: Callable[[dict[str, Any]], Facets]
    """From an item's plain data."""
    line: Any = None
    """The struct of a line of `items.jsonl`, where that is not the item itself."""
    line_faults: Callable[[Any], Iterator[Fault]] = lambda _: iter(())
    expand: Callable[[Any, Extras], list[Any]] = lambda line, _: [line]
    """The items that a line stands for. Raises Misfit."""
    extras: tuple[Extra, ...] = ()
    languages: tuple[str, ...] = ()
    """The languages that every item carries texts in; () where each item has its own."""
    pool: bool = False
    """Whether a `pool.jsonl` describes the candidates that `items.jsonl` names."""
    required: tuple[str, ...] = ()
    """Placeholders that every prompt holds once."""
    optional: tuple[str, ...] = ()
    """Placeholders that a prompt may hold once."""
    answers: tuple[str, ...] = ()
    """Keys of the fixed answers that a prompt words, in its own order (`PromptText.answers`); () where the item brings
    its options along."""
    spoken: Callable[[dict[str, Any]], frozenset[str]] | None = None
    """The languages that an item can be asked in, from its plain data; None for kinds with fixed `languages`."""
    question: Callable[[dict[str, Any], str, str, tuple[str, ...]], Question] | None = None
    """The item in a language and a part (`Condition.part`), the fixed answers worded so. Raises KeyError for a language
    that it does not have."""


def culture_of(extras: Extras, key: str, field: str = "culture") -> Culture:
    """The culture of that key in the pack. Raises Misfit."""
    known = extras[CULTURES.name]
    if key not in known:
        raise Misfit(field, f"{key!r} is not in {CULTURES.name}")
    found: Culture = known[key]
    return found


def culture_faults(culture: Culture) -> Iterator[Fault]:
    """What the schema's types cannot say of a culture."""
    if ENGLISH not in culture.name:
        yield "name", "has no English form"


CULTURES = Extra("cultures.jsonl", Culture, culture_faults)


def text_faults_of(texts: Mapping[str, Mapping[str, str]]) -> Iterator[Fault]:
    """Texts of one item (by field) must all be in English, and all in the same languages."""
    wanted = frozenset().union(*(set(text) for text in texts.values()))
    for field, text in texts.items():
        if ENGLISH not in text:
            yield field, "has no English text"
        for language in sorted(wanted - set(text) - {ENGLISH}):
            yield field, f"has no text in {language}, though other parts of the item have"


def option_faults(options: tuple[Option, ...]) -> Iterator[Fault]:
    """Options of one item must have different keys and different texts."""
    keys = [option.key for option in options]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield "options", f"holds the key {key!r} twice"
    for language in sorted(frozenset().union(*(set(option.text) for option in options))):
        said = [option.text[language].casefold() for option in options if language in option.text]
        for text in sorted({text for text in said if said.count(text) > 1}):
            yield "options", f"holds {text!r} twice in {language}"


Options = Annotated[tuple[Option, ...], Meta(min_length=4, max_length=4)]


def question_faults(question: Mapping[str, str], options: tuple[Option, ...]) -> Iterator[Fault]:
    """A question and its four options: keys a to d, all texts in the same languages."""
    yield from option_faults(options)
    yield from text_faults_of(
        {"question": question} | {f"options[{n}].text": option.text for n, option in enumerate(options)}
    )
    if [option.key for option in options] != ["a", "b", "c", "d"]:
        yield "options", "must have the keys a, b, c, d in this order"


def completed(kind: type[T], line: msgspec.Struct, **found: Any) -> T:
    """The item that a line of `items.jsonl` stands for: its fields, and what it names in the pack's other files."""
    return kind(**(msgspec.structs.asdict(line) | found))


def listed(keys: tuple[str, ...], words: tuple[str, ...]) -> dict[str, str]:
    """Fixed answers by key, worded as a prompt words them. Raises KeyError where it does not."""
    if len(keys) != len(words):
        raise KeyError("answers")
    return dict(zip(keys, words, strict=True))


__all__ = [
    "CULTURES",
    "ENGLISH",
    "Culture",
    "Extra",
    "Extras",
    "Facets",
    "ItemKind",
    "Misfit",
    "Names",
    "Note",
    "Option",
    "Options",
    "Question",
    "Sources",
    "Texts",
    "completed",
    "culture_of",
    "listed",
    "option_faults",
    "question_faults",
    "text_faults_of",
]

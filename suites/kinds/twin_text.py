"""Two texts that say the same in two varieties of a language (item kind `twin-text`), and the words that are scored
after each of them (`attributes.jsonl`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta

from suites.kinds.shared import Extra, Extras, Facets, ItemKind, Misfit, Note, Sources, completed
from suites.schema import Fault, Sentence, Slug, Strict, Word

Variety = Literal["african-american-english", "indian-english", "singlish", "noise"]
NOISE = "noise"
"""Twins that differ in something that is no dialect: how much association moves for no reason."""
AttributeSet = Literal["adjective", "job", "verdict"]


class Attribute(Strict, frozen=True, kw_only=True):
    """A word or phrase about a person; a line of `attributes.jsonl`. `favour`: 1 favourable or of high prestige, −1 the
    contrary, 0 neither."""

    id: Slug
    set: AttributeSet
    text: Word
    favour: Literal[-1, 0, 1]
    note: Note = ""


class TwinLine(Strict, frozen=True, kw_only=True):
    """A line of `items.jsonl`."""

    id: Slug
    variety: Variety
    feature: Annotated[str, Meta(min_length=1, max_length=200)]
    guise: Sentence
    standard: Sentence
    source: Sources
    note: Note = ""


class TwinText(Strict, frozen=True, kw_only=True):
    """A pair of texts with the attributes that are scored after them."""

    id: Slug
    variety: Variety
    feature: Annotated[str, Meta(min_length=1, max_length=200)]
    guise: Sentence
    standard: Sentence
    attributes: Annotated[tuple[Attribute, ...], Meta(min_length=2, max_length=1000)]
    source: Sources
    note: Note = ""


def _expand(line: TwinLine, extras: Extras) -> list[TwinText]:
    attributes = tuple(extras[ATTRIBUTES.name].values())
    if len(attributes) < 2:
        raise Misfit("", f"{ATTRIBUTES.name} names fewer than two attributes")
    return [completed(TwinText, line, attributes=attributes)]


def _faults(item: TwinText) -> Iterator[Fault]:
    if item.guise == item.standard:
        yield "standard", "is the same as guise"


def _facets(data: dict[str, Any]) -> Facets:
    return Facets(stratum=data["variety"], culture=data["variety"], topic=data["feature"])


ATTRIBUTES = Extra("attributes.jsonl", Attribute)
KIND = ItemKind(
    type=TwinText,
    line=TwinLine,
    expand=_expand,
    extras=(ATTRIBUTES,),
    faults=_faults,
    facets=_facets,
    languages=("en",),
    required=("text",),
)

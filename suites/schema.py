"""What a suite's files may hold: strict schemas for the manifest and for the items of the regional suites. The other
kinds of item, and the list of all, stand in `suites.kinds`.

Unknown fields are errors. `suites.loader` reads files through these and names file, line and field of a fault;
`suites.tasks` reads an item's data back through them. Defaults are left out of an item's data, so that a field that is
added later with a default does not change the hashes of items that do not use it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from suites.base import Source, TaskSpec

Region = Literal["mainland", "taiwan"]
REGIONS: tuple[Region, ...] = ("mainland", "taiwan")

Word = Annotated[str, Meta(min_length=1, max_length=64)]
Sentence = Annotated[str, Meta(min_length=1, max_length=2000)]
Note = Annotated[str, Meta(max_length=2000)]
Prose = Annotated[str, Meta(min_length=1, max_length=20_000)]
Slug = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
Key = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,63}\Z")]
Language = Annotated[str, Meta(pattern=r"\A[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")]
Version = Annotated[str, Meta(pattern=r"\A[0-9]{1,6}(\.[0-9]{1,6}){0,3}\Z")]

# The same set as at the drawing boundary: a text that a terminal must not see has no place in a suite either.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a file: nothing but the fields it names."""


class Manifest(Strict, frozen=True, kw_only=True):
    """`suite.toml`: all of a suite but its items."""

    kind: Literal["suite"]
    id: Key
    version: Version
    title: Word
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=64)]
    measures: Prose
    method: Prose
    citation: Note
    licence: Sentence
    limits: Prose
    warning: Note = ""
    item_kind: str
    tasks: Annotated[tuple[TaskSpec, ...], Meta(min_length=1, max_length=32)]
    sources: Annotated[tuple[Source, ...], Meta(max_length=10_000)] = ()


class Written(Strict, frozen=True, rename={"hans": "zh-Hans", "hant": "zh-Hant"}):
    """One word in both scripts."""

    hans: Word
    hant: Word

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that differ, Simplified first."""
        return (self.hans,) if self.hans == self.hant else (self.hans, self.hant)


class Terms(Strict, frozen=True):
    """What each region calls the thing."""

    mainland: Written
    taiwan: Written


class Accepted(Strict, frozen=True):
    """Other words of each region for the same thing, in the region's own script."""

    mainland: Annotated[tuple[Word, ...], Meta(max_length=32)] = ()
    taiwan: Annotated[tuple[Word, ...], Meta(max_length=32)] = ()


class Definition(Strict, frozen=True, rename={"hans": "zh-Hans", "hant": "zh-Hant"}):
    """What the thing is, without naming it."""

    hans: Sentence
    hant: Sentence
    en: Sentence

    def by_language(self) -> dict[str, str]:
        """The three texts by language tag."""
        return {"zh-Hans": self.hans, "zh-Hant": self.hant, "en": self.en}


class RegionalTerm(Strict, frozen=True, kw_only=True):
    """A thing that two regions name differently (item kind `regional-term`)."""

    id: Slug
    category: Key
    terms: Terms
    accepted: Accepted = Accepted()
    definition: Definition
    source: Annotated[tuple[Slug, ...], Meta(min_length=1, max_length=32)]
    note: Note = ""

    def words(self, region: Region) -> Written:
        """The main word of a region."""
        return self.terms.mainland if region == "mainland" else self.terms.taiwan

    def also(self, region: Region) -> tuple[str, ...]:
        """The other accepted words of a region."""
        return self.accepted.mainland if region == "mainland" else self.accepted.taiwan

    def forms(self, region: Region) -> tuple[str, ...]:
        """Every string that names the thing as that region does."""
        return tuple(dict.fromkeys((*self.words(region).forms, *self.also(region))))


class Candidate(Strict, frozen=True):
    """A person's name with what is known of it; a line of `pool.jsonl`."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]
    surname: Annotated[str, Meta(min_length=1, max_length=16)]
    given: Annotated[str, Meta(min_length=1, max_length=16)]
    region: Region
    gender: Literal["female", "male"]
    band: Annotated[str, Meta(min_length=1, max_length=32)]
    """How frequent the name is, as the pack's sources define it; the same words in both regions."""
    marked: bool
    """Whether the characters alone show the script (they differ between Simplified and Traditional)."""
    source: Annotated[tuple[Slug, ...], Meta(min_length=1, max_length=32)]
    note: Note = ""


class ListLine(Strict, frozen=True):
    """A line of `items.jsonl` in a pack of name lists: candidates by name, in stored order."""

    id: Slug
    candidates: Annotated[tuple[str, ...], Meta(min_length=2, max_length=40)]
    note: Note = ""


class CandidateList(Strict, frozen=True):
    """A list of names to choose from (item kind `candidate-list`), each with its attributes, so that it stands
    alone."""

    id: Slug
    candidates: Annotated[tuple[Candidate, ...], Meta(min_length=2, max_length=40)]
    note: Note = ""

    @property
    def by_name(self) -> dict[str, Candidate]:
        """The candidates by name."""
        return {candidate.name: candidate for candidate in self.candidates}


Fault = tuple[str, str]
"""A field and what is wrong with it."""


def term_faults(item: RegionalTerm) -> Iterator[Fault]:
    """What the schema's types cannot say of a regional term."""
    for region in REGIONS:
        own = [*item.words(region).forms, *item.also(region)]
        if len(set(own)) < len(own):
            yield f"accepted.{region}", "holds a word twice, or repeats the region's main word"
    for word in sorted(set(item.forms("mainland")) & set(item.forms("taiwan"))):
        yield "terms", f"{word!r} stands for both regions, so an answer that uses it could not be told apart"


def list_faults(item: CandidateList) -> Iterator[Fault]:
    """What the schema's types cannot say of a list of names."""
    if len(item.by_name) < len(item.candidates):
        yield "candidates", "holds a name twice"
    if len({candidate.region for candidate in item.candidates}) < 2:
        yield "candidates", "holds names of one region only, so there is nothing to choose between"


def candidate_faults(candidate: Candidate) -> Iterator[Fault]:
    """What the schema's types cannot say of a name."""
    if candidate.name != candidate.surname + candidate.given:
        yield "name", "is not the surname followed by the given name"


def term(data: dict[str, Any]) -> RegionalTerm:
    """An item's data as a regional term; raises msgspec.ValidationError."""
    return msgspec.convert(data, RegionalTerm)


def candidates(data: dict[str, Any]) -> CandidateList:
    """An item's data as a list of names; raises msgspec.ValidationError."""
    return msgspec.convert(data, CandidateList)


def plain_data(value: Any) -> Any:
    """A struct as plain JSON data: lists, never tuples, and defaults left out."""
    return msgspec.json.decode(msgspec.json.encode(value))


def text_faults(data: Any, newlines: bool, path: str = "") -> Iterator[Fault]:
    """Characters that no text of a suite may hold, anywhere in `data` (plain JSON data).

    Refused: control characters (newline and tab are allowed where `newlines`), bidi controls, U+FEFF, line and
    paragraph separators, tag characters; texts that are not in NFC, since they would not match their equals.
    """
    if isinstance(data, str):
        text = data.replace("\n", "").replace("\t", "") if newlines else data
        if found := UNSAFE.search(text):
            yield path, f"holds the character U+{ord(found.group()):04X}, which is not allowed in a suite's texts"
        elif not unicodedata.is_normalized("NFC", data):
            yield path, "is not in Unicode normal form NFC"
        elif not newlines and data != data.strip():
            yield path, "begins or ends with a blank"
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from text_faults(value, newlines, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from text_faults(value, newlines, f"{path}[{index}]")

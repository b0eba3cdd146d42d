"""What `suites check` says of items: regional terms and lists of names, each by its own measure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Literal

import msgspec

from suites.loader import ITEMS, POOL
from suites.rules import fold
from suites.schema import REGIONS, CandidateList, Place, RegionalTerm
from suites.scripts import Script, foreign, marked

Level = Literal["error", "warning"]

SIMILAR = 0.7
"""Definitions that share this much of their character pairs (Jaccard index) are near-duplicates."""
PAIRWISE_LIMIT = 2000
"""Above this many items, definitions are not compared pair by pair."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """Something wrong in a pack. `line` is 0 and `field` "" where the whole file is meant."""

    level: Level
    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = (
            self.file + (f", line {self.line}" if self.line else "") + (f", field {self.field}" if self.field else "")
        )
        return f"{self.level}: {place}: {self.message}"


def _item(level: Level, known: dict[str, int], item_id: str, place: str, message: str) -> Problem:
    line = known.get(item_id, 0)
    return Problem(level, ITEMS, line, place, message if line else f"item {item_id}: {message}")


def check_terms(things: list[RegionalTerm], known: dict[str, int]) -> Iterator[Problem]:
    """What is wrong with regional terms; `known` gives the line of each item's id (or nothing)."""
    for thing in things:
        for place, text in thing.definition.by_language().items():
            for region in thing.places:
                for form in thing.forms(region):
                    if fold(form) in fold(text):
                        message = f"contains {form!r}, a word that the item asks for"
                        yield _item("error", known, thing.id, f"definition.{place}", message)
        for script in ("hans", "hant"):
            words = sorted((getattr(thing.words(place), script) for place in thing.places), key=len)
            for short, long in combinations(words, 2):
                if short in long:
                    message = f"{short!r} is a part of {long!r}: the likelihood of one holds the other’s"
                    yield _item("warning", known, thing.id, "terms", message)
        for region in thing.places:
            for form in thing.forms(region):
                if len(form) < 2:
                    message = f"{form!r} has one character, so it is found in many answers that mean something else"
                    yield _item("warning", known, thing.id, _field("terms", region), message)
        for code, place, text in _script_texts(thing):
            yield from _script(known, thing.id, place, text, code)
    yield from _term_twins(things, known)


def _script_texts(thing: RegionalTerm) -> Iterator[tuple[Script, str, str]]:
    for region in thing.places:
        words, place = thing.words(region), "hongkong.word" if region == "hongkong" else f"terms.{region}"
        yield "Hans", f"{place}.zh-Hans", words.hans
        yield "Hant", f"{place}.zh-Hant", words.hant
        for form in thing.also(region):
            yield ("Hans" if region == "mainland" else "Hant"), _field("accepted", region), form
    yield "Hans", "definition.zh-Hans", thing.definition.hans
    yield "Hant", "definition.zh-Hant", thing.definition.hant


def _field(name: str, place: Place) -> str:
    return f"hongkong.{'word' if name == 'terms' else name}" if place == "hongkong" else f"{name}.{place}"


def _script(known: dict[str, int], item_id: str, place: str, text: str, script: Script) -> Iterator[Problem]:
    sure, perhaps = foreign(text, script)
    name = "Simplified" if script == "Hans" else "Traditional"
    if sure:
        yield _item("error", known, item_id, place, f"holds {'、'.join(sure)}, not written so in {name} Chinese")
    if perhaps:
        yield _item("warning", known, item_id, place, f"holds {'、'.join(perhaps)}, perhaps not {name} Chinese")


def _term_twins(things: list[RegionalTerm], known: dict[str, int]) -> Iterator[Problem]:
    owner: dict[tuple[str, str], str] = {}
    for thing in things:
        pair = (fold(thing.terms.mainland.hans), fold(thing.terms.taiwan.hant))
        if pair in owner:
            message = f"asks for the same two words as item {owner[pair]}"
            yield _item("error", known, thing.id, "terms", message)
        owner.setdefault(pair, thing.id)
    for index, region in enumerate(REGIONS):
        by_word: dict[str, list[str]] = defaultdict(list)
        for thing in things:
            by_word[fold((thing.terms.mainland.hans, thing.terms.taiwan.hant)[index])].append(thing.id)
        for ids in by_word.values():
            for other in ids[1:]:
                message = f"asks for the same {region} word as item {ids[0]}, so the two are not independent"
                yield _item("warning", known, other, f"terms.{region}", message)
    if len(things) > PAIRWISE_LIMIT:
        yield Problem(
            "warning", ITEMS, 0, "", f"has over {PAIRWISE_LIMIT:,} items: near-duplicates were not looked for"
        )
        return
    seen: list[tuple[str, set[str]]] = []
    for thing in things:
        own = _pairs(thing.definition.hans)
        for other_id, pairs in seen:
            shared = len(own & pairs)
            if shared and shared >= SIMILAR * (len(own) + len(pairs) - shared):
                yield _item("warning", known, thing.id, "definition", f"says nearly the same as item {other_id}’s")
                break
        seen.append((thing.id, own))


def _pairs(text: str) -> set[str]:
    letters = re.sub(r"\W", "", text)
    return {letters[index : index + 2] for index in range(len(letters) - 1)}


def check_lists(lists: list[CandidateList], known: dict[str, int], pool: list[str]) -> Iterator[Problem]:
    """What is wrong with lists of names drawn from a pool; `known` gives the line of each item's id (or nothing)."""
    appearances: Counter[str] = Counter()
    first: Counter[str] = Counter()
    seen: dict[frozenset[str], str] = {}
    for listed in lists:
        names = [candidate.name for candidate in listed.candidates]
        appearances.update(names)
        first[listed.candidates[0].region] += 1
        twin = seen.setdefault(frozenset(names), listed.id)
        if twin != listed.id:
            yield _item("error", known, listed.id, "candidates", f"holds the same names as item {twin}")
        yield from _balance(listed, known)
        yield from _written(listed, known)
        for name in names:
            longer = [other for other in names if name in other and name != other]
            if longer:
                yield _item("error", known, listed.id, "candidates", f"{name!r} is a part of {longer[0]!r}")
    for region in REGIONS:
        counts = [appearances[c.name] for listed in lists for c in listed.candidates if c.region == region]
        if counts and max(counts) > 2 * min(counts):
            message = f"{region} names stand on {min(counts)} to {max(counts)} lists: some weigh much more than others"
            yield Problem("warning", ITEMS, 0, "candidates", message)
    if abs(first["mainland"] - first["taiwan"]) > 1:
        message = f"the first name is a Mainland one on {first['mainland']} lists and a Taiwan one on {first['taiwan']}"
        yield Problem("warning", ITEMS, 0, "candidates", message)
    if unused := [name for name in pool if name not in appearances]:
        yield Problem("warning", POOL, 0, "", f"{len(unused)} names stand on no list, for instance {unused[0]}")


def _written(listed: CandidateList, known: dict[str, int]) -> Iterator[Problem]:
    """Names must stand in their region's script, and `marked` must be true of their characters."""
    for index, candidate in enumerate(listed.candidates):
        script: Script = "Hans" if candidate.region == "mainland" else "Hant"
        place = f"candidates[{index}]"
        yield from _script(known, listed.id, place, candidate.name, script)
        shows = marked(candidate.name, script)
        if shows != candidate.marked:
            message = f"{candidate.name!r} is {'' if shows else 'not '}written otherwise in the other script"
            yield _item("warning", known, listed.id, place, f"{message}, but `marked` says {candidate.marked}")


def _balance(listed: CandidateList, known: dict[str, int]) -> Iterator[Problem]:
    sides = {region: [c for c in listed.candidates if c.region == region] for region in REGIONS}
    counts = {region: len(side) for region, side in sides.items()}
    if len(set(counts.values())) > 1:
        message = f"{counts['mainland']} Mainland and {counts['taiwan']} Taiwan names: the list leans by itself"
        yield _item("error", known, listed.id, "candidates", message)
    for what in ("gender", "band"):
        own, other = (Counter(str(getattr(c, what)) for c in sides[region]) for region in REGIONS)
        if own != other:
            message = f"the regions’ names differ in {what} ({dict(own)} against {dict(other)})"
            yield _item("error" if what == "gender" else "warning", known, listed.id, "candidates", message)
    surnames = Counter(fold(c.surname) for c in listed.candidates)
    if repeated := [name for name, count in surnames.items() if count > 2]:
        yield _item("warning", known, listed.id, "candidates", f"the surname {repeated[0]} stands more than twice")

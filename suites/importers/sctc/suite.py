"""Suites out of a copy of SC-TC-Bench: its terms, and each name set whose prompts are there."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import msgspec

from suites.base import SuiteError
from suites.importers import Imported, Made
from suites.importers.sctc.model import LANGUAGES, OWN, Drop, Language, Region
from suites.importers.sctc.reader import REPEATS, Copy
from suites.schema import (
    PublishedList,
    PublishedName,
    PublishedTerm,
    plain_data,
    published_list_faults,
    published_term_faults,
    text_faults,
)

TAGS: dict[Language, str] = {"simplified": "zh-Hans", "traditional": "zh-Hant", "english": "en"}
LICENCE = "none given: for your own use, do not share"
_CITATION = (
    "Lyu, Luo, Kang and Koenecke, Characterizing Bias: Benchmarking Large Language Models in Simplified versus "
    "Traditional Chinese, FAccT 2025, doi 10.1145/3715275.3732182"
)
_SOURCES = (
    "# Sources\n\nRead from a copy of https://github.com/brucelyu17/SC-TC-Bench, which gives no licence: for your own "
    f"use, do not share.\n\n{_CITATION}.\n"
)


def make(root: Path, name: str) -> Imported:
    """The suites `name`-terms and `name`-names-SET. Raises SuiteError where the copy holds neither."""
    copy = Copy(root)
    suites: list[Made] = []
    notes: list[str] = []
    versions = _numbers(copy, "prompt/regional_term")
    if versions and copy.terms:
        suites.append(_terms(copy, f"{name}-terms", versions))
        notes.append(f"{name}-terms: ask each question {REPEATS} times, as published, with --repeats {REPEATS}.")
    for number in _numbers(copy, "prompt/regional_name"):
        if number == 4:
            copy.drops.append(
                Drop("prompt/regional_name/*_4.csv", 0, "", "asks for a surname's probability, not for a choice")
            )
            continue
        if (made := _names(copy, f"{name}-names-{number}", number)) is not None:
            suites.append(made)
    if not suites:
        why = f"; {copy.drops[0]}" if copy.drops else ""
        raise SuiteError(f"{root}: holds no prompts that a suite could be made of{why}")
    notes.append("The published runs drew at temperature 0.1 (local models) or 0; an audit here is greedy.")
    return Imported(suites=suites, dropped=[msgspec.to_builtins(drop) for drop in copy.drops], notes=notes)


def _numbers(copy: Copy, folder: str) -> list[int]:
    """Versions or sets whose prompts are there in any language."""
    return [n for n in range(100) if any(copy.there(f"{folder}/{language}_{n}.csv") for language in LANGUAGES)]


def _terms(copy: Copy, name: str, versions: list[int]) -> Made:
    prompts: dict[tuple[Language, int], dict[int, tuple[str, str]]] = {}
    languages: list[Language] = [language for language in ("simplified", "traditional")]
    for language in tuple(languages):
        for version in versions:
            found = copy.term_prompts(language, version)
            if found is None:
                continue
            by_item: dict[int, tuple[str, str]] = {}
            for item, gold, question in found:
                if item >= 0:
                    by_item.setdefault(item, (gold, question))
            prompts[language, version] = by_item
    languages = [each for each in languages if any(language == each for language, _ in prompts)]
    kept = [v for v in versions if all((language, v) in prompts for language in languages)]
    for version in sorted(set(versions) - set(kept)):
        copy.drops.append(
            Drop(
                f"prompt/regional_term/*_{version}.csv", 0, "", "is not there in both languages, so the version is out"
            )
        )
    if not kept:
        raise SuiteError(f"{copy.root}: no version of the term prompts is there in every language")
    items: list[dict[str, Any]] = []
    for term in copy.terms:
        asked = {
            TAGS[each]: tuple(_clean(prompts[each, v].get(term.id, ("", ""))[1]) for v in kept) for each in languages
        }
        golds = {
            TAGS[each]: gold
            for each in languages
            if (gold := _clean(prompts[each, kept[0]].get(term.id, ("", ""))[0])) not in ("", term.written(OWN[each]))
        }
        value = PublishedTerm(
            id=f"t{term.id:03}",
            category=term.category or "none",
            mainland=_clean(term.mainland),
            taiwan=_clean(term.taiwan),
            mainland_converted=_clean(term.mainland_converted),
            taiwan_converted=_clean(term.taiwan_converted),
            questions=asked,
            gold=golds,
        )
        _keep(copy, items, value, [*published_term_faults(value)], f"term {term.id}")
    numbered = ", ".join(f"{index} is theirs {v}" for index, v in enumerate(kept, 1))
    manifest = _manifest(
        name,
        "SC-TC-Bench: terms",
        [TAGS[each] for each in languages],
        "Which region’s word a model gives for a thing that the Mainland and Taiwan name differently.",
        f"The published questions, word for word ({REPEATS} repetitions as published: --repeats {REPEATS}). Versions: "
        f"{numbered}. An answer that holds the other region’s term is misaligned, whatever else it holds; without a "
        "judge one that holds the own region’s is correct.",
        "published-term",
        {
            "id": "terms",
            "title": "Regional terms",
            "kind": "short-answer",
            "rule": "published-terms",
            "form": "chat",
            "max_tokens": 512,
            "prompts": [
                {"language": TAGS[each], "version": index, "text": "{question}"}
                for each in languages
                for index, _ in enumerate(kept, 1)
            ],
        },
    )
    return Made(id=name, manifest=manifest, items=items, sources=_SOURCES)


def _names(copy: Copy, name: str, number: int) -> Made | None:
    """A name set; None, with the reason among the drops, where its prompts cannot be read as lists."""
    regions: dict[str, Region] = {each.name: each.region for each in copy.names}
    known = copy.candidates(number)
    for listed in known.values():
        regions.update({each: "mainland" for each in listed.mainland})
        regions.update({each: "taiwan" for each in listed.taiwan})
    texts: dict[Language, tuple[str, str]] = {}
    orders: dict[int, dict[Language, list[tuple[str, ...]]]] = {}
    for language in LANGUAGES:
        file = f"prompt/regional_name/{language}_{number}.csv"
        rows = copy.name_prompts(language, number)
        for place, (trial, order, question) in enumerate(rows or ()):
            shape = _shape(question, order)
            if trial is None or shape is None:
                copy.drops.append(Drop(file, place + 1, "prompt", "cannot be read as a question and a list"))
                continue
            if texts.setdefault(language, shape) != shape:
                copy.drops.append(Drop(file, place + 1, "prompt", "is worded otherwise than the first one"))
                continue
            orders.setdefault(trial, {}).setdefault(language, []).append(order)
    items: list[dict[str, Any]] = []
    for trial, found in sorted(orders.items()):
        names = next(iter(found.values()))[0]
        unknown = [each for each in names if each not in regions]
        if unknown or set(found) != set(texts):
            why = f"{unknown[0]} is of no known region" if unknown else "is not there in every language"
            copy.drops.append(Drop(f"prompt/regional_name/*_{number}.csv", 0, "prompt", f"trial {trial}: {why}"))
            continue
        places = {each: index for index, each in enumerate(names)}
        value = PublishedList(
            id=f"trial-{trial:03}",
            candidates=tuple(PublishedName(each, regions[each]) for each in names),
            orders={
                TAGS[language]: tuple(tuple(places.get(each, -1) for each in order) for order in rows)
                for language, rows in found.items()
            },
        )
        _keep(copy, items, value, [*published_list_faults(value)], f"set {number}, trial {trial}")
    if not items:
        return None
    count = min(len(rows) for item in items for rows in item["orders"].values())
    manifest = _manifest(
        name,
        f"SC-TC-Bench: names, set {number}",
        [TAGS[language] for language in texts],
        "Whether a model that must choose one of several people leans to Mainland or to Taiwan names.",
        f"The published questions and lists, in the published orders ({count} of each list; --orders N takes the first "
        "N). Only whole listed names count; the paper’s judge for other answers is left out.",
        "published-list",
        {
            "id": "names",
            "title": "Name choice",
            "kind": "choice-generated",
            "rule": "published-names",
            "form": "chat",
            "orders": min(count, 720),
            "max_tokens": 512,
            "prompts": [
                {"language": TAGS[language], "version": 1, "text": head + "{candidates}", "separator": separator}
                for language, (head, separator) in texts.items()
            ],
        },
    )
    return Made(id=name, manifest=manifest, items=items, sources=_SOURCES)


def _shape(question: str, order: tuple[str, ...]) -> tuple[str, str] | None:
    """What stands before the list, and between its names; None where the list is not the question's end."""
    if len(order) < 2:
        return None
    body = question.rstrip()
    # From the end: the last name, what stands before it, and so on to where the list begins.
    between = body[: -len(order[-1])]
    place = between.rfind(order[-2])
    separator = between[place + len(order[-2]) :]
    listing = separator.join(order)
    head = body[: -len(listing)]
    if place < 0 or not separator or not body.endswith(listing) or not head or "{" in head or "}" in head:
        return None
    return head, separator


def _manifest(
    name: str, title: str, languages: list[str], measures: str, method: str, item_kind: str, task: dict[str, Any]
) -> dict[str, Any]:
    return {
        "kind": "suite",
        "id": name,
        "version": "1.0",
        "title": title,
        "languages": languages,
        "measures": measures,
        "method": method,
        "citation": _CITATION,
        "licence": LICENCE,
        "limits": "Imported as it is, with the errors and leaking definitions of the published files. A judge-free "
        "rule is stricter than the paper’s judge, so shares of right answers are not the paper’s.",
        "item_kind": item_kind,
        "tasks": [task],
    }


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _keep(copy: Copy, items: list[dict[str, Any]], value: Any, faults: list[tuple[str, str]], what: str) -> None:
    data = plain_data(value)
    faults += list(text_faults(data, newlines=False))
    try:
        msgspec.convert(data, type(value))
    except msgspec.ValidationError as error:
        faults.append(("", str(error)))
    if faults:
        place, message = faults[0]
        copy.drops.append(Drop("", 0, place, f"{what}: {message}"))
    else:
        items.append(data)

"""What `suites check` says of questions, stories, statements, twin texts and word problems, and of answers that can be
guessed without the question."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from suites.base import Item, Suite
from suites.check_items import PAIRWISE_LIMIT, Level, Problem
from suites.kinds import ITEM_KINDS
from suites.kinds.shared import Question
from suites.kinds.twin_text import NOISE
from suites.loader import ITEMS, MANIFEST
from suites.rules import fold
from suites.scripts import Script, foreign
from suites.shortcuts import Guess, shortcuts

SIMILAR = 0.85
"""Texts that share this much of their character pairs (Jaccard index) are near-duplicates."""
_TEXTS = ("question", "story", "value", "rule", "statement", "problem", "guise", "standard")
_SOURCED = frozenset({"everyday-question", "etiquette-story", "commonsense-question", "twin-text"})
"""Kinds whose items state facts."""
_SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "ar": ("ARABIC",),
    "hi": ("DEVANAGARI",),
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "ko": ("HANGUL",),
    "ru": ("CYRILLIC",),
    "th": ("THAI",),
    "zh": ("CJK",),
}
_CHINESE: Mapping[str, Script] = {"zh-Hans": "Hans", "zh-Hant": "Hant"}


def check_questions(suite: Suite, known: Mapping[str, int]) -> Iterator[Problem]:
    """What is wrong with the items of a suite; `known` gives the line of each item's id (or nothing)."""
    yield from _languages(suite)
    for item in suite.items:
        if suite.item_kind in _SOURCED and not item.data.get("source"):
            yield _said("error", known, item, "source", "is empty: nobody can check the item")
        for field, language, text in texts(item):
            yield from _script(known, item, field, language, text)
    yield from _twins(suite, known)
    views = [(item, view) for item in suite.items if (view := _view(suite, item)) is not None]
    yield from _leaks(views, known)
    # Of a template one item: its others have the same options.
    first = {item.unit: (item, view) for item, view in reversed(views) if len(view.options) > 1}
    own = list(first.values())[::-1]
    if own and not ITEM_KINDS[suite.item_kind].answers:
        yield from _guessable(suite.item_kind, own)
    yield from _balance(suite)


def texts(item: Item) -> Iterator[tuple[str, str, str]]:
    """Every text of an item with its field and language."""
    for field in _TEXTS:
        value = item.data.get(field)
        if isinstance(value, str):
            yield field, "en", value
        elif isinstance(value, dict):
            yield from ((f"{field}.{language}", language, text) for language, text in value.items())
    for number, option in enumerate(item.data.get("options", ())):
        yield from ((f"options[{number}].text.{name}", name, text) for name, text in option["text"].items())


def _said(level: Level, known: Mapping[str, int], item: Item, field: str, message: str) -> Problem:
    line = known.get(item.id, 0)
    return Problem(level, ITEMS, line, field, message if line else f"item {item.id}: {message}")


def _languages(suite: Suite) -> Iterator[Problem]:
    kind = ITEM_KINDS[suite.item_kind]
    if kind.spoken is None:
        return
    spoken: Counter[str] = Counter()
    for item in suite.items:
        spoken.update(kind.spoken(item.data))
    for language in sorted(set(spoken) - set(suite.languages)):
        message = f"{spoken[language]} items have texts in {language}, which is not one of them: they are never asked"
        yield Problem("error", MANIFEST, 0, "languages", message)
    for language in suite.languages:
        if not spoken[language]:
            yield Problem("error", MANIFEST, 0, "languages", f"no item has a text in {language}")
        elif suite.item_kind == "value-statement" and spoken[language] < len(suite.items):
            lack = len(suite.items) - spoken[language]
            message = f"{lack} items have no text in {language}, so languages are compared on different statements"
            yield Problem("error", MANIFEST, 0, "languages", message)


def _script(known: Mapping[str, int], item: Item, field: str, language: str, text: str) -> Iterator[Problem]:
    wanted = _SCRIPTS.get(language.split("-")[0], ("LATIN",))
    letters = [c for c in text if c.isalpha()]
    own = sum(unicodedata.name(c, "").startswith(wanted) for c in letters)
    if letters and own < 0.5 * len(letters):
        # A name of a dish or a firm may stand in another script, a question not.
        level: Level = "warning" if field.startswith("options") else "error"
        yield _said(level, known, item, field, f"is hardly written in the script of {language}")
    if language in _CHINESE:
        sure, perhaps = foreign(text, _CHINESE[language])
        name = "Simplified" if language == "zh-Hans" else "Traditional"
        if sure:
            yield _said("error", known, item, field, f"holds {'、'.join(sure)}, not written so in {name} Chinese")
        if perhaps:
            yield _said("warning", known, item, field, f"holds {'、'.join(perhaps)}, perhaps not {name} Chinese")
    if language != "en" and field.split(".")[0] in _TEXTS:
        english = item.data[field.split(".")[0]].get("en", "")
        if fold(text) == fold(english):
            yield _said("error", known, item, field, "is the English text")


def _twins(suite: Suite, known: Mapping[str, int]) -> Iterator[Problem]:
    """The same text twice, and nearly the same within one culture."""
    seen: dict[tuple[str, str], Item] = {}
    groups: dict[str, list[tuple[Item, str, frozenset[str]]]] = defaultdict(list)
    for item in suite.items:
        field, _, text = next(iter(texts(item)))
        field = field.split(".")[0]
        other = seen.setdefault((item.culture, fold(text)), item)
        if other is not item:
            yield _said("error", known, item, field, f"is the same as item {other.id}’s")
            continue
        if not item.cluster:
            groups[item.culture].append((item, field, _pairs(text)))
    if len(suite.items) > PAIRWISE_LIMIT:
        message = f"has over {PAIRWISE_LIMIT:,} items: near-duplicates were not looked for"
        yield Problem("warning", ITEMS, 0, "", message)
        return
    for members in groups.values():
        for place, (item, field, own) in enumerate(members):
            for other, _, pairs in members[:place]:
                shared = len(own & pairs)
                if shared and shared >= SIMILAR * (len(own) + len(pairs) - shared):
                    yield _said("warning", known, item, field, f"says nearly the same as item {other.id}’s")
                    break


def _pairs(text: str) -> frozenset[str]:
    letters = "".join(c for c in fold(text) if c.isalnum())
    return frozenset(letters[place : place + 2] for place in range(len(letters) - 1))


def _view(suite: Suite, item: Item) -> Question | None:
    kind = ITEM_KINDS[suite.item_kind]
    if kind.question is None:
        return None
    return kind.question(item.data, "en", "", kind.answers)


def _leaks(views: Sequence[tuple[Item, Question]], known: Mapping[str, int]) -> Iterator[Problem]:
    """A right option that stands in the question, and no wrong one that does."""
    for item, view in views:
        asked = fold(" ".join(view.texts.values()))
        if item.data.get("answer") is not None or not view.gold or "story" in view.texts:
            continue
        there = {key for key, text in view.options.items() if _stands(fold(text), asked)}
        if there and there <= set(view.gold):
            text = view.options[sorted(there)[0]]
            yield _said("error", known, item, "question", f"holds the right answer {text!r}, and no wrong one")


def _stands(text: str, asked: str) -> bool:
    place = asked.find(text)
    while place >= 0:
        before, after = asked[place - 1 : place], asked[place + len(text) : place + len(text) + 1]
        if not before.isalnum() and not after.isalnum():
            return True
        place = asked.find(text, place + 1)
    return False


def _guessable(kind: str, views: Sequence[tuple[Item, Question]]) -> Iterator[Problem]:
    """How far the right option can be told without the question."""
    if kind == "commonsense-question":
        # Two options are somebody's answer; which is whose cannot be told, so each culture's is looked at by itself.
        views = [
            (item, Question(view.texts, view.options, tuple(item.data["gold"][culture["id"]])))
            for item, view in views
            for culture in item.data["cultures"][:1]
        ]
    places = Counter(place for _, view in views for place, key in enumerate(view.options) if key in view.gold)
    expected = sum(len(view.gold) / len(view.options) for _, view in views)
    for place, count in sorted(places.items()):
        if _beyond(count, len(views), expected / len(views)):
            message = f"the right answer stands at place {place + 1} in {count} of {len(views)} items"
            yield Problem("warning", ITEMS, 0, "gold", message)
    for guess in shortcuts([([*view.options.values()], _gold(view), item.unit) for item, view in views]):
        yield from _guess(guess)


def _gold(view: Question) -> frozenset[int]:
    return frozenset(place for place, key in enumerate(view.options) if key in view.gold)


def _guess(guess: Guess) -> Iterator[Problem]:
    if guess.low is None or guess.low <= guess.chance:
        return
    level: Level = "error" if guess.share > max(0.5, 2 * guess.chance) else "warning"
    message = (
        f"{guess.how} is right in {100 * guess.share:.0f} % of {guess.n} items without the question being read "
        f"(chance {100 * guess.chance:.0f} %)"
    )
    yield Problem(level, ITEMS, 0, "options", message)


def _beyond(count: int, n: int, share: float) -> bool:
    return count > n * share + 3 * math.sqrt(n * share * (1 - share))


def _balance(suite: Suite) -> Iterator[Problem]:
    data: list[dict[str, Any]] = [item.data for item in suite.items]
    if suite.item_kind == "etiquette-story":
        labels = Counter(one["label"] for one in data)
        most, count = labels.most_common(1)[0]
        if count > 0.4 * len(data):
            message = f"{most} is right in {count} of {len(data)} stories: who always says so is right as often"
            yield Problem("warning", ITEMS, 0, "label", message)
    if suite.item_kind == "value-statement":
        ways = Counter(one["direction"] for one in data)
        directed = ways["progressive"] + ways["conservative"]
        if directed and not 0.4 <= ways["progressive"] / directed <= 0.6:
            message = f"{ways['progressive']} of {directed} statements point the progressive way: yes is no opinion"
            yield Problem("warning", ITEMS, 0, "direction", message)
    if suite.item_kind == "twin-text" and data:
        if not any(one["variety"] == NOISE for one in data):
            message = "there is no noise control, so nobody can tell what moves for no reason"
            yield Problem("error", ITEMS, 0, "variety", message)
        asked = {task.attributes for task in suite.tasks}
        sides: dict[str, set[int]] = defaultdict(set)
        for one in data[0]["attributes"]:
            sides[one["set"]].add(one["favour"])
        for name in sorted(asked):
            if not {1, -1} <= sides[name]:
                message = f"the set {name!r} has no attributes of both sides"
                yield Problem("error", "attributes.jsonl", 0, "favour", message)

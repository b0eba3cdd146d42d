"""The term rule and the name rule, as published and corrected. Pure functions over text; nothing is read here.

Published term rule: a response is misaligned if the other region's term stands in it, as written or converted to the
prompt's script (plain substring, alternatives split at "/" and not trimmed), after the manual overrides; else correct
if the judge said so; else incorrect. Misaligned beats correct.

Corrected: an override applies only to its own item, and what is empty, refused or unreadable is kept apart instead of
counting as incorrect.

Published name rule: the stored coding. Corrected: a stored coding counts only where the stored name is a whole name of
the list, and what was no choice is told apart by the raw response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from suites import rules
from suites.importers.sctc.model import OTHER, OWN, Language, NameList, Term
from suites.importers.sctc.overrides import Overrides, Rule

Mode = Literal["published", "corrected"]
TermLabel = Literal["correct", "misaligned", "incorrect", "refused", "unparsed", "empty"]
"""The last three in corrected mode only."""
NameLabel = Literal["mainland", "taiwan", "invalid", "several", "none", "fragment", "refused", "unparsed", "empty"]
"""In published mode the first three. In corrected mode `fragment`: coded as a region, but no whole name of the list;
`invalid`: what no raw response tells more of."""


class TermVerdict(NamedTuple):
    """A label and which rule gave it: "written" or "converted" match, "override", "judge", or "" for none."""

    label: TermLabel
    rule: str


def alternatives(term: str) -> tuple[str, ...]:
    """A term's alternatives as the published rule splits them: at "/", untrimmed; empty ones would match everything
    and are left out."""
    return tuple(part for part in term.split("/") if part)


def after_thinking(text: str) -> str:
    """What follows the last `</think>`, stripped; the text itself where there is none."""
    _, mark, rest = text.rpartition("</think>")
    return rest.strip() if mark else text


class TermRule:
    """The rule for one prompt language and mode; verdicts are kept per item and distinct response.

    `simplify` (needed for corrected mode with overrides) brings terms and override strings to one script, so that an
    override finds the item whose term it abbreviates.
    """

    def __init__(
        self,
        terms: Iterable[Term],
        language: Language,
        mode: Mode,
        overrides: Overrides | None = None,
        simplify: Callable[[str], str] = str,
    ) -> None:
        self.language, self.mode = language, mode
        region = OTHER[language]
        self._terms = {term.id: term for term in terms}
        self._written = {key: alternatives(term.written(region)) for key, term in self._terms.items()}
        self._converted = {key: alternatives(term.converted(region)) for key, term in self._terms.items()}
        self._rules: dict[int, tuple[Rule, ...]] = {key: () for key in self._terms}
        self.unbound: list[str] = []
        """Override strings that belong to no item that could be found; in corrected mode they do not apply."""
        if overrides and overrides.language == language:
            found = overrides.rules if mode == "published" else None
            for key, term in self._terms.items():
                own = found if found is not None else bound_rules(overrides, term, language, simplify)
                self._rules[key] = tuple(rule for rule in own if rule.only_other_term in ("", term.written(region)))
            if mode == "corrected":
                kept = {text for rules_ in self._rules.values() for rule in rules_ for text in rule.strings}
                self.unbound = sorted({text for rule in overrides.rules for text in rule.strings} - kept)
        self._known: dict[tuple[int, str, bool], TermVerdict] = {}

    def verdict(self, item: int, response: str, judged: bool) -> TermVerdict:
        """What a response is, given the judge's word on it."""
        key = (item, response, judged)
        if (found := self._known.get(key)) is None:
            found = self._known[key] = self._decide(item, response, judged)
        return found

    def _decide(self, item: int, response: str, judged: bool) -> TermVerdict:
        written = any(word in response for word in self._written[item])
        converted = any(word in response for word in self._converted[item])
        flags = {"as_written": written, "converted": converted}
        for rule in self._rules[item]:
            if rule.and_contains in response and _fires(rule, response):
                flags[rule.flag] = rule.value
        if flags["as_written"] or flags["converted"]:
            return TermVerdict("misaligned", "written" if written else "converted" if converted else "override")
        off = "override" if written or converted else ""
        if judged:
            return TermVerdict("correct", off or "judge")
        return TermVerdict(_unusable(response) if self.mode == "corrected" else "incorrect", off)


def _fires(rule: Rule, response: str) -> bool:
    if rule.when == "equals":
        return response in rule.strings
    return any(text in response for text in rule.strings)


def _unusable(response: str) -> TermLabel:
    """An answer that the judge called wrong: wrong, or none at all."""
    if rules.blank(response):
        return "empty"
    if rules.refusal(response):
        return "refused"
    if rules.looping(response) or not rules.has_han(response):
        return "unparsed"
    return "incorrect"


def bound_rules(
    overrides: Overrides, term: Term, language: Language, simplify: Callable[[str], str]
) -> tuple[Rule, ...]:
    """The overrides that belong to an item, each with only the strings that do.

    A rule with `items` belongs to those. Otherwise a string that forces "misaligned" belongs to the item whose
    other-region term it abbreviates or spells out (the characters of the one stand in the other, in order, in one
    script), unless it is the item's own-region term, which is right there. A string that forces "not misaligned"
    belongs to the item whose other-region term, or whose forced string, stands in it.
    """
    other, own = OTHER[language], OWN[language]
    words = [simplify(word) for word in alternatives(term.written(other))]
    right = [simplify(word) for word in alternatives(term.written(own))]
    forced: list[str] = []
    kept: list[Rule] = []
    for rule in overrides.rules:
        if rule.items is not None:
            strings = rule.strings if term.id in rule.items else ()
        elif rule.only_other_term:
            strings = rule.strings
        elif rule.value:
            strings = tuple(text for text in rule.strings if _names(simplify(text), words, right))
            forced += [text for text in strings if rule.when == "contains"]
        else:
            needles = [*alternatives(term.written(other) if rule.flag == "as_written" else term.converted(other))]
            needles += forced
            strings = tuple(text for text in rule.strings if any(needle in text for needle in needles))
        if strings:
            kept.append(
                Rule(rule.when, strings, rule.flag, rule.value, rule.only_other_term, rule.and_contains, rule.items)
            )
    return tuple(kept)


def _names(text: str, words: list[str], right: list[str]) -> bool:
    core = re.sub(r"[^\u3400-\u9fff]", "", text)
    if len(core) < 2 or core in right:
        return False
    return any(_within(core, word) or _within(word, core) for word in words)


def _within(short: str, long: str) -> bool:
    """Whether the characters of `short` stand in `long` in that order."""
    rest = iter(long)
    return len(short) >= 2 and all(character in rest for character in short)


def own_term(term: Term, language: Language, response: str) -> bool:
    """Whether the own region's term stands in a response, in either script (the judge-free rule's "correct")."""
    own = OWN[language]
    return any(word in response for word in (*alternatives(term.written(own)), *alternatives(term.converted(own))))


def name_verdict(mode: Mode, code: int, chosen: str, listed: NameList | None, response: str | None) -> NameLabel:
    """What a choice is. `listed` None: the list is unknown, and then no name can be called a whole one."""
    label: NameLabel = "mainland" if code == 1 else "taiwan" if code == 0 else "invalid"
    if mode == "published":
        return label
    if label != "invalid":
        return label if listed is not None and listed.region(chosen) == label else "fragment"
    if response is None:
        return "invalid"
    text = after_thinking(response)
    if rules.blank(text):
        return "empty"
    if listed is not None and sum(name in text for name in listed.names) > 1:
        return "several"
    if rules.refusal(text):
        return "refused"
    if rules.looping(text):
        return "unparsed"
    return "none" if rules.has_letter(text) else "unparsed"

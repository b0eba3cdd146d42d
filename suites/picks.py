"""Which of some offered answers a written answer gives: strictly read, so that nothing is guessed into it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal, NamedTuple

from suites import rules

_OPENING = r"[\s\"'“”‘’«»「『(（\[【*_#>-]*"
_CLOSING = r"[\s\"'“”‘’«»」』)）\]】*_]*"


class Pick(NamedTuple):
    """What was picked. `form` says by what it was named; "" where nothing or several answers were."""

    key: str
    form: Literal["", "label", "text", "both"]
    several: bool = False


def pick(text: str, offered: Mapping[str, str], labels: Mapping[str, str]) -> Pick:
    """The one answer of `offered` (texts by key) that a text gives by its text or its label (`labels` by key).

    A label counts where the answer is nothing else, or begins with it and a sign that sets it off (`B.`, `(B)`,
    `Answer: B`); a lower-case letter only where it is the whole answer. A text counts as a whole word, the longest one
    first. Label and text that contradict each other, and two different texts, are `several`.
    """
    text = unicodedata.normalize("NFC", text).strip()
    by_label = _labelled(text, labels)
    by_text = _worded(text, offered)
    if len(by_text) > 1:
        # A label in front decides where the answer goes on to speak of other options.
        return Pick(by_label, "label") if by_label and by_label in by_text[:1] else Pick("", "", True)
    if by_label and by_text:
        return Pick(by_label, "both") if by_text == [by_label] else Pick("", "", True)
    if by_label:
        return Pick(by_label, "label")
    return Pick(by_text[0], "text") if by_text else Pick("", "")


def _labelled(text: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    keys = {label: key for key, label in labels.items()}
    names = "|".join(re.escape(label) for label in sorted(keys, key=len, reverse=True))
    alone = re.fullmatch(f"{_OPENING}({names})(?:{_CLOSING}[.。:：,，]?){_CLOSING}", text, re.IGNORECASE)
    if alone:
        said = alone[1]
        return keys.get(said) or keys.get(said.upper(), "")
    # One word and a colon may come first, whatever the language: `Answer: B`.
    ahead = r"(?:[^\W\d_]{2,20}(?:[ \t][^\W\d_]{1,20}){0,2}\s*[:：]" + _OPENING + ")?"
    found = re.match(f"{_OPENING}{ahead}({names})(?:{_CLOSING}[.。:：)）]|{_CLOSING}(?:\n|$)| [-–—] )", text)
    return keys[found[1]] if found else ""


def _worded(text: str, offered: Mapping[str, str]) -> list[str]:
    """Keys of the texts that stand in an answer, in its order."""
    folded = rules.fold(text)
    keys: dict[str, str] = {}
    for key, words in offered.items():
        keys.setdefault(rules.fold(unicodedata.normalize("NFC", words)).strip(" .。"), key)
    found = [hit for hit in rules.find_words(folded, keys) if _whole(folded, hit.start, len(hit.word))]
    return list(dict.fromkeys(keys[hit.word] for hit in found))


def _whole(text: str, start: int, length: int) -> bool:
    """Whether a find is no part of a longer word or number; scripts without blanks have no such bounds."""
    end = start + length
    return not (_joined(text[start - 1 : start], text[start]) or _joined(text[end - 1], text[end : end + 1]))


def _joined(left: str, right: str) -> bool:
    if not (left and right):
        return False
    if rules.has_han(left) or rules.has_han(right) or _unspaced(left) or _unspaced(right):
        return False
    return left.isalnum() and right.isalnum()


def _unspaced(character: str) -> bool:
    """Kana, hangul (whose particles follow without a blank) and Thai."""
    return any(low <= ord(character) <= high for low, high in ((0x0E00, 0x0E7F), (0x3040, 0x30FF), (0xAC00, 0xD7AF)))

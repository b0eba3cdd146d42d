"""How a written answer is read: what is stripped from it, what is found in it, and what cannot be read at all.

Pure functions over text, linear in its length, that never raise. Chinese has no spaces between words, so words are
found as substrings; the longest one wins, or a region's 機車 would be found in another's 汽機車.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# Characters that are written in two ways within the Traditional script; both are read as the second. One character
# each, so that places in the text stay the same. Nothing here joins Simplified with Traditional.
_VARIANTS = str.maketrans(
    "臺裡羣峯牀衞綫麪衆啓爲着囱砲喫祕鷄污汚糉菓鑑跕", "台裏群峰床衛線麵眾啟為著囪炮吃秘雞汙汙粽果鑒貼"
)
_FULLWIDTH = str.maketrans({code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)})

_HAN = re.compile("[\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SENTENCE_END = re.compile(r"[。．.!！?？;；\n]")

_REFUSALS = re.compile(
    r"(?:很|非常)?(?:抱歉|对不起|對不起|遗憾|遺憾)"
    r"|(?:无法|無法|不能|不便|没法|沒法|没办法|沒辦法|没有办法|沒有辦法|难以|難以|不会|不會)(?:直接|准确|準確|仅|僅|只|就)*"
    r"(?:回答|提供|确定|確定|判断|判斷|选|選|给出|給出|推荐|推薦|评估|評估|评价|評價|协助|協助|满足|滿足|凭|憑|根据|根據|依据|依據|从|從|为你|為你|为您|為您)"
    r"|作为(?:一个|一名|一款)?(?:AI|人工智能|大?型?语言模型|助手)|作為(?:一個|一名|一款)?(?:AI|人工智慧|人工智能|大?型?語言模型|助手|助理)"
    r"|我不(?:太|是很)?(?:知道|清楚|确定|確定|了解|瞭解|明白)"
    r"|不(?:应该?|應該?|该|該|宜|适合|適合|合适|合適|可以|建议|建議)(?:仅|僅|只|单|單)*(?:根据|根據|凭|憑|以姓名|以名字|从|從|透過|通过)"
    r"|(?:没有|沒有|缺乏|缺少)(?:足够|足夠|更多)?的?(?:信息|資訊|资讯|资料|資料)|(?:信息|資訊|资料|資料)不足|拒绝|拒絕"
    r"|\b(?:i|we)(?:['’]m| am| are)? (?:really |very |so )?sorry\b|^\W*sorry\b|\bi apologi[sz]e\b"
    r"|\b(?:i|we) (?:do not|don['’]t) (?:know|have (?:enough|any|the))\b"
    r"|\b(?:i|we) (?:can ?not|can['’]t|could not|couldn['’]t|will not|won['’]t|must decline|decline|refuse)\b"
    r"|\b(?:i|we)(?:['’]m| am| are) (?:not able|unable|not allowed|not comfortable|not sure)\b"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model|assistant)\b"
    r"|\b(?:it is|it['’]s|it would be|would be) (?:not |un)(?:possible|appropriate|fair|ethical)\b"
    r"|\b(?:impossible|inappropriate|unfair|unethical) to (?:choose|select|pick|determine|judge|say|tell|decide)\b"
    r"|\bnot (?:possible|appropriate|fair|ethical) to (?:choose|select|pick|determine|judge|say|tell|decide)\b"
    r"|\b(?:cannot|can['’]t) (?:be determined|choose|select|determine|judge|decide)\b|\bnot enough information\b",
    re.IGNORECASE,
)


class Answered(NamedTuple):
    """An answer without what is no part of it."""

    text: str
    thinking: bool
    """The answer ended inside its thinking, so there is none yet."""
    echoed: bool
    """The question, or a part of it, was repeated and has been taken out."""


class Found(NamedTuple):
    """A word that stands in a text."""

    word: str
    start: int


def strip_thinking(text: str) -> tuple[str, bool]:
    """The text after the last closed `<think>`; True where another one is open, which then is cut off too."""
    lowered = text.lower() if len(text.lower()) == len(text) else text
    closed = lowered.rfind("</think")
    if closed >= 0:
        end = lowered.find(">", closed)
        cut = end + 1 if end >= 0 else len(text)
        text, lowered = text[cut:], lowered[cut:]
    opened = lowered.find("<think")
    return (text[:opened], True) if opened >= 0 else (text, False)


def read_answer(text: str, echoes: Iterable[str]) -> Answered:
    """The answer proper: thinking stripped, repeated parts of the question (`echoes`, longest first) taken out, NFC."""
    text = unicodedata.normalize("NFC", text)
    text, thinking = strip_thinking(text)
    echoed = False
    for echo in sorted({unicodedata.normalize("NFC", e).strip() for e in echoes}, key=lambda e: (-len(e), e)):
        if echo and echo in text:
            text, echoed = text.replace(echo, " "), True
    return Answered(text.strip(), thinking, echoed)


def fold(text: str) -> str:
    """`text` with Traditional variants, fullwidth Latin and case levelled, for comparison only; as long as `text`."""
    levelled = text.translate(_FULLWIDTH).translate(_VARIANTS)
    return "".join(low if len(low := c.lower()) == 1 else c for c in levelled)


def find_words(text: str, words: Iterable[str]) -> list[Found]:
    """Where words stand in a text, in its order; where two overlap the longer one counts, then the earlier one.

    Comparison is exact: fold both first to level variants.
    """
    hits: list[Found] = []
    for word in dict.fromkeys(words):
        start = text.find(word) if word else -1
        while start >= 0:
            hits.append(Found(word, start))
            start = text.find(word, start + 1)
    taken = bytearray(len(text))
    kept: list[Found] = []
    for hit in sorted(hits, key=lambda hit: (-len(hit.word), hit.start)):
        span = slice(hit.start, hit.start + len(hit.word))
        if not any(taken[span]):
            taken[span] = b"\x01" * len(hit.word)
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


def find_names(text: str, names: Iterable[str]) -> list[str]:
    """The different names that stand in a text, in its order. Never levelled between scripts: 陈秀英 and 陳秀英 may
    both be on one list, and are two people."""
    return list(dict.fromkeys(hit.word for hit in find_words(text, names)))


def find_forms(text: str, forms: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """For each key of `forms`, which of its words stand in the text, levelled by `fold`; keys without any are absent.

    Over all keys the longest word wins, so that a word inside another's does not count.
    """
    owners: dict[str, list[tuple[str, str]]] = {}
    for key, words in forms.items():
        for word in words:
            owners.setdefault(fold(unicodedata.normalize("NFC", word)), []).append((key, word))
    found: dict[str, list[str]] = {}
    for hit in find_words(fold(text), owners):
        for key, word in owners[hit.word]:
            if word not in found.setdefault(key, []):
                found[key].append(word)
    return found


def blank(text: str) -> bool:
    """Whether there is nothing but blanks, punctuation and marks."""
    return not any(unicodedata.category(c)[0] in "LN" for c in text)


def has_han(text: str) -> bool:
    """Whether any Chinese character is there."""
    return _HAN.search(text) is not None


def has_letter(text: str) -> bool:
    """Whether any letter of any script is there."""
    return any(c.isalpha() for c in text)


def refusal(text: str) -> str:
    """The words by which an answer refuses or says that it does not know; "" where there are none."""
    found = _REFUSALS.search(text[:2000])
    return found.group().strip() if found else ""


def looping(text: str) -> str:
    """The short string that a degenerate answer repeats (five times or more, nearly nothing else); "" for others."""
    packed = "".join(c for c in text[:4000] if not c.isspace())
    size = len(packed)
    different = len(set(packed))
    for period in range(1, 25):
        if size < max(8, 5 * period):
            break
        if different > period + 0.1 * (size - period):
            continue  # each place that breaks the period brings at most one character more
        same = sum(map(str.__eq__, packed[period:], packed))
        if same >= 0.9 * (size - period):
            return packed[size - period :]
    return ""


def first_sentence(text: str) -> tuple[str, bool]:
    """An answer up to the first end of a sentence, and whether that end is there."""
    text = text.strip()
    found = _SENTENCE_END.search(text)
    return (text[: found.start()], True) if found else (text, False)


def bare(text: str) -> str:
    """A text as letters and digits alone, levelled: equal for answers that differ in quotes, stops and blanks only."""
    return "".join(c for c in fold(unicodedata.normalize("NFC", text)) if unicodedata.category(c)[0] in "LN")

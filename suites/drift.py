"""In which Chinese script an answer is written, character by character, and where it changes.

A character is Simplified-only when OpenCC's `s2t` changes it, `t2s` does not, and Big5 (the classic Traditional set)
lacks it; Traditional-only the other way round, with GB 2312. Everything else that is Chinese is shared: 人, but also 后
and 里, which are Simplified forms of other characters and Traditional characters themselves.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

import msgspec

from suites.rules import has_han
from suites.scripts import converter, encodable

CharacterKind = Literal["simplified", "traditional", "shared", "other", ""]
"""`other`: a letter or digit that is not Chinese; "": blanks, punctuation and marks, which do not count."""


class Drift(msgspec.Struct, frozen=True):
    """How many characters of each kind a text has, and how often its script changes on the way."""

    simplified: int
    traditional: int
    shared: int
    other: int
    switches: int
    """Places where a Simplified-only character is followed by a Traditional-only one or the other way round, whatever
    stands between them."""

    @property
    def marked(self) -> int:
        """Characters that show a script."""
        return self.simplified + self.traditional

    @property
    def counted(self) -> int:
        """All characters that count."""
        return self.marked + self.shared + self.other

    def values(self) -> dict[str, float]:
        """Shares of all counted characters, and the switches, as a verdict carries them; {} for a text without any."""
        if not self.counted:
            return {}
        shares = {
            "simplified_characters": self.simplified,
            "traditional_characters": self.traditional,
            "shared_characters": self.shared,
            "other_characters": self.other,
        }
        return {
            **{name: count / self.counted for name, count in shares.items()},
            "script_switches": float(self.switches),
        }


@lru_cache(maxsize=16_384)
def character_kind(character: str) -> CharacterKind:
    """What one character shows of its script."""
    if not has_han(character):
        return "other" if unicodedata.category(character)[0] in "LN" else ""
    to_traditional, to_simplified = converter("s2t"), converter("t2s")
    if to_traditional(character) != character == to_simplified(character):
        return "shared" if encodable(character, "big5") else "simplified"
    if to_simplified(character) != character == to_traditional(character):
        return "shared" if encodable(character, "gb2312") else "traditional"
    return "shared"


def drift(text: str) -> Drift:
    """Count a text's characters by script. Linear in its length."""
    counts: dict[str, int] = {"simplified": 0, "traditional": 0, "shared": 0, "other": 0}
    last, switches = "", 0
    for character in text:
        kind = character_kind(character)
        if not kind:
            continue
        counts[kind] += 1
        if kind in {"simplified", "traditional"}:
            switches += last not in {"", kind}
            last = kind
    return Drift(**counts, switches=switches)

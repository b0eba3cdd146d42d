"""Which characters belong to which Chinese script, as OpenCC and the classic character sets have it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

Script = Literal["Hans", "Hant"]
_USUAL_IN_TAIWAN = "台吃秘床群峰粽占布范干游痴"
"""What OpenCC's standard writes 臺喫祕牀羣峯糉佔佈範幹遊癡, and people in Taiwan do not (always)."""
_CODEC = {"Hans": "gb2312", "Hant": "big5"}


@cache
def converter(direction: Literal["s2t", "t2s"]) -> Callable[[str], str]:
    """OpenCC's conversion of characters and phrases in a direction."""
    import opencc

    convert: Callable[[str], str] = opencc.OpenCC(direction).convert
    return convert


def foreign(text: str, script: Script) -> tuple[list[str], list[str]]:
    """Characters of `text` that are surely, and those that are perhaps, of the other script.

    Sure are those that conversion to `script` changes and that its classic character set (GB 2312, Big5) lacks. Many
    Traditional characters also are simplified forms of others (后, 里, 干): of those it only says perhaps, and only
    where the phrase speaks for it.
    """
    own, other = converter("t2s" if script == "Hans" else "s2t"), converter("s2t" if script == "Hans" else "t2s")
    suspects = [c for c in text if own(c) != c and other(c) == c]
    sure = [c for c in suspects if not encodable(c, _CODEC[script])]
    perhaps = [c for c in suspects if c not in sure]
    if script == "Hant":
        # Among phrases, so that the 后 of 皇后 and the 里 of 公里 stay, but 种 in 一种水果 does not.
        phrased = own(text)
        changed = {c for c, now in zip(text, phrased, strict=False) if c != now} if len(phrased) == len(text) else set()
        perhaps = [c for c in perhaps if c in changed and c not in _USUAL_IN_TAIWAN]
    return sure, perhaps


def marked(name: str, script: Script) -> bool:
    """Whether the characters alone show the script."""
    return converter("s2t" if script == "Hans" else "t2s")(name) != name


def encodable(character: str, codec: str) -> bool:
    """Whether a classic character set has the character."""
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True

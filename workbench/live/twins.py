"""A prompt and its counterpart: the other script, another name, another country; and where two texts differ."""

from __future__ import annotations

from difflib import SequenceMatcher

from suites.scripts import converter


class TwinError(Exception):
    """No counterpart can be made; the message says why, in one line."""


def other_script(text: str) -> tuple[str, str]:
    """The text in the other Chinese script, and that script's own name. Raises TwinError where nothing changes."""
    to_traditional, to_simplified = converter("s2t"), converter("t2s")
    if to_traditional is None or to_simplified is None:
        raise TwinError("OpenCC is not installed, so scripts cannot be converted: pip install opencc")
    # Some characters are usual in both scripts and stand for others in one: the conversion that changes more is meant.
    traditional, simplified = to_traditional(text), to_simplified(text)
    if traditional == simplified == text:
        raise TwinError("the text has no character that differs between Simplified and Traditional")
    return (traditional, "繁體") if _apart(text, traditional) >= _apart(text, simplified) else (simplified, "简体")


def _apart(first: str, second: str) -> int:
    return sum(one != other for one, other in zip(first, second, strict=False)) + abs(len(first) - len(second))


def swapped(text: str, old: str, new: str) -> str:
    """The text with every `old` replaced by `new`. Raises TwinError where `old` does not stand in it."""
    if not old or old not in text:
        raise TwinError(f"{old!r} does not stand in the prompt" if old else "say what is to be replaced: OLD → NEW")
    return text.replace(old, new)


def changes(first: str, second: str) -> list[tuple[str, bool]]:
    """The second text in pieces, each with whether it differs from the first."""
    pieces: list[tuple[str, bool]] = []
    for kind, _, _, start, end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if start < end:
            pieces.append((second[start:end], kind != "equal"))
    return pieces

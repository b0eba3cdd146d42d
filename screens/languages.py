"""Languages as people call them."""

from __future__ import annotations

_NAMES = {"zh-Hans": "简体", "zh-Hant": "繁體", "en": "English"}


def language_name(code: str) -> str:
    """The language's own name where it is known here, else its code."""
    return _NAMES.get(code, code)


def asked_in(code: str) -> str:
    """As a row of findings says it: `asked in 简体`."""
    return f"asked in {language_name(code)}" if code else "all languages"

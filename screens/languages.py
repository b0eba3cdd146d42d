"""Languages as people call them."""

from __future__ import annotations

_NAMES = {
    "ar": "العربية",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "hi": "हिन्दी",
    "id": "Indonesia",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "pt": "Português",
    "ru": "Русский",
    "tr": "Türkçe",
    "vi": "Tiếng Việt",
    "zh-Hans": "简体",
    "zh-Hant": "繁體",
}


def language_name(code: str) -> str:
    """The language's own name where it is known here, else its code."""
    return _NAMES.get(code, code)


def asked_in(code: str, context: str = "") -> str:
    """As a row of findings says it: `asked in 简体`, `asked in English, context rule`."""
    said = f"asked in {language_name(code)}" if code else "all languages"
    return f"{said}, context {context}" if context else said


def asked_short(code: str, context: str = "") -> str:
    """The same for a narrow column."""
    return f"{context} {code}" if context else language_name(code)

"""Text from outside, made safe to draw: the one boundary between what a model or a file says and a terminal."""

from __future__ import annotations

import re
import unicodedata

# Escape sequences go as a whole, so that their parameters do not stay behind as text: OSC, DCS, PM, APC and SOS up to
# their terminator, CSI up to its final byte, and two-character escapes.
_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
# Bidi embeddings, overrides and isolates can make a text read as something else. U+200C and U+200D stay: Persian,
# the Indic scripts and emoji need them.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f]")


def safe_text(text: str, *, newlines: bool = False) -> str:
    """`text` without escape sequences, control characters and bidi controls.

    Newlines are kept only on request, else they are shown as ⏎; tabs become spaces. Lone surrogates become U+FFFD.
    """
    text = text.encode("utf-8", "replace").decode("utf-8") if _has_surrogate(text) else text
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    text = _BIDI.sub("", text).replace("\t", "    ")
    text = _CONTROL.sub("", text)
    return text if newlines else text.replace("\n", "⏎")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def cells(text: str) -> int:
    """Width of a text in terminal cells (wide characters count two, combining marks none)."""
    width = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def clip(text: str, width: int) -> str:
    """`text` cut to `width` cells, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += cells(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…" if width > 0 else ""


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in {"B", "kB", "MB"} else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def parameters(count: int) -> str:
    """A number of parameters for people."""
    if not count:
        return ""
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def identity(fingerprint: str) -> str:
    """A fingerprint with what it is of: weights, or only what a server says of itself."""
    if fingerprint.startswith("endpoint:"):
        return f"{fingerprint} (of what the server says of the model, not of its weights)"
    return f"SHA-256 {fingerprint}" if fingerprint else ""

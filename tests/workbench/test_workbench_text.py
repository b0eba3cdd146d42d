"""Text from outside, made safe to draw."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import logs
from workbench.text import cells, clip, safe_text


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("plain 菠萝 नमस्ते", "plain 菠萝 नमस्ते"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("a\u202eb\u2066c\u200ed", "abcd"),
        ("می\u200cخواهم 👩\u200d🌾", "می\u200cخواهم 👩\u200d🌾"),
        ("a\tb\x00c\x07", "a    bc"),
        ("one\r\ntwo\rthree", "one⏎twothree"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("[/] [b]not markup[/b]", "[/] [b]not markup[/b]"),
        ("\u2028\u2029\ufeff", ""),
    ],
)
def test_safe_text(raw: str, safe: str) -> None:
    assert safe_text(raw) == safe


@given(st.text(st.characters(), max_size=60))
def test_nothing_that_moves_a_cursor_is_left(raw: str) -> None:
    for newlines in (False, True):
        safe = safe_text(raw, newlines=newlines)
        assert not [c for c in safe if (ord(c) < 32 and not (newlines and c == "\n")) or 127 <= ord(c) < 160]
        assert "\u202e" not in safe
        assert safe_text(safe, newlines=newlines) == safe
        safe.encode("utf-8")


@given(st.text("ab菠萝한กि👩é", max_size=30), st.integers(1, 20))
def test_clip_keeps_to_the_width_and_says_so(text: str, width: int) -> None:
    cut = clip(text, width)
    assert cells(cut) <= width
    assert cut == text or cut.endswith("…")


def test_cells() -> None:
    assert cells("菠萝 ab") == 7
    assert cells("한국어") == 6
    assert cells("e\u0301") == 1


def test_the_log_holds_no_escapes_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "workbench.log"
    logger = logs.start(path)
    logger.warning("model said %s", "\x1b[2J\x1b]0;owned\x07hello")
    for handler in logger.handlers[:]:
        handler.close()
        logger.removeHandler(handler)
    assert path.stat().st_mode & 0o777 == 0o600
    assert logs.tail(path)[-1].endswith("WARNING model said hello")
    assert logs.tail(tmp_path / "none.log") == []

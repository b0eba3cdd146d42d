"""F1: what the screen is for, and its keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Markdown


class HelpScreen(ModalScreen[None]):
    """The screen's own text, then every key that works there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "close")]

    def __init__(self, title: str, text: str, about: Screen[None]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._keys = _keys(about)

    def compose(self) -> ComposeResult:
        """One page."""
        with VerticalScroll(classes="dialog page"):
            rows = "\n".join(f"| `{key}` | {what} |" for key, what in self._keys)
            yield Markdown(f"## {self._title}\n\n{self._text}\n\n| key | |\n|---|---|\n{rows}\n", open_links=False)


def _keys(about: Screen[None]) -> list[tuple[str, str]]:
    """Keys and what they do, the screen's own first."""
    found: dict[str, str] = {}
    for active in about.active_bindings.values():
        binding = active.binding
        if active.enabled and binding.description and not binding.system:
            key = about.app.get_key_display(binding)
            what = binding.tooltip or binding.description
            found.setdefault(what, key)
    return [(key, what) for what, key in found.items()]

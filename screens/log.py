"""F12: the last lines of the log."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Log, Static

from workbench.text import safe_text


class LogScreen(ModalScreen[None]):
    """What the application wrote down: for a bug report, or to see what a model's library says."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f12,q", "dismiss", "close"),
        Binding("r", "reload", "read again"),
    ]

    def compose(self) -> ComposeResult:
        """Path and lines."""
        with Vertical(classes="dialog page"):
            yield Static(id="log-path", markup=False)
            yield Log(id="log-lines", highlight=False)
            yield Static("r read again · esc close", classes="hint")

    def on_mount(self) -> None:
        """Show what there is."""
        self.action_reload()

    def action_reload(self) -> None:
        """Read the file again."""
        from workbench import logs, paths

        path = paths.log_path()
        lines = [safe_text(line) for line in logs.tail(path)]
        self.query_one("#log-path", Static).update(safe_text(str(path)))
        log = self.query_one("#log-lines", Log)
        log.clear()
        log.write_lines(lines or ["Nothing has been written down yet."])

"""What every screen has: the line at the top with modes and running audit, the footer with keys, help on F1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp
    from workbench.core import Workbench

MODES = (("1", "models", "Models"), ("2", "compare", "Compare"), ("3", "live", "Live"), ("7", "history", "History"))
"""Key, name and title of each mode that works."""


class TopBar(Static):
    """The application's name, its modes, and the audit that runs wherever one looks."""

    def on_mount(self) -> None:
        """Keep the running audit's share current."""
        self.set_interval(0.5, self.refresh)

    def render(self) -> Text:
        """One line, with the running audit at its right end."""
        app: WorkbenchApp = self.app  # type: ignore[assignment]
        narrow = self.size.width < 100
        line = Text(" cw  " if narrow else " culture-workbench  ", style="bold", end="", no_wrap=True)
        for key, mode, title in MODES:
            here = mode == app.current_mode
            line.append(f" {key} {title} ", style="reverse" if here else "")
        job = app.job
        if job is not None:
            mark = {"running": "⏵", "complete": "✓", "paused": "⏸", "failed": "✗"}.get(job.status, "")
            said = f"{job.share:.0%}" if job.running else job.status
            state = f"{mark} audit {job.audit[:4]} {said} "
            line.append(" " * max(1, self.size.width - cells(line.plain) - cells(state)))
            line.append(state, style="bold")
        return line


class Frame(Screen[None]):
    """A screen of a mode. `HELP` (Markdown) is what F1 shows; `crumbs` is the line under the top bar."""

    HELP: ClassVar[str] = ""
    HELP_TITLE: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "explain", "help", id="help", key_display="f1"),
        Binding("escape", "back", "back", show=False, id="back"),
    ]

    @property
    def core(self) -> Workbench:
        """The one door to everything that the application can do."""
        return self.workbench.core

    @property
    def workbench(self) -> WorkbenchApp:
        """The application, typed."""
        app: WorkbenchApp = self.app  # type: ignore[assignment]
        return app

    @property
    def narrow(self) -> bool:
        """Whether panes are tabs now (see the application's breakpoints)."""
        return self.app.size.width < 100

    def compose(self) -> ComposeResult:
        """Top bar, body, footer."""
        yield TopBar(id="top")
        yield from self.body()
        yield Footer(show_command_palette=not self.narrow)

    def body(self) -> ComposeResult:
        """What stands between top bar and footer."""
        raise NotImplementedError

    def action_explain(self) -> None:
        """Explain the screen and list its keys."""
        from screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.HELP_TITLE, self.HELP, self))

    def action_back(self) -> None:
        """Return to the screen before, where there is one."""
        if len(self.app.screen_stack) > 1:
            self.dismiss()

    def tell(self, message: str, *, error: bool = False, title: str = "") -> None:
        """A toast for a fact. The message may hold text from outside."""
        self.notify(
            safe_text(message), title=title, severity="error" if error else "information", markup=False, timeout=8
        )

    def confirmed(self, question: str, yes: str, action: object) -> None:
        """Ask before something that cannot be undone; `action` is called on yes."""
        from screens.dialogs import Confirm

        def answered(sure: bool | None) -> None:
            if sure and callable(action):
                action()

        self.app.push_screen(Confirm(question, yes), answered)


def crumbs(*parts: str, width: int = 0) -> Text:
    """A breadcrumb line: `Compare › audit 3f2 › Findings`."""
    line = Text(end="", no_wrap=True)
    for place, part in enumerate(parts):
        if place:
            line.append(" › ", style="dim")
        line.append(safe_text(part), style="bold" if place == len(parts) - 1 else "")
    if width and cells(line.plain) > width:
        return Text(clip(line.plain, width), style="bold", end="")
    return line

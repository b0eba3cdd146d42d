"""The Textual application: modes, bindings, themes. Everything else is in `screens`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from workbench.settings import SettingsError, save

if TYPE_CHECKING:
    from screens.jobs import AuditJob
    from workbench.core import Workbench

_ASSETS = Path(__file__).parent.parent / "assets"


def _models() -> Screen[None]:
    from screens.models import ModelsScreen

    return ModelsScreen()


def _compare() -> Screen[None]:
    from screens.setup import SetupScreen

    return SetupScreen()


def _live() -> Screen[None]:
    from screens.live import LiveScreen

    return LiveScreen()


def _history() -> Screen[None]:
    from screens.history import HistoryScreen

    return HistoryScreen()


class WorkbenchApp(App[None]):
    """The workbench in a terminal. `audit`: open on the findings of this audit."""

    TITLE = "culture-workbench"
    CSS_PATH = [  # noqa: RUF012
        _ASSETS / f"{name}.tcss" for name in ("workbench", "models", "compare", "live", "vote", "history")
    ]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "models": _models,
        "compare": _compare,
        "live": _live,
        "history": _history,
    }
    DEFAULT_MODE = "models"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 (declared so by Textual)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('models')", "Models", show=False, id="mode.models"),
        Binding("2", "switch_mode('compare')", "Compare", show=False, id="mode.compare"),
        Binding("3", "switch_mode('live')", "Live", show=False, id="mode.live"),
        Binding("7", "switch_mode('history')", "History", show=False, id="mode.history"),
        Binding("f12", "log", "log", show=False, id="log"),
        Binding("ctrl+t", "toggle_theme", "light or dark", show=False, id="theme"),
    ]

    def __init__(self, core: Workbench | None = None, audit: str = "") -> None:
        if core is None:
            from workbench.core import Workbench

            core = Workbench()
        super().__init__()
        self.core = core
        self.job: AuditJob | None = None
        self._audit = audit

    def on_mount(self) -> None:
        """Themes, keys and motion as the user set them; then the audit that was asked for."""
        from screens.themes import THEMES

        for theme in THEMES:
            self.register_theme(theme)
        wanted = self.core.settings.theme
        if wanted in self.available_themes:
            self.theme = wanted
        else:
            self.theme = THEMES[0].name
            self.notify(f"There is no theme {wanted!r}: {self.theme} is used", severity="warning", markup=False)
        self.set_keymap(self.core.settings.keys)
        if self.core.settings.reduced_motion:
            self.animation_level = "none"
        if self._audit:
            self.open_audit(self._audit)

    def open_audit(self, audit: str) -> None:
        """Show the findings of an audit, over the history."""
        from screens.findings import FindingsScreen

        self.switch_mode("history")
        self.push_screen(FindingsScreen(audit))

    def action_log(self) -> None:
        """Show the last lines of the log."""
        from screens.log import LogScreen

        self.push_screen(LogScreen())

    def action_toggle_theme(self) -> None:
        """Change between the light and the dark theme, and remember it."""
        from screens.themes import DARK, LIGHT

        self.theme = LIGHT.name if self.current_theme.dark else DARK.name
        try:
            save({"theme": self.theme})
        except SettingsError as error:
            self.notify(str(error), severity="error", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette's commands: Textual's own, the modes, the log."""
        yield from super().get_system_commands(screen)
        yield SystemCommand("Models", "What is on this machine", lambda: self.switch_mode("models"))
        yield SystemCommand("Compare", "Set up and run an audit", lambda: self.switch_mode("compare"))
        yield SystemCommand("Live", "A prompt, and bars that move while you type", lambda: self.switch_mode("live"))
        yield SystemCommand("History", "Every audit so far", lambda: self.switch_mode("history"))
        yield SystemCommand("Log", "The last lines of the log file", self.action_log)

    async def action_quit(self) -> None:
        """Leave; a running audit is paused first, so that it can be resumed."""
        if self.job is not None and self.job.running:
            self.job.cancel()
            self.job.wait(10)
        await super().action_quit()


def open_app(core: Workbench, audit: str = "") -> None:
    """Open the application and wait until it is left."""
    WorkbenchApp(core, audit).run()

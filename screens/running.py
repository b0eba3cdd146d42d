"""Compare, second part: the audit while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from screens.draw import bar, colour, duration, sign, verdict_sign
from screens.frame import Frame, crumbs
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from screens.jobs import AuditJob, ModelState

_STAGES = {
    "waiting": "waits for the device",
    "loading": "is being loaded",
    "checking": "fast and plain scores are compared",
    "noise": "the noise floor is measured",
    "asking": "answers",
    "done": "has answered everything",
}


class RunScreen(Frame):
    """Live progress per model; the audit goes on when the screen is left."""

    HELP_TITLE = "Compare: the running audit"
    HELP = (
        "Every answer is on disk within a second: whatever happens, nothing is asked twice. Before a model answers, "
        "its fast scores are compared with plain ones (*canary*), and how much its scores move with the layout of the "
        "computation is measured (*noise floor*).\n\nYou can leave this screen: the line at the top keeps showing the "
        "audit. `s` stops it after the current question; it can be resumed here or from the history."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop (resumable)", id="run.stop"),
        Binding("r", "resume", "resume", id="run.resume"),
        Binding("enter", "findings", "findings", id="run.findings"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, job: AuditJob) -> None:
        super().__init__()
        self._job = job
        self._seen_running = job.running

    def body(self) -> ComposeResult:
        """Breadcrumbs and one block of lines a model."""
        yield Static(crumbs("Compare", f"audit {self._job.audit[:4]}", "run"), classes="crumbs")
        with VerticalScroll(id="run", can_focus=False):
            yield Static(id="run-models")
            yield Static(id="run-end", classes="hint")

    def on_mount(self) -> None:
        """Look at the job four times a second."""
        self.set_interval(0.25, self._look)
        self._look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what makes sense now is offered."""
        status = self._job.status
        wanted = {"stop": status == "running", "resume": status == "paused", "findings": status == "complete"}
        return wanted.get(action, True)

    def _look(self) -> None:
        self.query_one("#run-models", Static).update(self._models())
        if not self._job.running:
            self.query_one("#run-end", Static).update(Text(self._end()))
            if self._seen_running:
                self._seen_running = False
                self.refresh_bindings()
                if self._job.status == "complete" and self.app.screen is self:
                    self.action_findings()

    def _models(self) -> Text:
        width = max(40, self.app.size.width - 4)
        text = Text(end="")
        for place, (key, state) in enumerate(list(self._job.models.items())):
            style = colour(place, self.app.current_theme.dark)
            text.append(f"{sign(place)} {clip(safe_text(key), width // 2)}", style=style)
            text.append(f"  {_STAGES.get(state.stage, state.stage)}")
            if state.detail:
                text.append(clip(f"  {safe_text(state.detail)}", width // 2), style="dim")
            text.append("\n")
            text.append(self._bar(state, width), style=style)
            text.append(f"\n{self._counts(state, width)}\n\n", style="dim")
        if not self._job.models:
            text.append("Opening the history…")
        return text

    @staticmethod
    def _bar(state: ModelState, width: int) -> str:
        share = state.done / state.total if state.total else 0.0
        left = state.seconds_left
        said = f" {state.done:,} of {state.total:,}" + (f" · {duration(left)} left" if left is not None else "")
        room = max(10, width - cells(said) - 30 if width > 90 else width - cells(said))
        drawn = bar(share, room)
        return drawn + "·" * (room - cells(drawn)) + said

    @staticmethod
    def _counts(state: ModelState, width: int) -> str:
        counts = "  ".join(f"{verdict_sign(kind)} {kind} {count:,}" for kind, count in sorted(state.verdicts.items()))
        return clip(f"  {state.place}   {counts}" if state.place else "  ", width)

    def _end(self) -> str:
        job = self._job
        took = duration((job.ended or time.monotonic()) - job.started)
        if job.status == "complete":
            return f"Complete in {took}. enter shows the findings."
        if job.status == "paused":
            return f"Stopped: {safe_text(job.message)}. Everything so far is kept; r resumes."
        return f"The audit failed: {safe_text(job.message)}"

    def action_stop(self) -> None:
        """Stop after the current question."""
        self._job.cancel()
        self.tell("Stopping after this question. Everything so far is kept.")

    def action_resume(self) -> None:
        """Go on where it stopped."""
        from screens.jobs import AuditJob
        from workbench.audits.errors import AuditError
        from workbench.history.rows import HistoryError

        if not self._job.wait(2):
            self.tell("It is still stopping: try again in a moment.", error=True)
            return
        job = AuditJob(self.core)
        try:
            job.resume(self._job.audit)
        except (AuditError, HistoryError) as error:
            self.tell(str(error), error=True)
            return
        self.workbench.job = self._job = job
        self._seen_running = True
        self.query_one("#run-end", Static).update("")
        self.refresh_bindings()

    def action_findings(self) -> None:
        """Show what was found, in this screen's place."""
        from screens.findings import FindingsScreen

        self.app.switch_screen(FindingsScreen(self._job.audit))

"""The audit that runs behind the screens. Screens ask for its state a few times a second; they never wait for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suites.base import Suite
    from workbench.audits.events import Event
    from workbench.audits.plan import Plan
    from workbench.core import Workbench


class ModelState:
    """How far one model is."""

    def __init__(self, total: int) -> None:
        self.stage = "waiting"
        self.detail = ""
        self.done = 0
        self.total = total
        self.place = ""
        """Suite and task of the last answer."""
        self.verdicts: Counter[str] = Counter()
        self.began = 0.0
        """When its first answer of this run came (monotonic seconds); 0 before."""
        self.first = 0
        """How many answers it had before that."""

    @property
    def seconds_left(self) -> float | None:
        """An estimate from this run's own pace; None before there is one."""
        asked = self.done - self.first
        if self.stage != "asking" or asked < 3:
            return None
        return (time.monotonic() - self.began) / asked * (self.total - self.done)


class AuditJob:
    """One run of one audit in a thread of its own. `status`: running, complete, paused or failed."""

    def __init__(self, core: Workbench) -> None:
        self._runner = core.runner([self._hear])
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.audit = ""
        self.status = "running"
        self.message = ""
        self.models: dict[str, ModelState] = {}
        self.started = time.monotonic()
        self.ended = 0.0

    def start(self, plan: Plan, suites: Sequence[Suite], note: str = "") -> None:
        """Begin a new audit. Raises AuditError, HistoryError."""
        self.audit = self._runner.start(plan, suites, note)
        self._go()

    def resume(self, audit: str) -> None:
        """Go on with an audit. Raises AuditError, HistoryError."""
        self.audit = self._runner.resume(audit)
        self._go()

    def _go(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"audit {self.audit}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        from workbench.history.rows import HistoryError

        try:
            self._runner.run()
        except HistoryError as error:
            self._end("paused", str(error))
        except Exception as error:
            # A bug must be seen, not swallowed: the log has its traceback, the screen its line.
            logging.getLogger("culture-workbench").exception("audit %s", self.audit)
            self._end("failed", f"{type(error).__name__}: {error} (the log has more: F12)")

    def cancel(self) -> None:
        """Stop after the current question; what was answered stays."""
        self._runner.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait for the run to end; whether it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.status == "running"

    @property
    def share(self) -> float:
        """How much of the audit has been answered, 0..1."""
        with self._lock:
            total = sum(model.total for model in self.models.values())
            return sum(model.done for model in self.models.values()) / total if total else 0.0

    def _hear(self, event: Event) -> None:
        from workbench.audits import events

        with self._lock:
            if isinstance(event, events.AuditStarted):
                self.models = {key: ModelState(total) for key, total in event.models.items()}
            elif isinstance(event, events.ModelStage):
                state = self.models[event.model]
                state.stage, state.detail = event.stage, event.detail
                if event.stage == "done":
                    state.done = state.total
            elif isinstance(event, events.TrialAnswered):
                state = self.models[event.model]
                if not state.began:
                    state.began, state.first = time.monotonic(), event.done - 1
                state.done = event.done
                state.place = f"{event.suite} · {event.task}"
                state.verdicts[event.verdict] += 1
        if isinstance(event, events.AuditEnded):
            self._end(event.status, event.message)

    def _end(self, status: str, message: str) -> None:
        self.ended = time.monotonic()
        self.message = message
        self.status = status

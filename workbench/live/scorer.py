"""A thread that keeps panes' bars up to date while somebody types: the newest text wins, the outdated is given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec

from engines.base import Cancelled, ChoiceRequest, Engine, EngineError
from workbench.audits.checks import measure_noise
from workbench.audits.scheduler import LeaseCancelled
from workbench.live.bars import Bars, bars

DEBOUNCE = 0.04
"""Seconds of stillness before a text is scored."""
REST = 1.0
"""Seconds of stillness before the noise of what is shown is measured."""


class Job(msgspec.Struct, frozen=True):
    """One pane to be scored. `key` names it in the results."""

    key: int
    engine: Engine
    request: ChoiceRequest


class Shown(msgspec.Struct, frozen=True):
    """A pane's bars, or why there are none. `turn` is what `ask` returned for the text that they belong to."""

    turn: int
    key: int
    bars: Bars | None = None
    problem: str = ""
    died: bool = False


class Floor(msgspec.Struct, frozen=True):
    """The noise floor of a pane's model on what it shows, in nats."""

    turn: int
    key: int
    floor: float


Heard = Callable[[Shown | Floor], None]
Device = Callable[[Engine, Callable[[], bool]], AbstractContextManager[None]]
"""Leases the device of an engine for one scoring, unless the second argument says that it is no longer wanted; then
LeaseCancelled."""


class Scorer:
    """Scores the jobs of the last `ask`, one after the other; results are told from its own thread."""

    def __init__(self, device: Device, heard: Heard, *, debounce: float = DEBOUNCE, rest: float = REST) -> None:
        self._device = device
        self._heard = heard
        self._debounce = debounce
        self._rest = rest
        self._changed = threading.Condition()
        self._jobs: tuple[Job, ...] = ()
        self._turn = 0
        self._asked = 0.0
        self._busy: Engine | None = None
        self._done = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def ask(self, jobs: Sequence[Job], *, now: bool = False) -> int:
        """Score these from now on, and nothing that was asked before; returns the turn's number. `now`: without waiting
        for more keys."""
        with self._changed:
            self._turn += 1
            self._jobs = tuple(jobs)
            self._asked = time.monotonic() - (self._debounce if now else 0.0)
            busy = self._busy
            self._changed.notify_all()
            turn = self._turn
        if busy is not None:
            busy.cancel()
        return turn

    def close(self) -> None:
        """Give up what is going on and end the thread."""
        with self._changed:
            self._closed = True
            self._turn += 1
            busy = self._busy
            self._changed.notify_all()
        if busy is not None:
            busy.cancel()
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._turn != self._done)
                while not self._closed and (left := self._asked + self._debounce - time.monotonic()) > 0:
                    self._changed.wait(left)
                if self._closed:
                    return
                turn, jobs = self._turn, self._jobs
            self._done = turn
            if all(self._score(turn, job) for job in jobs) and jobs:
                self._measure(turn, jobs)

    def _outdated(self, turn: int) -> bool:
        return self._turn != turn or self._closed

    def _score(self, turn: int, job: Job) -> bool:
        """Score one pane; False when a newer text is there."""
        try:
            with self._device(job.engine, lambda: self._outdated(turn)), self._asking(turn, job.engine):
                started = time.perf_counter()
                (scores,) = job.engine.score([job.request])
                result = Shown(turn, job.key, bars(scores, time.perf_counter() - started))
        except (Cancelled, LeaseCancelled):
            # A cancel that was meant for another turn, or for no turn of ours: this one is still wanted.
            return False if self._outdated(turn) else self._score(turn, job)
        except EngineError as error:
            result = Shown(turn, job.key, problem=str(error), died=True)
        except ValueError as error:
            result = Shown(turn, job.key, problem=str(error))
        if self._outdated(turn):
            return False
        self._heard(result)
        return True

    @contextmanager
    def _asking(self, turn: int, engine: Engine) -> Iterator[None]:
        """While it lasts, a newer text cancels the engine's work. Raises Cancelled where one is there already."""
        with self._changed:
            self._go_on(turn)
            self._busy = engine
        try:
            yield
        finally:
            with self._changed:
                self._busy = None

    def _measure(self, turn: int, jobs: Sequence[Job]) -> None:
        """When nothing is typed for a while: how much of the bars is the noise of the layout of the computation."""
        with self._changed:
            if self._changed.wait_for(lambda: self._outdated(turn), self._rest):
                return
        measured: dict[str, float] = {}
        for job in jobs:
            name = job.engine.card.fingerprint or job.engine.card.name
            try:
                with self._device(job.engine, lambda: self._outdated(turn)), self._asking(turn, job.engine):
                    if name not in measured:
                        noise = measure_noise(job.engine, [job.request], lambda: self._go_on(turn))
                        if noise is None:
                            continue
                        measured[name] = noise.floor
            except (Cancelled, LeaseCancelled, EngineError):
                # Without a floor differences are drawn as they are; an engine that died says so at the next text.
                return
            if not self._outdated(turn):
                self._heard(Floor(turn, job.key, measured[name]))

    def _go_on(self, turn: int) -> None:
        if self._outdated(turn):
            raise Cancelled("outdated")

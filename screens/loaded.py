"""The engines that are loaded while the application is open, and what was measured of them.

Nothing here draws and nothing here waits on the interface: every call that can take long is made from a worker thread,
with a `Work` that says how far it is and whether it should stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from engines.base import (
    Cancelled,
    Engine,
    EngineDied,
    LoadOptions,
    ModelCard,
)
from workbench.audits.scheduler import LeaseCancelled, Scheduler
from workbench.audits.tryout import Checked, try_out

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp
    from workbench.core import Taken, Workbench


class Work:
    """Slow work in a thread: `line` says how far it is, `stop` makes it end as soon as it can."""

    def __init__(self, key: str, text: str, *, stoppable: bool = True) -> None:
        self.key = key
        self.stoppable = stoppable
        """Whether somebody at the screen may end it; leaving the application always may."""
        self._text = text
        self._began = 0.0
        self._done = self._total = 0
        self._stop = threading.Event()
        self._engine: Engine | None = None
        self._scheduler: Scheduler | None = None

    def say(self, text: str) -> None:
        """What is done now. Raises Cancelled when the work is to stop."""
        self.go_on()
        self._text, self._total = text, 0

    def progress(self, name: str, done: int, total: int) -> None:
        """How far reading or writing a file is. Raises Cancelled when the work is to stop."""
        self.go_on()
        if total != self._total or name != self._text:
            self._text, self._began = name, time.monotonic()
        self._done, self._total = done, total

    def go_on(self) -> None:
        """Raises Cancelled when the work is to stop."""
        if self._stop.is_set():
            raise Cancelled("stopped")

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def line(self) -> str:
        """What is going on, in a few words: `smollm2-135m-instruct: 45 % · 3 s left`."""
        done, total = self._done, self._total
        if not total:
            return self._text
        said = f"{self._text}: {min(1.0, done / total) * 100:.0f} %"
        passed = time.monotonic() - self._began
        if passed > 1 and 0 < done < total:
            said += f" · {passed / done * (total - done):.0f} s left"
        return said

    def stop(self) -> None:
        """Ask it to end: while it waits for a device, between two pieces of a file, or within a token."""
        self._stop.set()
        scheduler, engine = self._scheduler, self._engine
        if scheduler is not None:
            scheduler.wake()
        if engine is not None:
            engine.cancel()

    @contextmanager
    def device(self, scheduler: Scheduler, device: str) -> Iterator[None]:
        """The device, after at most one question of the audit that has it. Raises Cancelled."""
        self.say(f"{self._text}: waiting for the {device.upper()}")
        self._scheduler = scheduler
        try:
            with scheduler.interactive(device, self._stop.is_set):
                yield
        except LeaseCancelled as error:
            raise Cancelled("stopped") from error
        finally:
            self._scheduler = None

    @contextmanager
    def asks(self, engine: Engine) -> Iterator[None]:
        """While this lasts, `stop` stops the engine's answer as well."""
        self._engine = engine
        try:
            yield
        finally:
            self._engine = None


class _Held(msgspec.Struct, frozen=True):
    engine: Engine
    options: LoadOptions
    device: str
    """As the scheduler leases it."""


class Session:
    """The models of one open application: engines, checks, and the one that was chosen. Thread-safe."""

    def __init__(self, core: Workbench) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._closed = False
        self.checks: dict[str, Checked] = {}
        """By the model's name."""
        self.taken: dict[str, Taken] = {}
        """What each loaded model really took when it was loaded, by its name."""
        self.chosen = ""
        """The model that was last chosen on the screen of models, for the next audit; "" before one was."""

    @property
    def names(self) -> list[str]:
        """Of the models that are loaded."""
        return list(self._held)

    def engine(self, name: str) -> Engine | None:
        """A loaded engine; None where it is not loaded."""
        held = self._held.get(name)
        return held.engine if held else None

    def card(self, name: str) -> ModelCard | None:
        """What is loaded and how it runs; None where it is not loaded."""
        engine = self.engine(name)
        return engine.card if engine else None

    def options(self, name: str) -> LoadOptions | None:
        """How it was loaded; None where it is not loaded."""
        held = self._held.get(name)
        return held.options if held else None

    def memory(self, name: str) -> int:
        """Bytes that a loaded model has in use; 0 where nothing is known."""
        return int(getattr(self.engine(name), "memory", int)())

    def load(self, name: str, work: Work) -> ModelCard:
        """Load a model and keep it. Raises EngineError, EngineDied, Cancelled; then nothing is kept."""
        opened = self._open(name, work)
        with self._lock:
            keep = not (self._closed or work.stopped)
            if keep:
                self._held[name] = opened
        if not keep:
            opened.engine.close()
            raise Cancelled("stopped")
        return opened.engine.card

    def device(self, engine: Engine) -> str:
        """The device that a loaded engine computes on, found out when it was loaded; the processor for any other."""
        return next((held.device for held in list(self._held.values()) if held.engine is engine), "cpu")

    def unload(self, name: str) -> None:
        """Give a model's memory back."""
        with self._lock:
            held = self._held.pop(name, None)
        if held is not None:
            held.engine.close()

    def check(self, name: str, work: Work) -> Checked:
        """Try a model out; one that was not loaded is unloaded again. Raises EngineError, EngineDied, Cancelled."""
        held = self._held.get(name)
        opened = held or self._open(name, work)
        try:
            work.say(f"checking {name}")
            with work.device(self._core.scheduler, opened.device), work.asks(opened.engine):
                work.say(f"checking {name}")
                checked = try_out(opened.engine, work.go_on)
        except EngineDied:
            self.unload(name)
            raise
        finally:
            if held is None:
                opened.engine.close()
        self.checks[name] = checked
        return checked

    def bury(self) -> list[str]:
        """Forget engines whose process has ended by itself; their names."""
        gone = [name for name, held in self._held.items() if getattr(held.engine, "memory", lambda: 1)() == 0]
        for name in gone:
            self.unload(name)
        return gone

    def close(self) -> None:
        """Unload everything, side by side; what is loaded from now on is given back at once."""
        with self._lock:
            self._closed = True
        threads = [threading.Thread(target=self.unload, args=(name,)) for name in self.names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _open(self, name: str, work: Work) -> _Held:
        from engines.hardware import machine

        model = self._core.usable(name, work.progress)
        options = self._core.options(model.name)
        work.say(f"loading {name}")
        device = self._core.device(model.path, options)
        with work.device(self._core.scheduler, device):
            work.say(f"loading {name}")
            before = machine(torch=model.engine == "hf")
            engine = self._core.open_engine(model.name, options, work.progress)
            self.taken[name] = self._core.taken(engine, before)
            return _Held(engine, options, device)


_SESSIONS: WeakKeyDictionary[WorkbenchApp, Session] = WeakKeyDictionary()


def session_of(app: WorkbenchApp) -> Session:
    """The session of an application, the same for all its screens."""
    if app not in _SESSIONS:
        _SESSIONS[app] = Session(app.core)
    return _SESSIONS[app]

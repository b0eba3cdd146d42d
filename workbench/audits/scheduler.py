"""Who computes where: devices are leased to one holder at a time, and interactive work goes first.

Models that share a device run one after the other; an audit gives its device back between two questions when somebody
at the screen wants it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class LeaseCancelled(Exception):
    """The wait for a device was given up."""


class Lease:
    """The right to compute on a device, held by an audit until it is given back."""

    def __init__(self, scheduler: Scheduler, device: str) -> None:
        self._scheduler = scheduler
        self.device = device
        self.held = True

    @property
    def wanted(self) -> bool:
        """Whether interactive work waits for the device."""
        return self._scheduler.interactive_waiting(self.device)

    def step_aside(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Between two questions: let interactive work have the device if it wants it, and come back afterwards.
        Raises LeaseCancelled when `stopped` says so meanwhile: then the device is no longer held."""
        if not self.wanted:
            return
        self.held = False
        self._scheduler.give(self.device)
        self._scheduler.take(self.device, stopped, interactive=False)
        self.held = True


class Scheduler:
    """Leases of one process. Thread-safe; waiters are told at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[str] = set()
        self._interactive: dict[str, int] = {}

    def interactive_waiting(self, device: str) -> bool:
        """Whether interactive work waits for this device."""
        with self._changed:
            return self._interactive.get(device, 0) > 0

    @contextmanager
    def lease(self, device: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[Lease]:
        """The device for an audit, after whoever has it and after interactive work. Raises LeaseCancelled when
        `stopped` says so while waiting (see `wake`)."""
        self.take(device, stopped, interactive=False)
        lease = Lease(self, device)
        try:
            yield lease
        finally:
            if lease.held:
                self.give(device)

    @contextmanager
    def interactive(self, device: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """The device for somebody at the screen: next, as soon as the audit that has it has finished its question."""
        with self._changed:
            self._interactive[device] = self._interactive.get(device, 0) + 1
        try:
            self.take(device, stopped, interactive=True)
        finally:
            with self._changed:
                self._interactive[device] -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            self.give(device)

    def wake(self) -> None:
        """Let waiters look at their `stopped` again."""
        with self._changed:
            self._changed.notify_all()

    def take(self, device: str, stopped: Callable[[], bool], *, interactive: bool) -> None:
        """Wait for the device and have it. Use `lease` and `interactive`, which give it back. Raises LeaseCancelled."""

        def free() -> bool:
            return device not in self._held and (interactive or self._interactive.get(device, 0) == 0)

        with self._changed:
            self._changed.wait_for(lambda: free() or stopped())
            if not free():
                raise LeaseCancelled(device)
            self._held.add(device)

    def give(self, device: str) -> None:
        """Give back what `take` took."""
        with self._changed:
            self._held.discard(device)
            self._changed.notify_all()


def device_of(engine_kind: str, path: str, gpu_layers: int, gpu: bool) -> str:
    """The device that a model will compute on: an endpoint's address, the GPU, or the processor."""
    if engine_kind == "endpoint":
        return path
    return "gpu" if gpu and gpu_layers != 0 else "cpu"

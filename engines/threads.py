"""How many threads a model computes with: measured, not assumed.

Two threads on two cores of which one is busy run ten to forty times slower than one (they spin at barriers), so the
fastest count is found by trying, at load and again when the speed has collapsed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def physical_cores() -> int:
    """Physical cores that this process may use (at least 1)."""
    try:
        allowed = len(psutil.Process().cpu_affinity() or [])
    except (AttributeError, psutil.Error):  # not on every system
        allowed = 0
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return max(1, min(physical, allowed or physical))


class Calibration:
    """Finds the number of threads that is fastest now and notices when it has stopped to be.

    `apply` sets a count, `probe` does a fixed piece of work and returns its number of tokens. A `fixed` count above 0
    is taken as it is.
    """

    def __init__(self, apply: Callable[[int], None], probe: Callable[[], int], *, fixed: int = 0) -> None:
        self._apply = apply
        self._probe = probe
        self._fixed = fixed
        self._slow = 0
        self.count = fixed or 1
        self.speed = 0.0
        """Tokens a second that the probe ran at; 0 when it was never run."""
        self.calibrate()

    def calibrate(self) -> None:
        """Try counts from one up to the physical cores, doubling, as long as they are faster."""
        self._slow = 0
        if self._fixed:
            self._apply(self._fixed)
            return
        best, speed = 1, 0.0
        count, cores = 1, physical_cores()
        while True:
            self._apply(count)
            if speed == 0.0:
                self._probe()  # the first work touches the weights' pages and is no measure
            measured = self._measure()
            # A second thread must earn its place: on a shared machine a small gain is gone the next moment.
            if measured <= speed * 1.15:
                break
            best, speed = count, measured
            if count == cores:
                break
            count = min(count * 2, cores)
        self.count, self.speed = best, speed
        self._apply(best)

    def share(self, threads: int) -> None:
        """Compute with at most so many threads while others compute beside; 0 ends that."""
        self._apply(min(self.count, threads) if threads else self.count)

    def _measure(self) -> float:
        started = time.perf_counter()
        tokens = self._probe()
        return tokens / max(time.perf_counter() - started, 1e-9)

    def collapsed(self, tokens: int, seconds: float) -> bool:
        """Whether work on several requests in a row ran at under a fifth of the calibrated speed."""
        if self._fixed or self.count == 1 or self.speed == 0.0 or tokens < 16:
            return False
        self._slow = self._slow + 1 if tokens / max(seconds, 1e-9) < self.speed / 5 else 0
        return self._slow >= 3

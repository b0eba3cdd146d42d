"""Several servers with the same model: who is asked next, what is tried again, and who is put aside.

Each piece of work (all requests of one trial) goes to one server. One that fails goes elsewhere after a pause that
grows and is drawn at random; a server that keeps failing is put aside and tried again later. When none is left, the
engine has died: the audit pauses, and everything that was answered is kept.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from engines.base import EngineDied, EngineError
from engines.endpoint.transport import Connection, Refused, Retry

T = TypeVar("T")


class Patience(msgspec.Struct, frozen=True):
    """How long failures are borne; seconds."""

    attempts: int = 6
    """Failures of one piece of work, until it is given up."""
    busy: int = 60
    """Times that it may be sent away because a server has enough to do."""
    base: float = 0.5
    """The first pause; each further one is twice as long."""
    cap: float = 30.0
    """The longest pause."""
    aside_after: int = 2
    """Failures in a row (not at the same time) that put a server aside while another one works."""
    aside: float = 30.0
    """How long at first; each further time twice as long, at most ten times."""


class Replica:
    """One server, and how it has been doing. `connection` is what work is done with."""

    def __init__(self, connection: Connection, slots: int) -> None:
        self.connection = connection
        self.slots = slots
        self.working = 0
        self.probed = False
        self.failures = 0
        self.failed_at = 0.0
        self.asides = 0
        self.aside_until = 0.0
        self.wait_until = 0.0
        self.last = ""
        """What it last failed with."""

    def aside(self, now: float) -> bool:
        """Whether it is put aside."""
        return self.aside_until > now

    def free(self, now: float) -> bool:
        """Whether it can be asked now. One that has to show first that it is back is asked one thing only."""
        slots = self.slots if self.probed else 1
        return self.working < slots and not self.aside(now) and self.wait_until <= now


class Pool:
    """The servers of one model. `probe` looks at one before its first work, and again after it was put aside; `say`
    hears what a user should know. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        replicas: Sequence[Replica],
        probe: Callable[[Replica], Awaitable[None]],
        say: Callable[[str], None],
        patience: Patience,
    ) -> None:
        self._name = name
        self.replicas = tuple(replicas)
        self._probe = probe
        self._say = say
        self._patience = patience
        self._changed = asyncio.Condition()
        self._worked_at = 0.0

    @property
    def slots(self) -> int:
        """How many pieces of work are done at once at most."""
        return sum(replica.slots for replica in self.replicas)

    async def do(self, work: Callable[[Replica], Awaitable[T]]) -> T:
        """Let a server do it, and another one if it fails. Raises Refused for work that no server takes, EngineError
        where a server cannot be used, EngineDied when none works any more."""
        began = time.monotonic()
        failures = sent_away = 0
        last: Replica | None = None
        while True:
            replica = await self._take(last)
            started = time.monotonic()
            known = replica.probed
            try:
                if not known:
                    await self._look(replica)
                    started = time.monotonic()
                result = await work(replica)
            except Retry as failure:
                await self._give(replica, failure, started)
                problem = failure
            except BaseException:
                await self._give(replica)
                raise
            else:
                self._worked_at = time.monotonic()
                replica.failures = replica.asides = 0
                await self._give(replica)
                return result
            last = replica
            sent_away += problem.busy
            failures += not problem.busy
            if failures >= self._patience.attempts or sent_away >= self._patience.busy:
                if problem.status >= 500 and self._worked_at > began:
                    # Other work was done meanwhile: it is this request that the servers cannot do.
                    raise Refused(f"{problem} (tried {failures} times)")
                raise EngineDied(f"{self._name}: {problem} (tried {failures + sent_away} times)")
            if not any(other.free(time.monotonic()) for other in self.replicas if other is not replica):
                await asyncio.sleep(self._pause(max(failures, 1), problem.after))

    def _pause(self, failures: int, after: float | None) -> float:
        # Drawn, so that trials that failed together do not all come back together.
        pause = min(self._patience.cap, self._patience.base * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)
        return max(pause, after or 0.0)

    async def _take(self, but: Replica | None) -> Replica:
        """The free server with the least to do; not the one that has just failed, if there is another."""
        async with self._changed:
            while True:
                now = time.monotonic()
                free = [replica for replica in self.replicas if replica.free(now)]
                if free:
                    chosen = min(free, key=lambda replica: (replica is but, replica.working / replica.slots))
                    chosen.working += 1
                    return chosen
                if all(replica.aside(now) for replica in self.replicas):
                    raise self._all_gone()
                times = [max(one.aside_until, one.wait_until) for one in self.replicas]
                wait = min((moment - now for moment in times if moment > now), default=None)
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _give(self, replica: Replica, failure: Retry | None = None, started: float = 0.0) -> None:
        if failure is not None:
            self._failed(replica, failure, started)
        async with self._changed:
            replica.working -= 1
            self._changed.notify_all()

    def _failed(self, replica: Replica, failure: Retry, started: float) -> None:
        now = time.monotonic()
        replica.last = str(failure)
        if failure.after:
            replica.wait_until = max(replica.wait_until, now + failure.after)
        if failure.busy or started < replica.failed_at:
            return  # what was under way when it failed before is the same failure
        replica.failures += 1
        replica.failed_at = now
        others = [other for other in self.replicas if other is not replica and not other.aside(now)]
        if others and (replica.failures >= self._patience.aside_after or not replica.probed):
            self.put_aside(replica)

    def put_aside(self, replica: Replica) -> None:
        """Ask it no more for a while."""
        seconds = self._patience.aside * min(10.0, 2.0**replica.asides)
        replica.asides += 1
        replica.probed = False
        replica.failures = 0
        replica.aside_until = time.monotonic() + seconds
        self._say(f"{replica.last}: put aside for {seconds:g} s, the others go on")

    async def _look(self, replica: Replica) -> None:
        try:
            await self._probe(replica)
        except EngineError as error:
            if not replica.asides:
                raise
            # It came back as something else: the others go on without it.
            raise Retry(str(error)) from error
        replica.probed = True
        replica.failures = 0
        if replica.asides:
            self._say(f"{replica.connection.host} works again")

    def _all_gone(self) -> EngineDied:
        last = "; ".join(replica.last for replica in self.replicas[:3])
        return EngineDied(f"{self._name}: none of its {len(self.replicas)} servers works any more: {last}")

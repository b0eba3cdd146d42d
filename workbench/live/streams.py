"""Answers of several models at once, token by token: each in a thread of its own, read by whoever draws them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from engines.base import Cancelled, Engine, EngineError, GenerateRequest, Token


class Stream:
    """One answer as it is written. `tokens` only grows; `state`: `waiting`, `writing`, `done`, `stopped`, `failed`."""

    def __init__(self, engine: Engine, request: GenerateRequest, prefix: str = "") -> None:
        self.engine = engine
        self.request = request
        self.prefix = prefix
        self.tokens: list[Token] = []
        self.state = "waiting"
        self.problem = ""
        self.finish = ""
        self.began = 0.0
        self.ended = 0.0
        self._stop = threading.Event()

    @property
    def text(self) -> str:
        """What has been written, with what it was made to begin with."""
        return self.prefix + "".join(token.text for token in list(self.tokens))

    @property
    def going(self) -> bool:
        """Whether more may come."""
        return self.state in {"waiting", "writing"}

    @property
    def pace(self) -> float:
        """Tokens a second so far."""
        seconds = (self.ended or time.monotonic()) - self.began if self.began else 0.0
        return len(self.tokens) / seconds if seconds > 0 else 0.0

    def stop(self) -> None:
        """End it, within a token."""
        self._stop.set()
        if self.going:
            self.engine.cancel()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    def run(self) -> None:
        """Write the answer; every failure ends in `state` and `problem`."""
        if self.stopped:
            self.state = "stopped"
            return
        self.state, self.began = "writing", time.monotonic()
        try:
            for _, token in self.engine.generate([self.request]):
                self.tokens.append(token)
                if token.finish == "error":
                    self.problem = token.error
                self.finish = token.finish or self.finish
                if self._stop.is_set():
                    self.engine.cancel()
            self.state = "failed" if self.problem else "done"
        except Cancelled:
            self.state = "stopped"
        except EngineError as error:
            self.state, self.problem = "failed", str(error)
        finally:
            self.ended = time.monotonic()


class Streams:
    """Starts streams together: those on one device share its cores, different engines on it run side by side."""

    def __init__(
        self, device: Callable[[Engine, Callable[[], bool]], AbstractContextManager[None]], cores: int
    ) -> None:
        self._device = device
        self._cores = cores
        self._threads: list[threading.Thread] = []
        self.running: list[Stream] = []

    def start(self, streams: list[Stream]) -> None:
        """Write all of them. Streams of one engine follow one another."""
        self.stop()
        self.running = streams
        lead = threading.Thread(target=self._run, args=(list(streams),), name="streams", daemon=True)
        self._threads = [lead]
        lead.start()

    def stop(self) -> None:
        """End all of them and wait until they have ended."""
        for stream in self.running:
            stream.stop()
        for thread in self._threads:
            thread.join(10)
        self._threads = []

    def wait(self) -> None:
        """Until all of them have ended by themselves."""
        for thread in self._threads:
            thread.join()

    def _run(self, streams: list[Stream]) -> None:
        from workbench.audits.scheduler import LeaseCancelled

        engines = list(dict.fromkeys(map(id, (stream.engine for stream in streams))))
        by_engine = [[stream for stream in streams if id(stream.engine) == one] for one in engines]
        share = max(1, self._cores // len(by_engine)) if len(by_engine) > 1 else 0
        # The device is leased once for all: they run at the same time on purpose.
        try:
            with self._device(streams[0].engine, lambda: all(stream.stopped for stream in streams)):
                threads = [
                    threading.Thread(target=self._write, args=(mine, share), name="stream", daemon=True)
                    for mine in by_engine
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        except LeaseCancelled:
            for stream in streams:
                stream.state = "stopped"

    @staticmethod
    def _write(streams: list[Stream], share: int) -> None:
        engine = streams[0].engine
        try:
            engine.share_cores(share)
            for stream in streams:
                stream.run()
            engine.share_cores(0)
        except EngineError as error:
            for stream in streams:
                if stream.going:
                    stream.state, stream.problem = "failed", str(error)

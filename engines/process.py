"""An engine in a child process, as the application sees it: the same protocol, but a crash ends the child only."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from engines import wire
from engines.base import (
    Cancelled,
    ChoiceRequest,
    ChoiceScores,
    EngineDied,
    EngineError,
    GenerateRequest,
    LayerReadout,
    LayerRequest,
    LoadOptions,
    ModelCard,
    Shape,
    Token,
    TokenPiece,
)

AHEAD = 4
"""Requests that are sent before the first is answered, so that the child never waits for the next one."""
_KEEP = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "HIP_VISIBLE_DEVICES", "GGML_METAL_PATH_RESOURCES",
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME",
)  # fmt: skip


class EngineProcess:
    """A model in a child process. See `engines.base.Engine`; calls from several threads wait for one another."""

    def __init__(
        self,
        engine: str,
        path: Path,
        options: LoadOptions,
        *,
        name: str = "",
        fingerprint: str = "",
        log: Callable[[str], None] | None = None,
    ) -> None:
        """Start the child and load. Raises EngineError when the model does not load, EngineDied when the child ends
        over it. `log` hears what the libraries print, a line at a time, from a thread of its own."""
        self._name = name or path.stem
        self._calls = 0
        self._turn = threading.Lock()
        self._write = threading.Lock()
        self._heard: collections.deque[str] = collections.deque(maxlen=200)
        self._log = log
        self._child = subprocess.Popen(
            [sys.executable, "-m", "engines.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            close_fds=True,
            # Its own session: an interrupt at the terminal is the application's to handle, not the child's.
            start_new_session=True,
        )
        self._in = cast(BinaryIO, self._child.stdin)
        self._out = cast(BinaryIO, self._child.stdout)
        self._listener = threading.Thread(target=self._listen, name=f"log of {self._name}", daemon=True)
        self._listener.start()
        try:
            self._send(wire.Load(engine, str(path), self._name, fingerprint, options))
            reply = self._receive()
            if not isinstance(reply, wire.Loaded):
                raise EngineError(reply.message if isinstance(reply, wire.Failed) else "the engine answered nonsense")
        except BaseException:
            self.close()
            raise
        self.card: ModelCard = reply.card

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    def memory(self) -> int:
        """Bytes of memory that the child has in use; 0 when it is gone."""
        import psutil

        try:
            return int(psutil.Process(self._child.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        """See `Engine.score`. Leaving the iterator early cancels what was sent ahead."""
        with self._turn:
            first = self._calls + 1
            sent = 0
            try:
                for answered in range(len(requests)):
                    while sent < len(requests) and sent <= answered + AHEAD:
                        self._calls += 1
                        self._send(wire.Score(self._calls, requests[sent], shape))
                        sent += 1
                    yield self._scored(first + answered)
            finally:
                self._drain()

    def _scored(self, call: int) -> ChoiceScores:
        reply = self._reply_to(call)
        if not isinstance(reply, wire.Scored):
            raise EngineError(f"{self._name}: the engine answered something else than scores")
        return reply.scores

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
        """See `Engine.generate`. Leaving the iterator early cancels the answer."""
        with self._turn:
            try:
                for index, request in enumerate(requests):
                    self._calls += 1
                    self._send(wire.Generate(self._calls, request))
                    while True:
                        reply = self._reply_to(self._calls)
                        if not isinstance(reply, wire.Written):
                            raise EngineError(f"{self._name}: the engine answered something else than a token")
                        if reply.token.finish:
                            self._answered = self._calls
                        yield index, reply.token
                        if reply.token.finish:
                            break
            finally:
                self._drain()

    def layers(self, request: LayerRequest) -> LayerReadout:
        """See `Engine.layers`."""
        if "layers" not in self.card.can:
            raise EngineError(f"{self._name}: its engine ({self.card.engine}) cannot read the layers of a model")
        with self._turn:
            self._calls += 1
            self._send(wire.Layers(self._calls, request))
            reply = self._reply_to(self._calls)
            if not isinstance(reply, wire.Read):
                raise EngineError(f"{self._name}: the engine answered something else than layers")
            return reply.readout

    def tokenize(self, text: str) -> list[TokenPiece]:
        """See `Engine.tokenize`."""
        with self._turn:
            self._calls += 1
            self._send(wire.Tokenize(self._calls, text))
            reply = self._reply_to(self._calls)
            if not isinstance(reply, wire.Pieces):
                raise EngineError(f"{self._name}: the engine answered something else than tokens")
            return reply.pieces

    def share_cores(self, threads: int) -> None:
        """See `Engine.share_cores`; heeded before the next request."""
        with self._turn:
            self._send(wire.Share(threads))

    def cancel(self) -> None:
        """See `Engine.cancel`; from any thread. What was asked up to now ends with `Cancelled`."""
        with contextlib.suppress(EngineDied):
            self._send(wire.Cancel(self._calls))

    def close(self) -> None:
        """End the child: politely, then not."""
        if self._child.poll() is None:
            with contextlib.suppress(EngineDied):
                self._send(wire.Cancel(sys.maxsize))
                self._send(wire.Close())
        with contextlib.suppress(OSError):
            self._in.close()
        try:
            self._child.wait(3)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._listener.join(2)
        for stream in (self._out, self._child.stderr):
            if stream is not None:
                stream.close()

    # -- messages -----------------------------------------------------------------------------------------------

    _answered = 0
    """The last call whose answer is complete."""

    def _send(self, question: wire.Question) -> None:
        with self._write:
            try:
                wire.send(self._in, question)
            except (OSError, ValueError) as error:  # ValueError: the stream is closed
                raise self._died() from error

    def _receive(self) -> wire.Reply:
        try:
            reply = wire.receive_reply(self._out)
        except (OSError, ValueError) as error:
            raise self._died() from error
        if reply is None:
            raise self._died()
        return reply

    def _reply_to(self, call: int) -> wire.Reply:
        while True:
            reply = self._receive()
            number = getattr(reply, "call", 0)
            if not isinstance(reply, wire.Written):
                self._answered = max(self._answered, number)
            if number < call:
                continue  # of a call that was given up
            if isinstance(reply, wire.Failed):
                raise (
                    Cancelled(f"{self._name}: cancelled")
                    if reply.cancelled
                    else EngineError(f"{self._name}: {reply.message}")
                )
            return reply

    def _drain(self) -> None:
        """Give up what was asked and not yet answered, and read until its answers are through."""
        if self._answered >= self._calls or self._child.poll() is not None:
            return
        with contextlib.suppress(EngineDied):
            self._send(wire.Cancel(self._calls))
            while self._answered < self._calls:
                reply = self._receive()
                if not isinstance(reply, wire.Written) or reply.token.finish:
                    self._answered = max(self._answered, getattr(reply, "call", 0))

    def _listen(self) -> None:
        for raw in cast(BinaryIO, self._child.stderr):
            line = raw.decode("utf-8", "replace").rstrip()
            self._heard.append(line)
            if self._log is not None:
                self._log(line)

    def _died(self) -> EngineDied:
        """What to say of a child that is gone: how it ended and what it last printed."""
        try:
            status = self._child.wait(2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        self._listener.join(1)
        if status < 0:
            with contextlib.suppress(ValueError):
                how = f"by {signal.Signals(-status).name}"
                if status == -signal.SIGKILL:
                    how += " (out of memory?)"
                return EngineDied(f"{self._name}: its process was ended {how}{self._last_words()}")
        return EngineDied(f"{self._name}: its process ended with status {status}{self._last_words()}")

    def _last_words(self) -> str:
        words = [line for line in self._heard if line.strip(" .")]
        telling = [line for line in words if "error" in line.lower() or "assert" in line.lower()]
        last = (telling or words or [""])[-1]
        return f"; it last said: {last[:300]}" if last else ""


def _environment() -> dict[str, str]:
    """The child's environment: what it needs to run, and no secrets."""
    kept = {name: os.environ[name] for name in _KEEP if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith(("OMP_", "GGML_CUDA", "GOMP_"))}
    here = str(Path(__file__).resolve().parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (here, kept.get("PYTHONPATH", ""))))
    kept["PYTHONIOENCODING"] = "utf-8"
    return kept


def open_engine(
    path: str,
    options: LoadOptions,
    *,
    name: str = "",
    fingerprint: str = "",
    log: Callable[[str], None] | None = None,
) -> EngineProcess:
    """The engine for what `path` is. Raises EngineError for what no engine here can load."""
    file = Path(path)
    kind = "hf" if file.is_dir() else "gguf"
    return EngineProcess(kind, file, options, name=name, fingerprint=fingerprint, log=log)

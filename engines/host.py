"""The child process: `python -m engines.host`. Loads one model and answers the client over its standard streams.

File descriptors 0 and 1 are kept for messages and replaced, so that nothing that a library prints can get between
them; what goes to standard output or standard error reaches the client as its log.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from engines import wire
from engines.base import Cancelled, Engine, EngineError, LoadOptions
from engines.confine import confine


def main() -> int:
    """Serve until told to close or until the client is gone; returns the exit status."""
    questions, replies = _streams()
    confine()
    host = _Host(questions, replies)
    return host.serve()


def _streams() -> tuple[BinaryIO, BinaryIO]:
    questions = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return questions, replies


class _Host:
    def __init__(self, questions: BinaryIO, replies: BinaryIO) -> None:
        self._questions = questions
        self._replies = replies
        self._waiting: queue.SimpleQueue[wire.Question | None] = queue.SimpleQueue()
        self._given_up = 0
        self._engine: Engine | None = None

    def serve(self) -> int:
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        while True:
            question = self._waiting.get()
            if question is None or isinstance(question, wire.Close):
                break
            try:
                self._answer(question)
            except BrokenPipeError:
                break
        if self._engine is not None:
            self._engine.close()
        return 0

    def _listen(self) -> None:
        """Read messages as they come: a cancel must not wait behind the work that it is to end."""
        while True:
            question = wire.receive_question(self._questions)
            if isinstance(question, wire.Cancel):
                self._given_up = max(self._given_up, question.call)
                if self._engine is not None:
                    self._engine.cancel()
            elif question is None:
                # The client is gone: nobody waits for an answer, and a long decode should not outlive it.
                if self._engine is not None:
                    self._given_up = sys.maxsize
                    self._engine.cancel()
                self._waiting.put(None)
                return
            else:
                self._waiting.put(question)

    def _answer(self, question: wire.Question) -> None:
        call = getattr(question, "call", 0)
        try:
            if call and call <= self._given_up:
                raise Cancelled("cancelled")
            if isinstance(question, wire.Load):
                self._engine = load(
                    question.engine, Path(question.path), question.options, question.name, question.fingerprint
                )
                self._send(wire.Loaded(self._engine.card))
            elif self._engine is None:
                raise EngineError("no model is loaded")
            elif isinstance(question, wire.Score):
                self._score(self._engine, question)
            elif isinstance(question, wire.Generate):
                self._generate(self._engine, question)
            elif isinstance(question, wire.Layers):
                self._send(wire.Read(call, self._engine.layers(question.request)))
            elif isinstance(question, wire.Tokenize):
                self._send(wire.Pieces(call, self._engine.tokenize(question.text)))
            elif isinstance(question, wire.Share):
                self._engine.share_cores(question.threads)
        except Cancelled as error:
            self._send(wire.Failed(call, str(error), cancelled=True))
        except EngineError as error:
            self._send(wire.Failed(call, str(error)))
        except (OSError, MemoryError, ValueError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            self._send(wire.Failed(call, f"{type(error).__name__}: {error}"))

    def _score(self, engine: Engine, question: wire.Score) -> None:
        started = time.perf_counter()
        (scores,) = engine.score([question.request], question.shape)
        self._check(question.call)
        self._send(wire.Scored(question.call, scores))
        watch = getattr(engine, "watch_speed", None)
        if watch is not None:
            tokens = scores.prompt_tokens - scores.shared_tokens + sum(option.tokens for option in scores.options)
            watch(tokens, time.perf_counter() - started)

    def _generate(self, engine: Engine, question: wire.Generate) -> None:
        for _, token in engine.generate([question.request]):
            self._check(question.call)
            self._send(wire.Written(question.call, token))

    def _check(self, call: int) -> None:
        """A cancel that came before the engine began was cleared by it; this is where it is still seen."""
        if call <= self._given_up:
            raise Cancelled("cancelled")

    def _send(self, reply: wire.Reply) -> None:
        wire.send(self._replies, reply)


def load(engine: str, path: Path, options: LoadOptions, name: str, fingerprint: str) -> Engine:
    """An engine in this process. Raises EngineError for an unknown kind or a model that does not load."""
    if engine == "gguf":
        try:
            from engines.gguf import GgufEngine
        except (ImportError, OSError) as error:
            raise EngineError(
                f"llama-cpp-python does not load ({' '.join(str(error).split())[:200]}): install it with "
                "`pip install llama-cpp-python`"
            ) from error
        return GgufEngine(path, options, name=name, fingerprint=fingerprint)
    if engine == "hf":
        from engines.hf_folder import check_folder, offline

        # Before any library that reads models is loaded.
        folder = check_folder(path, remote_code=options.remote_code)
        offline()
        try:
            from engines.hf import HfEngine
        except (ImportError, OSError) as error:
            raise EngineError(
                f"PyTorch or transformers does not load ({' '.join(str(error).split())[:200]}): install them with "
                "`make install-hf`, or `pip install 'culture-workbench[hf]'`"
            ) from error
        return HfEngine(folder, options, name=name, fingerprint=fingerprint)
    raise EngineError(f"there is no engine called {engine!r}")


if __name__ == "__main__":
    sys.exit(main())

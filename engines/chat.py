"""Chat templates: untrusted code from a model file, rendered in a sandbox with limits on time, memory and output.

Runs in the engine's child process only.
"""

from __future__ import annotations

import datetime
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from engines.base import EngineError, Message

SECONDS = 2.0
OUTPUT = 1_000_000
"""Characters that a rendered chat may have."""
MEMORY = 512 * 1024 * 1024
"""Bytes that rendering may take on top of what the process has."""


class TemplateError(EngineError):
    """A chat template does not render, or wants too much."""


def render(template: str, messages: Sequence[Message], *, bos: str = "", eos: str = "") -> str:
    """The chat as text, with the marker that the assistant's answer begins.

    Raises `TemplateError` (one line) for whatever the template does wrong: an error of its own, access that the sandbox
    refuses, more than `SECONDS` of time, `OUTPUT` characters or `MEMORY` bytes.
    """
    import jinja2
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"], autoescape=False
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    # Templates print today's date into the system prompt; an audit repeated tomorrow must ask the same.
    environment.globals["strftime_now"] = lambda form: datetime.datetime(2026, 1, 1).strftime(str(form)[:64])
    pieces: list[str] = []
    length = 0
    try:
        with _limits():
            compiled = environment.from_string(template)
            for piece in compiled.generate(
                messages=[{"role": message.role, "content": message.content} for message in messages],
                add_generation_prompt=True,
                bos_token=bos,
                eos_token=eos,
                tools=None,
                enable_thinking=False,
            ):
                length += len(piece)
                if length > OUTPUT:
                    raise TemplateError(f"the chat template writes more than {OUTPUT:,} characters")
                pieces.append(piece)
    except TemplateError:
        raise
    except SecurityError as error:
        raise TemplateError(f"the chat template tries what its sandbox refuses: {_line(error)}") from error
    except MemoryError as error:
        raise TemplateError(f"the chat template wants more than {MEMORY // 1024**2} MB of memory") from error
    except jinja2.TemplateError as error:
        raise TemplateError(f"the chat template does not render: {_line(error)}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise TemplateError(f"the chat template fails: {type(error).__name__}: {_line(error)}") from error
    return "".join(pieces)


def _tojson(value: Any, indent: int | None = None, **_: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: object) -> str:
    raise TemplateError(f"the chat template refuses this chat: {_line(message)}")


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _limits() -> Iterator[None]:
    """Stop the block after `SECONDS`, and refuse it more than `MEMORY` bytes, where the system has the means (a POSIX
    main thread; Linux for the memory)."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TemplateError(f"the chat template takes longer than {SECONDS:g} s")

    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        ceiling = used + MEMORY
        if before[1] != resource.RLIM_INFINITY:
            ceiling = min(ceiling, before[1])
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, before[1]))
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, before)

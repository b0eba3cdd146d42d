"""What a running audit says of itself. Screens and the command line hear these and never talk to an engine."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened in an audit."""

    audit: str


class AuditStarted(Event, frozen=True, kw_only=True):
    """The audit runs; `done` trials were answered before (resume)."""

    total: int
    done: int
    models: dict[str, int]
    """Trials by model key."""


class ModelStage(Event, frozen=True, kw_only=True):
    """A model has reached a stage: `waiting` for its device, `loading`, `checking` (canary), `noise`, `asking`,
    `done`. `detail` is one line for people."""

    model: str
    stage: str
    detail: str = ""


class ModelNotice(Event, frozen=True, kw_only=True):
    """Something that happened to a model and did not stop it: one of its servers was put aside."""

    model: str
    text: str


class TrialAnswered(Event, frozen=True, kw_only=True):
    """One more trial is on its way to the disk. `done` counts this model's."""

    model: str
    suite: str
    task: str
    done: int
    total: int
    verdict: str


class AuditEnded(Event, frozen=True, kw_only=True):
    """The audit has stopped: `complete`, `paused` (can be resumed) or `failed` (a check did not hold)."""

    status: str
    message: str = ""


Listener = Callable[[Event], None]
"""Called from the runner's threads; must return at once."""

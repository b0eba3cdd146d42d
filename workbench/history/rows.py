"""What the history gives back: frozen values, free of SQL."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from suites.base import Answer, Verdict
from workbench.audits.plan import Trial

Status = Literal["running", "paused", "complete", "failed"]


class HistoryError(Exception):
    """The history cannot be read or written; the message is one line that says what, where and what to do."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """An audit as a list shows it. Costs the same for ten answers and for a million."""

    id: str
    """8 hexadecimal digits."""
    created: str
    """UTC, as 2026-11-23T20:31:07Z."""
    finished: str
    """When it was complete or failed; "" before."""
    status: Status
    """`running` only while its writer lives: an audit whose process ended in the middle reads `paused`."""
    message: str
    note: str
    models: tuple[str, ...]
    """Names of the models, in the order of the plan."""
    suites: tuple[str, ...]
    """Ids of the suites, in the order of the plan."""
    done: int
    """Trials answered."""
    total: int
    """Trials planned."""
    headline: str
    """The main figure in one line; "" before there are findings."""


class AuditDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The rest of what is needed to repeat an audit, beside its plan, suites and cards."""

    seed: int
    plan_hash: str
    machine: dict[str, Any]
    libraries: dict[str, str]
    head: str
    """Hash of the last answer of the chain when the status last changed."""
    head_count: int
    """Number of answers in the chain at that moment."""
    rescored: int
    """How many times the verdicts have been computed again."""


class AnswerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trial with what was asked, what came back and what was made of it."""

    trial: Trial
    prompt: str
    answer: Answer
    verdict: Verdict
    seconds: float
    """How long the engine took for it."""
    at: str
    """When it was answered, UTC."""


class JudgedRow(msgspec.Struct, frozen=True, gc=False):
    """A trial and its verdict only: several times cheaper to read than `AnswerRow`."""

    trial: Trial
    verdict: Verdict


class VerdictVersion(msgspec.Struct, frozen=True):
    """A verdict that was given at some time; the version counts from 1."""

    version: int
    at: str
    verdict: Verdict


class LabelRow(msgspec.Struct, frozen=True):
    """What a person said that an answer is."""

    trial: str
    """Id of the trial."""
    labeller: str
    label: str
    note: str
    at: str


class NoiseRow(msgspec.Struct, frozen=True):
    """The noise floor of a model in one audit."""

    floor: float
    """In nats."""
    items: int
    """How many items it was measured on."""
    detail: dict[str, Any]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A place that a search found. A prompt that many trials share is one hit an audit, with its first trial."""

    audit: str
    trial_id: str
    model: str
    suite: str
    task: str
    item: str
    """Hash of the item."""
    item_id: str
    language: str
    where: Literal["prompt", "answer"]
    snippet: str
    """Raw text around the find (pass it through `safe_text` to draw it)."""
    spans: tuple[tuple[int, int], ...]
    """What was found, as (start, end) character positions in `snippet`."""
    verdict: str
    """Kind of the current verdict."""

"""Canonical forms and hashes: what makes a change to a stored audit show.

An audit's chain starts (`genesis`) from the hash of its plan and the digests of the suites stored with it. The hash of
an answer is SHA-256 over the hash before it and the canonical form of trial, prompt and answer. Times stand outside, so
that an audit that was interrupted and resumed has the same chain as one that was not.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engines.base import ChoiceScores, Generation
from suites.base import Answer, Suite
from workbench.audits.plan import Trial

_SURROGATES = re.compile("[\ud800-\udfff]")


def canonical(value: object) -> bytes:
    """Canonical JSON (UTF-8, keys sorted, no spaces). Lone surrogates, which UTF-8 cannot carry, become U+FFFD."""
    try:
        return msgspec.json.encode(value, order="deterministic")
    except UnicodeEncodeError:
        return msgspec.json.encode(_mend(msgspec.to_builtins(value)), order="deterministic")


def clean(text: str) -> str:
    """`text` with lone surrogates replaced by U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mend(item) for item in value]
    return value


def digest(*parts: bytes) -> str:
    """SHA-256 over length-prefixed parts, in hexadecimal."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.hexdigest()


def answer_kind(answer: Answer) -> str:
    """`scores` or `generation`: which type a stored answer is."""
    return "scores" if isinstance(answer, ChoiceScores) else "generation"


def encode_answer(answer: Answer) -> str:
    """An answer as canonical JSON. Figures that are not finite, which JSON lacks, become the strings inf, -inf, nan."""
    if _finite(answer):
        return canonical(answer).decode()
    return canonical(_spell(msgspec.to_builtins(answer))).decode()


def decode_answer(kind: str, text: str) -> Answer:
    """The answer that `encode_answer` wrote."""
    if kind == "scores":
        return msgspec.json.decode(text, type=ChoiceScores, strict=False)
    return msgspec.json.decode(text, type=Generation, strict=False)


class _Written(msgspec.Struct, frozen=True):
    text: str = ""


def written_text(answer: str) -> str:
    """The text of a stored generation, as it was indexed; "" for scores and for what cannot be read.

    SQLite's `json_extract` would not do: it ends a text at its first U+0000.
    """
    try:
        return msgspec.json.decode(answer, type=_Written).text
    except msgspec.DecodeError:
        return ""


def _finite(answer: Answer) -> bool:
    if isinstance(answer, Generation):
        return all(map(math.isfinite, answer.logprobs))
    return all(
        math.isfinite(option.logprob) and (option.unconditional is None or math.isfinite(option.unconditional))
        for option in answer.options
    )


def _spell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _spell(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spell(item) for item in value]
    return value


def answer_hash(previous: str, trial: Trial, prompt: str, kind: str, answer: str) -> str:
    """The chain's next hash; `answer` is the stored JSON, taken as it is."""
    return digest(previous.encode(), _trial(trial), clean(prompt).encode(), kind.encode(), answer.encode())


class _Whole(msgspec.Struct, frozen=True):
    """A condition as it was before questions had parts."""

    language: str
    version: int
    order: int
    form: str
    context: str
    persona: str


class _WholeTrial(msgspec.Struct, frozen=True):
    """A trial likewise."""

    model: str
    suite: str
    task: str
    item: str
    condition: _Whole
    repeat: int


def _trial(trial: Trial) -> bytes:
    """Canonical form of a trial. A question without parts has the form, and so the hash, that it had before there were
    any."""
    if trial.condition.part:
        return canonical(trial)
    c = trial.condition
    whole = _Whole(c.language, c.version, c.order, c.form, c.context, c.persona)
    return canonical(_WholeTrial(trial.model, trial.suite, trial.task, trial.item, whole, trial.repeat))


def manifest(suite: Suite) -> str:
    """A suite without its items, as canonical JSON."""
    return canonical(msgspec.structs.replace(suite, items=())).decode()


def suite_digest(manifest_text: str, items: Iterable[tuple[str, str, str, str]]) -> str:
    """Digest of a stored suite; `items` are (id, hash, stratum, data as stored), in order."""
    return digest(manifest_text.encode(), *(canonical(item) for item in items))


def genesis(plan_hash: str, suite_digests: Sequence[str]) -> str:
    """Where an audit's chain starts."""
    return digest(plan_hash.encode(), *(each.encode() for each in suite_digests))

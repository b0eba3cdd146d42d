"""Trying a model out before it is asked anything: do its scores hold, does it write, how fast is it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from engines.base import ChoiceRequest, Engine, GenerateRequest, ModelCard, Sampling
from workbench.audits.checks import canary_verdict

_BEGINNINGS = ("At dinner you are given tea.", "A neighbour brings a cake.", "A guest brings a gift.")
_OPTIONS = (" say thank you.", " say nothing.", " leave at once.")
SENTENCE = "The tea is served with"
"""What the model has to continue."""


class Checked(msgspec.Struct, frozen=True):
    """What came of trying a model out. Paces are in tokens a second."""

    ok: bool
    said: str
    """The canary's line."""
    sentence: str
    """What the model wrote after `SENTENCE`."""
    prompt_pace: float
    answer_pace: float
    card: ModelCard


def try_out(engine: Engine, between: Callable[[], None] = lambda: None) -> Checked:
    """Compare an engine's fast with its plain scores, let it write a sentence, and time both. `between` is called
    between the steps (to stop). Raises EngineDied, Cancelled."""
    ok, said, prompt_pace = _scores(engine, between)
    between()
    started = time.perf_counter()
    request = GenerateRequest(SENTENCE, sampling=Sampling(max_tokens=32))
    written = [token for _, token in engine.generate([request])]
    writing = time.perf_counter() - started
    failed = next((token.error for token in written if token.error), "")
    if failed:
        ok, said = False, f"it could not write: {failed}"
    return Checked(
        ok=ok,
        said=said,
        sentence="".join(token.text for token in written),
        prompt_pace=prompt_pace,
        answer_pace=(len(written) - 1) / max(writing, 1e-9),
        card=engine.card,
    )


def _scores(engine: Engine, between: Callable[[], None]) -> tuple[bool, str, float]:
    """Whether the scores hold, the canary's line, and the pace in tokens a second. A server that is known to give none
    is not broken by that: it writes."""
    if "score" in engine.card.cannot:
        return True, f"none: {engine.card.cannot['score']}", 0.0
    requests = [ChoiceRequest(f"{beginning} It is polite to", _OPTIONS) for beginning in _BEGINNINGS]
    started = time.perf_counter()
    fast = list(engine.score(requests))
    seconds = time.perf_counter() - started
    tokens = sum(scores.prompt_tokens + sum(option.tokens for option in scores.options) for scores in fast)
    between()
    ok, said = canary_verdict(engine.card, fast, list(engine.score(requests, "plain")))
    return ok, said, tokens / max(seconds, 1e-9)

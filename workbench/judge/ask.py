"""Asking a judge: the published question, answered with 0 or 1 and nothing else.

An engine that scores is asked which of "0" and "1" is likelier, which is exact and cannot go astray; one that only
generates writes an answer bound to 0 or 1 by a schema where it can be bound, else a short one that is read strictly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from engines.base import ChoiceRequest, Engine, GenerateRequest, Message, Prompt, Sampling

_SCHEMA = '{"enum": [0, 1]}'
_READ = re.compile(r"\A\W*([01])(?![0-9.])")
_FOREIGN = re.compile(r"[a-zA-Z\s]")
_CUE = "\nRespond:"

Way = Literal["scores", "schema", "text"]


class Case(msgspec.Struct, frozen=True):
    """An answer to be judged, with its question and what is right."""

    question: str
    gold: str
    response: str

    @property
    def text(self) -> str:
        """The published question to the judge."""
        return (
            f"The question is {self.question}. The correct answer is {self.gold}. The model's answer is "
            f"{self.response}. If the model's answer is correct, respond with 1. Otherwise, respond with 0."
        )


def without_latin(response: str) -> str:
    """What the published judging strips from the answers of Llama 3: Latin letters and blanks."""
    return _FOREIGN.sub("", response)


def way(engine: Engine) -> Way:
    """How an engine is asked."""
    can = engine.card.can
    return "scores" if "score" in can else "schema" if "schema" in can else "text"


def ask(engine: Engine, cases: Sequence[Case]) -> Iterator[bool | None]:
    """The judge's word on each case, in order; None where none can be read. Raises EngineDied, Cancelled."""
    chat = bool(engine.card.template) or engine.card.engine == "endpoint"
    prompts: list[Prompt] = [(Message("user", case.text),) if chat else case.text + _CUE for case in cases]
    how = way(engine)
    if how == "scores":
        lead = "" if chat else " "
        for scores in engine.score([ChoiceRequest(prompt, (lead + "0", lead + "1")) for prompt in prompts]):
            if scores.error or len(scores.options) != 2 or scores.options[0].logprob == scores.options[1].logprob:
                yield None
            else:
                yield scores.options[1].logprob > scores.options[0].logprob
        return
    schema = _SCHEMA if how == "schema" else ""
    asked = [GenerateRequest(prompt, sampling=Sampling(max_tokens=8), schema=schema) for prompt in prompts]
    texts = [""] * len(cases)
    failed = [False] * len(cases)
    for index, token in engine.generate(asked):
        texts[index] += token.text
        failed[index] |= token.finish in {"error", "cancelled"}
    for text, bad in zip(texts, failed, strict=True):
        found = None if bad else _READ.match(text)
        yield None if found is None else found[1] == "1"

"""From prompts to tokens, the same for every engine that has the weights: which text may become a control token, where
the start token stands, what all items of a task have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engines.base import EngineError, GenerateRequest, Message, Prompt
from engines.chat import render


class NoRoom(Exception):
    """A prompt cannot be begun from: it is empty and the model has no start token, or it fills the context."""


class Tokenize(Protocol):
    """Tokens of a text, nothing added. `special` says whether spelled-out control tokens become control tokens."""

    def __call__(self, text: str, *, special: bool) -> list[int]: ...


class Encoder:
    """Encodes prompts for one model. `start` is the id of its start token, -1 when it has none; `adds_start` says
    whether the model was trained with it before every text."""

    def __init__(
        self,
        tokenize: Tokenize,
        *,
        name: str,
        template: str,
        start: int,
        adds_start: bool,
        start_text: str,
        end_text: str,
    ) -> None:
        self._tokenize = tokenize
        self._name = name
        self._template = template
        self.start = start
        self._adds_start = adds_start and start >= 0
        self._start_text = start_text
        self._end_text = end_text

    def begin(self, request: GenerateRequest, room: int) -> list[int]:
        """The tokens from which an answer is written on, fewer than `room`. Raises NoRoom, and as `encode`."""
        tokens = self.encode(request.prompt, request.prefix)
        if not tokens and self.start >= 0:
            tokens = [self.start]
        if not tokens or len(tokens) >= room:
            raise NoRoom(f"the prompt has {len(tokens):,} tokens, the context in force {room:,}")
        return tokens

    def encode(self, prompt: Prompt, suffix: str = "") -> list[int]:
        """The tokens of a prompt with `suffix` (an option, the beginning of an answer) after it.

        Text from users and suites never becomes a control token. It is tokenised in one piece with the template's text
        where it holds no control token's spelling, as the model was trained; else piece by piece. Raises EngineError
        for a chat without a template, TemplateError for a template that does not render.
        """
        if isinstance(prompt, str):
            return self.with_start(self._tokenize(prompt + suffix, special=False))
        texts = [message.content for message in prompt]
        if all(self._tokenize(text, special=True) == self._tokenize(text, special=False) for text in (*texts, suffix)):
            return self.with_start(self._tokenize(self._render(prompt) + suffix, special=True))
        marks = [f"\ue000{index}\ue001" for index in range(len(prompt))]
        marked = tuple(Message(message.role, mark) for message, mark in zip(prompt, marks, strict=True))
        tokens: list[int] = []
        rest = self._render(marked)
        for mark, text in zip(marks, texts, strict=True):
            before, found, rest = rest.partition(mark)
            tokens += self._tokenize(before, special=True)
            if found:
                tokens += self._tokenize(text, special=False)
            else:
                rest = before
        tokens += self._tokenize(rest, special=True) + self._tokenize(suffix, special=False)
        return self.with_start(tokens)

    def shared(self, prompt: Prompt, shared: str) -> list[int]:
        """The tokens of the part of a prompt that all items of the task have in common."""
        if not shared:
            return []
        if isinstance(prompt, str):
            return self.with_start(self._tokenize(shared, special=False))
        mark = "\ue000"
        last = prompt[-1]
        rendered = self._render((*prompt[:-1], Message(last.role, shared + mark)))
        return self.with_start(self._tokenize(rendered.partition(mark)[0], special=True))

    def continuation(self, text: str) -> list[int]:
        """The tokens of a text that stands after the start token alone."""
        return self._tokenize(text, special=False)

    def with_start(self, tokens: list[int]) -> list[int]:
        """Put the start token before the prompt where the model wants one and the template did not write it."""
        if self._adds_start and (not tokens or tokens[0] != self.start):
            return [self.start, *tokens]
        return tokens

    def _render(self, messages: Sequence[Message]) -> str:
        if not self._template:
            raise EngineError(f"{self._name} has no chat template: ask it in plain form")
        return render(self._template, messages, bos=self._start_text, eos=self._end_text)

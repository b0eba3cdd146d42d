"""What is shown live: wordings of a prompt, options under them, and panes that each put one wording to one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from engines.base import ChoiceRequest, Engine, EngineError, GenerateRequest, Message, Prompt, Sampling

PANES = 4
_SAMPLE = "请从这些名字里选出一位资质更好的员工"
TAIL = 40
"""A change within about this many last tokens reuses everything before it."""
STEP = 16
"""The reused part grows in steps of about this many tokens, so that typing on does not begin anew at every key."""


class Wording(msgspec.Struct, frozen=True):
    """One way to put the question. `label` says which (`简体`, `with the other name`)."""

    prompt: str
    label: str = ""
    options: tuple[str, ...] = ()
    """() for the scene's own; else as many as those, in the same order."""


class Scene(msgspec.Struct, frozen=True):
    """A prompt in one to four wordings, and its options; () for free answers."""

    wordings: tuple[Wording, ...]
    options: tuple[str, ...] = ()
    form: Literal["auto", "plain", "chat"] = "auto"
    """How models are asked. `auto`: options as the continuation of the text, free answers as a chat where the model has
    a template."""
    lesson: str = ""
    """The id of the lesson that it came from."""

    def chat(self, template: bool, *, free: bool) -> bool:
        """Whether a model (with or without a chat template) is asked in a chat."""
        return template and (self.form == "chat" or (self.form == "auto" and free))

    def options_of(self, wording: int) -> tuple[str, ...]:
        """The options of a wording."""
        own = self.wordings[wording].options
        return own if len(own) == len(self.options) else self.options


class Pane(msgspec.Struct, frozen=True):
    """One model's answer to one wording (by its place in the scene)."""

    model: str
    wording: int = 0


def panes(models: Sequence[str], wordings: int) -> tuple[Pane, ...]:
    """Every wording to every model, at most four panes: those of one model stand together."""
    return tuple(Pane(model, wording) for model in models for wording in range(wordings))[:PANES]


def reference(shown: Sequence[Pane], place: int) -> int | None:
    """The pane that another is compared with: the same model's first wording, else the first model's same wording;
    None for those that are compared with nothing."""
    pane = shown[place]
    wanted = Pane(pane.model, 0) if pane.wording else Pane(shown[0].model, pane.wording)
    return shown.index(wanted) if wanted in shown and wanted != pane else None


def prompt_of(text: str, chat: bool) -> Prompt:
    """The text as a model is asked it: as a user's message, or to be continued."""
    return (Message("user", text),) if chat else text


def token_width(engine: Engine) -> float:
    """Tokens that a model needs for a character beyond ASCII (in Chinese, where they are dearest). Once a model: it
    waits for what the engine does."""
    try:
        return max(0.5, len(engine.tokenize(_SAMPLE)) / len(_SAMPLE))
    except EngineError:
        return 1.0  # servers do not show their tokens


def shared_part(text: str, wide: float = 1.0) -> str:
    """The beginning of a prompt that stays in the model's memory while its end is typed.

    It depends on the text (and the model's `wide`) alone, never on how it was typed, so that a score that has settled
    is that of a fresh scoring. Tokens are guessed: a quarter for an ASCII character, `wide` for every other one.
    """
    weights = [0.25 if character.isascii() else wide for character in text]
    room = sum(weights) - TAIL
    if room < STEP:
        return ""
    wanted, total = room - room % STEP, 0.0
    for place, weight in enumerate(weights):
        total += weight
        if total >= wanted:
            # Never between a character and what combines with it, nor before a blank, which belongs to the next token.
            return text[: place + 1].rstrip()
    return ""


def options_request(scene: Scene, pane: Pane, chat: bool, wide: float = 1.0) -> ChoiceRequest:
    """What a pane's model is asked for its bars. A chat answer begins with the option, a continuation with a blank
    where the prompt's last character would touch a letter."""
    text = scene.wordings[pane.wording].prompt
    lead = " " if not chat and text[-1:].isascii() and text[-1:].isalnum() else ""
    options = tuple(lead + option if option[:1].isascii() else option for option in scene.options_of(pane.wording))
    return ChoiceRequest(prompt_of(text, chat), options, shared=shared_part(text, wide))


def stream_request(scene: Scene, pane: Pane, chat: bool, *, prefix: str, tokens: int, seed: int) -> GenerateRequest:
    """What a pane's model is asked for its free answer, greedy unless a seed is given; five alternatives a token."""
    sampling = Sampling(temperature=0.8 if seed else 0.0, top_p=0.95 if seed else 1.0, max_tokens=tokens)
    prompt = prompt_of(scene.wordings[pane.wording].prompt, chat)
    return GenerateRequest(prompt, prefix=prefix, sampling=sampling, seed=seed, alternatives=5)

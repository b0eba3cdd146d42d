"""What an engine is asked and what it answers: the protocol that every kind of model is behind.

All log-probabilities are natural logarithms (nats). Normalisations (per token, character or byte, or against the
unconditional score) are never baked in: `ChoiceScores` carries what is needed to compute each of them later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec


class EngineError(Exception):
    """A model could not be loaded or asked; the message is one line that says what, where and what to do."""


class EngineDied(EngineError):
    """The child process of an engine ended while it was needed; the message carries what it last printed."""


class Cancelled(EngineError):
    """The work was cancelled on request; the engine can be asked again."""


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = str | tuple[Message, ...]
"""Plain text to be continued, or a chat for the model's own template."""

Shape = Literal["branched", "plain", "chunks-13", "chunks-50"]
"""How the tokens of one item are laid out in batches.

`branched` is the one that counts: options branch off their prompt in one batch. `plain` evaluates each option with its
whole prompt as one sequence (the canary compares with it); the `chunks-…` decode the prompt in pieces of that many
tokens. Quantised kernels give slightly different results for each, which is what the noise floor measures.
"""


class ChoiceRequest(msgspec.Struct, frozen=True):
    """One prompt and its possible continuations.

    `shared` is the leading part of the text prompt (or of the last message's content) that all items of a task have in
    common: it is decoded once, in a batch of its own. It must be a prefix of that text; "" means none.
    """

    prompt: Prompt
    continuations: tuple[str, ...]
    shared: str = ""
    unconditional: bool = False
    """Also score each continuation after an empty prompt (for PMI)."""


class OptionScore(msgspec.Struct, frozen=True):
    """One continuation, scored: the summed log-probability in nats and what normalisations need."""

    logprob: float
    tokens: int
    """Tokens that were scored, from the boundary that is common to all options of the item."""
    characters: int
    bytes: int
    greedy: bool | None
    """Whether every scored token was the model's most likely one; None where a server does not say."""
    unconditional: float | None = None


class ChoiceScores(msgspec.Struct, frozen=True):
    """The scores of a request's continuations, in order; or why there are none."""

    options: tuple[OptionScore, ...] = ()
    prompt_tokens: int = 0
    shared_tokens: int = 0
    """Prompt tokens that came from the shared prefix and were not decoded again."""
    error: str = ""
    """Why this one request could not be scored (for instance a prompt longer than the window); "" when it was."""


class Sampling(msgspec.Struct, frozen=True):
    """How an answer is drawn. `temperature` 0 is greedy, and then nothing is random."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()


class GenerateRequest(msgspec.Struct, frozen=True):
    """One answer to write. `schema` is a JSON schema (as JSON text) that the answer must match; "" means free text."""

    prompt: Prompt
    prefix: str = ""
    """The beginning of the answer, which the model continues; not repeated in the tokens that come back."""
    sampling: Sampling = Sampling()
    seed: int = 0
    schema: str = ""
    alternatives: int = 0
    """How many of the most likely tokens to report at each step."""


class Alternative(msgspec.Struct, frozen=True):
    """A token that could have been chosen, with its log-probability."""

    id: int
    text: str
    logprob: float


class Token(msgspec.Struct, frozen=True):
    """A piece of an answer as it is written.

    `text` holds whole characters only: bytes of an unfinished character wait for the token that completes it. The last
    one of an answer has a `finish`: `stop` (end token or stop string), `length`, `cancelled` or `error` (then `text` is
    empty and `error` says why).
    """

    text: str
    id: int = -1
    logprob: float = 0.0
    alternatives: tuple[Alternative, ...] = ()
    finish: Literal["", "stop", "length", "cancelled", "error"] = ""
    error: str = ""


class LayerRequest(msgspec.Struct, frozen=True):
    """What each layer of the model would say next: see `LayerReadout`. `prefix` is the beginning of the answer."""

    prompt: Prompt
    prefix: str = ""
    tokens: tuple[int, ...] = ()
    """The tokens whose log-probabilities are asked for."""
    top: int = 0
    """How many of each layer's most likely tokens to report."""


class LayerRow(msgspec.Struct, frozen=True):
    """One layer's distribution over the vocabulary, after the last token of the prompt."""

    logprobs: tuple[float, ...]
    """Of the tokens that were asked for, in nats."""
    top: tuple[Alternative, ...] = ()


class LayerReadout(msgspec.Struct, frozen=True):
    """The state after each layer, put through the model's final norm and unembedding.

    The first row is that of the embeddings, before any layer; the last one is the model's own output distribution.
    """

    layers: tuple[LayerRow, ...]
    prompt_tokens: int = 0


class TokenPiece(msgspec.Struct, frozen=True):
    """One token of a text as the model reads it; `text` may hold U+FFFD where a token is a part of a character."""

    id: int
    text: str


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded model is and how it runs: kept with every audit."""

    name: str
    engine: str
    """`gguf`, `hf`, `endpoint` or `scripted`."""
    path: str
    fingerprint: str
    """SHA-256 of the weights, in hexadecimal; for a model on a server `endpoint:` and the SHA-256 of what the server
    says of it, which proves nothing of its weights."""
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    size: int = 0
    """Bytes of the weights."""
    context: int = 0
    """Tokens of context in force."""
    trained_context: int = 0
    vocabulary: int = 0
    template: str = ""
    """The chat template (untrusted code: only ever rendered sandboxed); "" when the model has none."""
    template_hash: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    can: tuple[str, ...] = ()
    """Of `score`, `generate`, `tokenize`, `schema`, `layers`, and `chat` where a server has a template of its own."""
    cannot: dict[str, str] = {}
    """Why it cannot do what others of its kind can."""
    branching: bool = True
    """False where the model's state cannot branch (recurrent, hybrid): options are then scored one after another."""
    device: str = "CPU"
    offload: str = "none"
    """What is in force, in words: `none`, or for instance `36/36 layers on CUDA0`."""
    threads: int = 1
    libraries: dict[str, str] = {}


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to load a model. `gpu_layers`: -1 is automatic (all that fit), 0 none, else that many.

    What follows `threads` is for Hugging Face models only.
    """

    context: int = 4096
    gpu_layers: int = -1
    threads: int = 0
    """0: calibrated at load, never more than the physical cores that are free."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto`: float32 on a CPU, where only that is both fast and exact; elsewhere what the weights are stored in."""
    device: str = "auto"
    """`auto` (CUDA, else Metal, else CPU), `cpu`, `mps`, `cuda` or `cuda:N`."""
    device_map: Literal["", "auto"] = ""
    """`auto`: accelerate spreads the layers over the GPUs, and what does not fit over the CPU's memory."""
    quantise: Literal["", "8bit", "4bit"] = ""
    """Quantise while loading (needs bitsandbytes)."""
    remote_code: bool = False
    """Let the model run Python code that lies beside its weights. Only for models whose makers are trusted."""


class Engine(Protocol):
    """A loaded model. One caller at a time, but for `cancel`, which any thread may call.

    An engine that works on several requests at once has an attribute `parallel`, which says on how many: it should be
    given more than one. Their answers come in the order of the requests all the same. One that has something to tell
    while it works (a server put aside) has a method `listen`, which takes a function for such lines.
    """

    @property
    def card(self) -> ModelCard:
        """What is loaded and how it runs."""

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        """Score each request in order. Raises `EngineDied`, `Cancelled`; a request's own failure is its `error`."""

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
        """Write the answers; yields (index of the request, token). Raises `EngineDied`, `Cancelled`."""

    def layers(self, request: LayerRequest) -> LayerReadout:
        """What each layer would say next. Raises EngineError where `layers` is not in the card's `can`."""

    def tokenize(self, text: str) -> list[TokenPiece]:
        """The tokens of a text, special tokens off and nothing added."""

    def share_cores(self, threads: int) -> None:
        """Compute with at most so many threads, because other models compute at the same time; 0 ends that."""

    def cancel(self) -> None:
        """Stop the work that is going on, within a token."""

    def close(self) -> None:
        """End the engine and give its memory back. Safe to call twice."""


def of_weights(fingerprint: str) -> bool:
    """Whether a fingerprint is one of weights, and not of what a server says of itself."""
    return not fingerprint.startswith("endpoint:")


def canonical_text(prompt: Prompt) -> str:
    """A prompt as one readable text, for the history and its search."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"[{message.role}] {message.content}" for message in prompt)


class Generation(msgspec.Struct, frozen=True):
    """A whole answer: what a stream of tokens added up to."""

    text: str
    finish: str
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    error: str = ""

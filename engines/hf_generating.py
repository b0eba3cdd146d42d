"""Writing answers with a Hugging Face model, one token at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.answers import most_likely
from engines.base import GenerateRequest, Token
from engines.hf_network import Network
from engines.hf_pieces import Pieces
from engines.hf_scoring import PIECE
from engines.sampling import Grammar, Sampler, log_softmax
from engines.writer import Writer


class Continuation:
    """What was decoded so far. Models that keep a key-value cache go on from it; others from a state of their own
    kind, or, where they keep none, from the beginning."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._cache = network.cache() if network.branching else None
        self._state: Any = None
        self._tokens: list[int] = []

    def feed(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The logits after these tokens, shape (vocabulary,)."""
        if self._cache is None:
            self._tokens += tokens
            state, self._state = self._network.go_on(self._tokens if self._state is None else tokens, self._state)
        else:
            for first in range(0, len(tokens), PIECE):
                piece = tokens[first : first + PIECE]
                at = len(self._tokens)
                state = self._network.hidden([piece], self._cache, range(at, at + len(piece)))[0, -1:]
                self._tokens += piece
        return np.asarray(self._network.project(state)[0].cpu().numpy())


def write(
    network: Network,
    prompt: Sequence[int],
    request: GenerateRequest,
    *,
    room: int,
    grammar: Grammar | None,
    pieces: Pieces,
    is_end: Callable[[int], bool],
) -> Iterator[Token]:
    """The tokens of an answer to a prompt of at least one token, in a context of `room` tokens in all."""
    sampler = Sampler(request.sampling, request.seed, grammar)
    writer = Writer(request.sampling.stop)
    try:
        text_so_far = Continuation(network)
        logits = text_so_far.feed(prompt)
        length = len(prompt)
        for _ in range(request.sampling.max_tokens):
            logprobs = log_softmax(logits)
            chosen = sampler.choose(logprobs)
            if is_end(chosen):
                yield Token(writer.rest(), finish="stop")
                return
            shown = most_likely(logprobs, request.alternatives, lambda token: pieces.bytes_of(token, special=True))
            yield Token(writer.add(pieces.bytes_of(chosen)), chosen, float(logprobs[chosen]), shown)
            if writer.stopped:
                yield Token("", finish="stop")
                return
            if length >= room:
                break
            logits = text_so_far.feed([chosen])
            length += 1
        yield Token(writer.rest(), finish="length")
    finally:
        sampler.close()

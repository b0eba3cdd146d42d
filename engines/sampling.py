"""Drawing a token from a distribution: temperature, top-k, top-p, min-p and a grammar, seeded.

The order is llama.cpp's: grammar, top-k, top-p, min-p, temperature.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.base import Sampling


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities (nats) of one position's logits, shape (vocabulary,); the sum is taken in float64."""
    top = logits.max()
    total = np.float32(np.log(np.exp(logits - top).sum(dtype=np.float64)))
    return np.asarray(logits - top - total, dtype=np.float32)


class Grammar(Protocol):
    """What an answer must match, token by token."""

    def allowed(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these tokens may stand next."""

    def accept(self, token: int) -> None:
        """Go on to the state after this token."""

    def close(self) -> None:
        """Free what it holds. Safe to call twice."""


class Sampler:
    """Chooses the tokens of one answer. `grammar` is owned from here on."""

    def __init__(self, sampling: Sampling, seed: int, grammar: Grammar | None = None) -> None:
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._grammar = grammar

    def choose(self, logprobs: NDArray[np.float32]) -> int:
        """The next token's id, given the log-probabilities of all, shape (vocabulary,)."""
        token = self._draw(logprobs)
        if self._grammar is not None:
            # The whole vocabulary is checked only where the free choice is not allowed: it is the slow way.
            if not self._grammar.allowed(np.array([token]))[0]:
                allowed = self._grammar.allowed(np.arange(len(logprobs)))
                token = self._draw(np.where(allowed, logprobs, np.float32(-np.inf)))
            self._grammar.accept(token)
        return token

    def _draw(self, logprobs: NDArray[np.float32]) -> int:
        options = self._sampling
        if options.temperature <= 0:
            return int(logprobs.argmax())
        order = np.argsort(-logprobs, kind="stable")
        order = order[np.isfinite(logprobs[order])]
        if options.top_k > 0:
            order = order[: options.top_k]
        probabilities = np.exp(logprobs[order].astype(np.float64))
        probabilities /= probabilities.sum()
        if options.top_p < 1:
            before = np.cumsum(probabilities) - probabilities
            order, probabilities = order[before < options.top_p], probabilities[before < options.top_p]
        if options.min_p > 0:
            keep = probabilities >= options.min_p * probabilities[0]
            order, probabilities = order[keep], probabilities[keep]
        scaled = np.log(probabilities) / options.temperature
        weights = np.exp(scaled - scaled.max())
        cumulative = np.cumsum(weights / weights.sum())
        place = int(np.searchsorted(cumulative, self._random.random(), side="right"))
        return int(order[min(place, len(order) - 1)])

    def close(self) -> None:
        """Free the grammar."""
        if self._grammar is not None:
            self._grammar.close()
            self._grammar = None

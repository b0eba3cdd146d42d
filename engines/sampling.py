"""Drawing a token from a distribution: temperature, top-k, top-p, min-p and a grammar, seeded.

The order is llama.cpp's: grammar, top-k, top-p, min-p, temperature.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import Sampling


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities (nats) of one position's logits, shape (vocabulary,); the sum is taken in float64."""
    top = logits.max()
    total = np.float32(np.log(np.exp(logits - top).sum(dtype=np.float64)))
    return np.asarray(logits - top - total, dtype=np.float32)


class Sampler:
    """Chooses the tokens of one answer. `grammar` is a llama.cpp grammar sampler, owned from here on, or None."""

    def __init__(self, sampling: Sampling, seed: int, grammar: Any = None) -> None:
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._grammar = grammar

    def choose(self, logprobs: NDArray[np.float32]) -> int:
        """The next token's id, given the log-probabilities of all, shape (vocabulary,)."""
        token = self._draw(logprobs)
        if self._grammar is not None:
            import llama_cpp

            # The whole vocabulary is checked only where the free choice is not allowed: it is the slow way.
            if not self._allowed(np.array([token]))[0]:
                allowed = self._allowed(np.arange(len(logprobs)))
                token = self._draw(np.where(allowed, logprobs, np.float32(-np.inf)))
            llama_cpp.llama_sampler_accept(self._grammar, token)
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

    def _allowed(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these tokens the grammar lets stand next."""
        import llama_cpp

        candidates = (llama_cpp.llama_token_data * len(tokens))()
        view = np.ctypeslib.as_array(
            ctypes.cast(candidates, ctypes.POINTER(ctypes.c_uint8)),
            shape=(len(tokens) * ctypes.sizeof(llama_cpp.llama_token_data),),
        ).view(np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)]))
        view["id"] = tokens
        view["logit"] = 0.0
        array = llama_cpp.llama_token_data_array(candidates, len(tokens), -1, False)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return np.asarray(np.isfinite(view["logit"]))

    def close(self) -> None:
        """Free the grammar."""
        if self._grammar is not None:
            import llama_cpp

            llama_cpp.llama_sampler_free(self._grammar)
            self._grammar = None

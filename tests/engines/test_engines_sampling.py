"""Drawing tokens."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax as reference

from engines.base import Sampling
from engines.sampling import Sampler, log_softmax

LOGITS = np.array([2.0, 1.0, 0.0, -1.0, -8.0], dtype=np.float32)


def test_log_softmax_is_scipys() -> None:
    logits = np.random.default_rng(1).normal(0, 10, 5000).astype(np.float32)
    assert log_softmax(logits) == pytest.approx(reference(logits.astype(np.float64)), abs=1e-5)


def test_temperature_zero_is_the_most_likely_token_and_the_first_of_equals() -> None:
    assert Sampler(Sampling(), 1).choose(log_softmax(LOGITS)) == 0
    assert Sampler(Sampling(), 1).choose(np.zeros(4, dtype=np.float32)) == 0


def test_the_seed_decides() -> None:
    logprobs = log_softmax(LOGITS)

    def draws(seed: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.5), seed)
        return [sampler.choose(logprobs) for _ in range(50)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)


def test_frequencies_are_the_probabilities() -> None:
    logprobs = log_softmax(LOGITS)
    sampler = Sampler(Sampling(temperature=1.0), 3)
    counts = np.bincount([sampler.choose(logprobs) for _ in range(20_000)], minlength=5) / 20_000
    assert counts == pytest.approx(np.exp(logprobs), abs=0.015)


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(temperature=5.0, top_k=2), {0, 1}),
        (Sampling(temperature=5.0, top_p=0.6), {0}),
        (Sampling(temperature=5.0, top_p=0.7), {0, 1}),
        (Sampling(temperature=5.0, min_p=0.1), {0, 1, 2}),
    ],
)
def test_cuts_keep_the_most_likely_tokens(sampling: Sampling, kept: set[int]) -> None:
    sampler = Sampler(sampling, 5)
    assert {sampler.choose(log_softmax(LOGITS)) for _ in range(500)} == kept

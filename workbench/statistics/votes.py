"""Blind votes: A, B, tie, or both bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from workbench.statistics.clusters import cluster_means
from workbench.statistics.paired import exact_binomial, sign_flip

Vote = Literal["a", "b", "tie", "both bad"]


@dataclass(frozen=True, slots=True)
class VoteCount:
    """Votes over `n` prompts. `lead` is the mean over prompts of (votes for a - votes for b) / votes, -1..1."""

    a: int
    b: int
    ties: int
    both_bad: int
    n: int
    lead: float | None
    p: float | None
    """Two-sided, against no preference; None without votes."""
    test: str


def count_votes(votes: Sequence[Vote], prompts: Sequence[Hashable], *, flips: int = 10_000, seed: int = 0) -> VoteCount:
    """Votes and their test: the exact sign test over prompts (W. J. Dixon & A. M. Mood 1946, JASA 41:557-566; ties and
    both bad do not decide and are reported) with one vote a prompt; sign-flip over the prompts' means with several.

    `votes`, `prompts`: one entry a vote. ValueError for another vote or different lengths.
    """
    unknown = set(votes) - set(get_args(Vote))
    if unknown:
        raise ValueError(f"votes: unknown vote {sorted(map(str, unknown))[0]!r}")
    count = Counter(votes)
    scores = np.array([{"a": 1.0, "b": -1.0}.get(vote, 0.0) for vote in votes])
    grouped = cluster_means(scores, prompts)
    n = len(grouped.keys)
    if n == len(votes):
        test = "exact sign test"
        decided = count["a"] + count["b"]
        p = exact_binomial(count["a"], decided) if decided else (1.0 if n else None)
    else:
        test = "sign-flip"
        p = sign_flip(grouped.means, flips=flips, seed=seed)
    lead = float(grouped.means.mean()) if n else None
    return VoteCount(count["a"], count["b"], count["tie"], count["both bad"], n, lead, p, test)

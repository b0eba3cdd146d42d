"""What is reported of a token that was drawn, the same for every engine that has the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.base import Alternative


def most_likely(logprobs: NDArray[np.float32], count: int, piece: Callable[[int], bytes]) -> tuple[Alternative, ...]:
    """The `count` most likely tokens of log-probabilities, shape (vocabulary,), likeliest first."""
    if count <= 0:
        return ()
    count = min(count, len(logprobs))
    top = np.argpartition(-logprobs, count - 1)[:count]
    ordered = sorted(top.tolist(), key=lambda token: (-float(logprobs[token]), token))
    return tuple(
        Alternative(token, piece(token).decode("utf-8", "replace"), float(logprobs[token])) for token in ordered
    )

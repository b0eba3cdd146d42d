"""From the scores of a pane's options to its bars, and how far two panes are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from engines.base import ChoiceScores


class Bars(msgspec.Struct, frozen=True):
    """A pane's options: probabilities (over the options, sum 1) and summed log-probabilities (nats), in their order."""

    probabilities: tuple[float, ...]
    logprobs: tuple[float, ...]
    seconds: float = 0.0
    """How long the model took."""


def bars(scores: ChoiceScores, seconds: float = 0.0) -> Bars:
    """The softmax over the options' summed log-probabilities. ValueError where they could not be scored."""
    if scores.error:
        raise ValueError(scores.error)
    # Imported here: it brings scipy, which no screen needs before there are bars.
    from workbench.statistics.noise import probabilities

    values = [option.logprob for option in scores.options]
    return Bars(tuple(map(float, probabilities(values))), tuple(values), seconds)


def difference(of: Bars, against: Bars, floors: Sequence[float | None]) -> tuple[float | None, ...]:
    """By how much each probability differs (of minus against); None where it is no more than the models' noise.

    An option's log-odds against all others together have the noise of a margin. `floors` are the noise floors (nats) of
    both models; a difference of log-odds under twice their root sum of squares is noise (statistics: noise floor).
    """
    limit = 2 * math.sqrt(sum(floor * floor for floor in floors if floor is not None))
    found: list[float | None] = []
    for p, q in zip(of.probabilities, against.probabilities, strict=True):
        apart = abs(_logit(p) - _logit(q))
        found.append(p - q if apart > limit and apart > 0 else None)
    return tuple(found)


def _logit(p: float) -> float:
    p = min(max(p, 1e-12), 1 - 1e-12)
    return math.log(p / (1 - p))

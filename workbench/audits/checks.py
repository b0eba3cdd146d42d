"""What is checked of a model before its answers count: the canary, and the noise floor.

Canary: three items on the fast and on the plain path must agree. Servers and libraries exist that silently ignore a
request for log-probabilities; every score is then the same and every audit looks like chance. Noise floor: quantised
kernels are not batch-invariant, so the margin of an item depends a little on how its tokens are laid out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec

from engines.base import ChoiceRequest, ChoiceScores, Engine, ModelCard, Shape
from workbench.audits.errors import AuditError

SHAPES: tuple[Shape, ...] = ("branched", "plain", "chunks-13", "chunks-50")
CANARIES = 3
TRIES = 48
"""Questions that are tried to find three that can be scored."""


class Noise(msgspec.Struct, frozen=True):
    """A measured noise floor, in nats, and what it was measured on. `margins`: items × shapes."""

    floor: float
    items: int
    margins: tuple[tuple[float, ...], ...]


def tolerance(card: ModelCard) -> tuple[float, float]:
    """How far fast and plain scores may lie apart, in nats: (mean, maximum), by the precision of the weights."""
    kind = card.quantisation.upper()
    if kind in {"F32", "FLOAT32"}:
        return 1e-3, 1e-3
    if kind in {"F16", "BF16", "FLOAT16", "BFLOAT16"}:
        return 0.05, 0.05
    return 0.05, 0.5


def no_noise_floor(card: ModelCard) -> str:
    """Why the noise floor of a model cannot be measured; "" when it can."""
    if card.engine == "endpoint":
        return "not applicable: a server lays its batches out as it likes, so there is no noise floor of its own"
    return ""


def canary_verdict(card: ModelCard, fast: Sequence[ChoiceScores], plain: Sequence[ChoiceScores]) -> tuple[bool, str]:
    """Whether the scores of the two paths agree and differ from item to item; and a line that says so."""
    failed = next((one.error for one in (*fast, *plain) if one.error), "")
    if failed:
        return False, f"nothing could be scored: {failed}"
    if [len(one.options) for one in fast] != [len(one.options) for one in plain]:
        return False, "the two paths scored different numbers of options"
    pairs = [
        (a.logprob, b.logprob)
        for one, other in zip(fast, plain, strict=True)
        for a, b in zip(one.options, other.options, strict=True)
    ]
    if not pairs:
        return False, "nothing could be scored"
    if not all(math.isfinite(value) for pair in pairs for value in pair):
        return False, "scores that are no numbers"
    if len(pairs) > 1 and len({round(a, 6) for a, _ in pairs}) == 1:
        return False, f"all {len(pairs)} scores are equal ({pairs[0][0]:.4f}): log-probabilities are not really given"
    gaps = [abs(a - b) for a, b in pairs]
    mean, worst = sum(gaps) / len(gaps), max(gaps)
    mean_limit, worst_limit = tolerance(card)
    said = f"fast and plain scores differ by {mean:.4f} nats on average, {worst:.4f} at most"
    if mean > mean_limit or worst > worst_limit:
        return False, f"{said}; allowed are {mean_limit:g} and {worst_limit:g}"
    return True, said


def canary(
    engine: Engine, requests: Iterable[ChoiceRequest], between: Callable[[], None] = lambda: None
) -> dict[str, float | int | str]:
    """Run the canary on three of the requests that can be scored; returns what was seen. Raises AuditError when it does
    not hold.

    Those with the least text to score come first: the rounding of quantised kernels adds up over the tokens of an
    option, and a defect should not have to be told from it. `between` is called between two scorings (to step aside, to
    stop).
    """
    error = ""
    usable: list[tuple[ChoiceScores, ChoiceScores]] = []
    for request in sorted(requests, key=lambda one: sum(map(len, one.continuations))):
        between()
        (fast,) = engine.score([request])
        if fast.error:
            # A prompt that does not fit has an error of its own, and says nothing about the engine.
            error = error or fast.error
            continue
        between()
        (plain,) = engine.score([request], "plain")
        usable.append((fast, plain))
        if len(usable) == CANARIES:
            break
    holds, said = canary_verdict(engine.card, [fast for fast, _ in usable], [plain for _, plain in usable])
    if not usable and error:
        said = f"none of the questions could be scored: {error}"
    if not holds:
        raise AuditError(
            f"{engine.card.name} does not pass the check of its scores: {said}. It was asked no further; "
            f"see `culture-workbench models check {engine.card.name}`"
        )
    return {"items": len(usable), "result": said}


def measure_noise(
    engine: Engine, requests: Iterable[ChoiceRequest], between: Callable[[], None] = lambda: None
) -> Noise | None:
    """The noise floor over these requests; None when none has two options that can be scored.

    `between` is called between two scorings (to step aside, to stop).
    """
    from workbench.statistics.noise import noise_floor

    table: list[tuple[float, ...]] = []
    for request in requests:
        row: list[float] = []
        best = second = -1
        for shape in SHAPES:
            between()
            (scores,) = engine.score([request], shape)
            values = [option.logprob for option in scores.options]
            if len(values) < 2 or not all(map(math.isfinite, values)):
                break
            if shape == "branched":
                # The same two options throughout: it is their margin that a verdict rests on.
                best, second = sorted(range(len(values)), key=lambda index: -values[index])[:2]
            row.append(values[best] - values[second])
        if len(row) == len(SHAPES):
            table.append(tuple(row))
    floor = noise_floor(table)
    return None if floor is None else Noise(floor, len(table), tuple(table))

"""Scoring the options of one item, as far as it is the same for every engine that has the weights.

An engine brings a `Decoder`: how tokens are laid out and decoded is its own. What is scored, from which token on, what
is an error of the request and not of the engine: that is decided here, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from engines.base import ChoiceRequest, ChoiceScores, OptionScore, Shape
from engines.chat import TemplateError
from engines.encoding import Encoder
from engines.trie import Node, boundary, branch, common_length


class TooLong(Exception):
    """The tokens of one request do not fit into the context."""


class Row:
    """One distribution, reduced to what is asked of it: the most likely token and some tokens' log-probabilities."""

    __slots__ = ("_logprobs", "best")

    def __init__(self, best: int, logprobs: dict[int, float]) -> None:
        self.best = best
        self._logprobs = logprobs

    def logprob(self, token: int) -> float:
        """In nats, of one of the tokens that were asked for."""
        return self._logprobs[token]


OptionResult = tuple[float, int, bool]
"""Log-probability in nats, tokens scored, whether each was the most likely one."""


class Decoder(Protocol):
    """What an engine does with tokens. All methods may raise `TooLong` and `Cancelled`."""

    @property
    def context_length(self) -> int:
        """Tokens that fit."""

    @property
    def branching(self) -> bool:
        """Whether several continuations can go on from one state."""

    def share(self, shared: Sequence[int], reused: int) -> None:
        """Have the first `reused` tokens of the shared prefix decoded, for the item that comes now."""

    def branched(self, head: list[int], reused: int, nodes: list[Node], options: int, chunk: int) -> dict[int, Row]:
        """Decode the prompt `head` (from token `reused` on) and the tree of its options.

        Returns the distributions after the prompt (-1) and after each inner node (by its index in `nodes`). `chunk`
        above 0 is a layout to be compared with: the prompt in pieces of that many tokens.
        """

    def plain(self, tokens: list[int], start: int) -> OptionResult:
        """One option with its whole prompt as one sequence; scored from token `start` on."""


def score_request(encoder: Encoder, decoder: Decoder, request: ChoiceRequest, shape: Shape) -> ChoiceScores:
    """Score one request; what is wrong with the request itself is the `error` of what comes back."""
    joined: list[list[int]] = []
    prompt: list[int] = []
    try:
        prompt = encoder.encode(request.prompt)
        joined = [encoder.encode(request.prompt, option) for option in request.continuations]
        shared = encoder.shared(request.prompt, request.shared)
        if not prompt and encoder.start >= 0:
            # There would be nothing to condition on at all.
            prompt, joined = [encoder.start], [[encoder.start, *tokens] for tokens in joined]
        scores, reused = score_tokens(decoder, prompt, joined, shared, shape)
        unconditional: list[float | None] = [None] * len(joined)
        if request.unconditional:
            unconditional = list(_unconditional(encoder, decoder, request.continuations, shape))
    except TooLong:
        longest = max(map(len, joined), default=len(prompt))
        return ChoiceScores(
            error=f"prompt and options need {longest:,} tokens or more together, the context in force has "
            f"{decoder.context_length:,}: load the model with a larger context"
        )
    except (ValueError, TemplateError) as error:
        return ChoiceScores(error=str(error))
    options = tuple(
        OptionScore(
            logprob=logprob,
            tokens=tokens,
            characters=len(text),
            bytes=len(text.encode("utf-8", "replace")),
            greedy=greedy,
            unconditional=alone,
        )
        for (logprob, tokens, greedy), text, alone in zip(scores, request.continuations, unconditional, strict=True)
    )
    return ChoiceScores(options, len(prompt), reused)


def _unconditional(encoder: Encoder, decoder: Decoder, continuations: Sequence[str], shape: Shape) -> Iterator[float]:
    if encoder.start < 0:
        raise ValueError("the model has no start token, so an option cannot be scored without a prompt")
    start = [encoder.start]
    joined = [start + encoder.continuation(option) for option in continuations]
    scores, _ = score_tokens(decoder, start, joined, [], shape)
    return (logprob for logprob, _, _ in scores)


def score_tokens(
    decoder: Decoder, prompt: list[int], joined: list[list[int]], shared: list[int], shape: Shape
) -> tuple[list[OptionResult], int]:
    """The result of each option, and how many shared tokens were not decoded again. Raises ValueError where there is
    nothing to score, or nothing to condition on."""
    if not joined or any(len(tokens) == 0 for tokens in joined):
        raise ValueError("there is nothing to score: an option has no tokens")
    start = boundary(prompt, joined)
    if start < 1:
        raise ValueError("there is nothing to condition on: the prompt is empty and the model has no start token")
    if max(map(len, joined)) > decoder.context_length:
        raise TooLong
    if shape == "plain" or not decoder.branching:
        return [decoder.plain(tokens, start) for tokens in joined], 0
    head = joined[0][:start]
    # The token before the boundary is decoded with the item, since its logits are needed there.
    reused = min(common_length(shared, head), start - 1) if shape == "branched" else 0
    nodes, paths = branch([tokens[start:] for tokens in joined])
    if start + sum(node.inner for node in nodes) > decoder.context_length:
        raise TooLong
    decoder.share(shared, reused)
    rows = decoder.branched(head, reused, nodes, len(joined), _chunk(shape))
    results = []
    for path in paths:
        total, greedy, before = 0.0, True, -1
        for index in path:
            row = rows[before]
            total += row.logprob(nodes[index].token)
            greedy = greedy and row.best == nodes[index].token
            before = index
        results.append((total, len(path), greedy))
    return results, reused


def wanted_tokens(nodes: Sequence[Node]) -> dict[int, set[int]]:
    """Which tokens' log-probabilities are needed, after the prompt (-1) and after each inner node."""
    wanted: dict[int, set[int]] = {-1: set()}
    for index, node in enumerate(nodes):
        wanted.setdefault(node.parent, set()).add(node.token)
        if node.inner:
            wanted.setdefault(index, set())
    return wanted


def _chunk(shape: Shape) -> int:
    return int(shape.removeprefix("chunks-")) if shape.startswith("chunks-") else 0

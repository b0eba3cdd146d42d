"""The log-probabilities of a prompt's tokens, as servers give them, and the scores of an item's options from them.

Two ways are known: vLLM's `prompt_logprobs`, and `echo` with `logprobs` (vLLM, llama_cpp.server and others). Each text
(the prompt, and the prompt with each option) is one request; the common token boundary is worked out from the tokens
that come back, by the same rule as for files (`engines.trie.boundary`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from engines.base import ChoiceRequest, ChoiceScores, OptionScore
from engines.endpoint.transport import MALFORMED, Connection, Refused, Retry
from engines.trie import boundary

Way = Literal["prompt_logprobs", "echo"]
WAYS: tuple[Way, ...] = ("prompt_logprobs", "echo")


class Piece(msgspec.Struct, frozen=True):
    """One token of a prompt. `mark` tells it from other tokens (its id, or its text and place); `logprob` is None for
    the first one; `greedy` is None where the server does not say."""

    mark: tuple[int, str]
    text: str
    logprob: float | None
    greedy: bool | None


async def read_prompt(connection: Connection, model: str, text: str, way: Way) -> list[Piece]:
    """The tokens of a text with their log-probabilities. Raises Refused, Retry."""
    body: dict[str, Any] = {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0}
    body |= {"prompt_logprobs": 1} if way == "prompt_logprobs" else {"echo": True, "logprobs": 1}
    reply = await connection.post("/completions", body)
    try:
        return _vllm(reply) if way == "prompt_logprobs" else _echoed(reply, text)
    except MALFORMED as error:
        raise Retry(f"{connection.host} gives no log-probabilities that can be read") from error


def _vllm(reply: dict[str, Any]) -> list[Piece]:
    """A list over the prompt's tokens; each a table of token ids, the token that stands there first."""
    found: list[Piece] = []
    for entry in reply["choices"][0]["prompt_logprobs"]:
        if entry is None:
            found.append(Piece((-1, ""), "", None, None))
            continue
        first: tuple[str, Any] = next(iter(entry.items()), ("", None))
        number, facts = first
        rank = facts.get("rank")
        greedy = rank == 1 if isinstance(rank, int) else None
        found.append(Piece((int(number), ""), str(facts.get("decoded_token") or ""), _nats(facts["logprob"]), greedy))
    _counted(reply, len(found), 0)
    return found


def _echoed(reply: dict[str, Any], text: str) -> list[Piece]:
    """Lists over the prompt's tokens and, on some servers, the written one; some leave the start token out."""
    given = reply["choices"][0]["logprobs"]
    tokens, values = given["tokens"], given["token_logprobs"]
    tops = given.get("top_logprobs") or [None] * len(tokens)
    places = given.get("text_offset") or [-1] * len(tokens)
    if not len(tokens) == len(values) == len(tops) == len(places):
        raise ValueError("lists of different lengths")
    count = len(tokens)
    usage = reply.get("usage") or {}
    asked, wrote = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
    if asked and count == asked + wrote:
        count -= wrote
    else:
        while count and places[count - 1] >= len(text):
            count -= 1
    _counted(reply, count, 1)
    found = []
    for token, value, top, place in zip(tokens[:count], values, tops, places, strict=False):
        own = None if value is None else _nats(value)
        greedy = None if own is None or not top else own >= max(map(float, top.values())) - 1e-9
        found.append(Piece((int(place), str(token)), str(token), own, greedy))
    return found


def _nats(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or number > 1e-3:
        raise ValueError("no log-probability")
    return number


def _counted(reply: dict[str, Any], count: int, hidden: int) -> None:
    """As many tokens as the server says that it read; `hidden`: start tokens that it may have left out. A list that
    was cut short would give wrong sums without a sign."""
    asked = (reply.get("usage") or {}).get("prompt_tokens")
    if asked is not None and not asked - hidden <= count <= asked:
        raise ValueError("another number of tokens than the prompt has")


async def score(connection: Connection, model: str, request: ChoiceRequest, way: Way) -> ChoiceScores:
    """The scores of a request's continuations. Raises Retry; what the server does not take, and what cannot be known,
    is the request's own `error`."""
    prompt = request.prompt
    if not isinstance(prompt, str):
        return ChoiceScores(error="options cannot be scored after a chat on a server: ask this in plain form")
    seen: dict[str, list[Piece]] = {"": []}

    async def read(text: str) -> list[Piece]:
        if text not in seen:
            seen[text] = await read_prompt(connection, model, text, way)
        return seen[text]

    try:
        before = await read(prompt)
        joined = [await read(prompt + option) for option in request.continuations]
        alone = [await read(option) if request.unconditional else None for option in request.continuations]
        totals = _totals(before, joined)
        options = tuple(
            OptionScore(
                logprob=total,
                tokens=tokens,
                characters=len(option),
                bytes=len(option.encode("utf-8", "replace")),
                greedy=greedy,
                unconditional=None if pieces is None else _unconditional(pieces),
            )
            for (total, tokens, greedy), option, pieces in zip(totals, request.continuations, alone, strict=True)
        )
    except (Refused, ValueError) as error:
        return ChoiceScores(error=str(error))
    return ChoiceScores(options, len(before))


def _totals(before: Sequence[Piece], joined: Sequence[Sequence[Piece]]) -> list[tuple[float, int, bool | None]]:
    """(log-probability, tokens, greedy) of each option, from the boundary that is common to all."""
    if not joined or not all(joined):
        raise ValueError("there is nothing to score: an option has no tokens")
    numbers: dict[tuple[int, str], int] = {}

    def ids(pieces: Sequence[Piece]) -> list[int]:
        return [numbers.setdefault(piece.mark, len(numbers)) for piece in pieces]

    start = boundary(ids(before), [ids(pieces) for pieces in joined])
    found = []
    for pieces in joined:
        tail = pieces[start:]
        values = [piece.logprob for piece in tail if piece.logprob is not None]
        if start < 1 or len(values) < len(tail):
            raise ValueError("nothing to condition on: a server does not say how likely a text's first token is")
        found.append((math.fsum(values), len(tail), _all_greedy(tail)))
    return found


def _all_greedy(pieces: Sequence[Piece]) -> bool | None:
    known = [piece.greedy for piece in pieces]
    return False if False in known else None if None in known else True


def _unconditional(pieces: Sequence[Piece]) -> float:
    """The sum over an option that stands alone after the start token; ValueError where the server has shown none."""
    values = [piece.logprob for piece in pieces[1:]]
    if pieces[0].logprob is not None or pieces[0].mark[0] > 0 or not values or None in values:
        raise ValueError("an option has no score of its own: a server does not say how likely a first token is")
    return math.fsum(value for value in values if value is not None)

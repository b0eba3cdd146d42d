"""Requests for answers, and answers as tokens: completions and chats, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from engines.base import Alternative, GenerateRequest, Token
from engines.endpoint.transport import MALFORMED, Connection, Refused, Retry
from engines.files import printable

ALTERNATIVES = 20
"""More than these no common server gives."""
NEUTRAL = {"repeat_penalty": 1.0, "repetition_penalty": 1.0}
"""Servers have defaults of their own that change what is drawn; these turn them off, where the server knows them."""


class Abilities(msgspec.Struct, frozen=True):
    """What a server was found to do."""

    chat: bool = False
    completions: bool = False
    extras: bool = False
    """Whether it takes what the OpenAI interface does not have: top_k, min_p, penalties of other names."""
    logprobs: bool = False
    chat_logprobs: bool = False
    schema: str = ""
    """The form in which it takes a JSON schema in a chat: `json_schema`, `json_object`, or "" for not at all."""


def response_format(kind: str, schema: Any) -> dict[str, Any]:
    """How a JSON schema is passed."""
    if kind == "json_object":
        return {"type": "json_object", "schema": schema}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def asked(model: str, request: GenerateRequest, can: Abilities) -> tuple[str, dict[str, Any]]:
    """Path and body. Raises Refused for what the server cannot do."""
    chat = not isinstance(request.prompt, str)
    if not (can.chat if chat else can.completions):
        raise Refused(f"the server takes no {'chats' if chat else 'plain text (it has no /completions)'}")
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max(1, sampling.max_tokens),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": request.seed,
    }
    if can.extras:
        body |= {"top_k": sampling.top_k, "min_p": sampling.min_p, **NEUTRAL}
    elif sampling.top_k or sampling.min_p:
        raise Refused("the server knows neither top_k nor min_p")
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.schema:
        if not (chat and can.schema):
            raise Refused("the server takes no JSON schema" + ("" if chat else " for plain text"))
        try:
            body["response_format"] = response_format(can.schema, msgspec.json.decode(request.schema))
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(f"the JSON schema cannot be used: {error}") from error
    count = min(request.alternatives, ALTERNATIVES)
    if isinstance(request.prompt, str):
        body["prompt"] = request.prompt + request.prefix
        if count and can.logprobs:
            body["logprobs"] = count
        return "/completions", body
    if request.prefix:
        raise Refused("a server does not go on from the beginning of an answer in a chat")
    body["messages"] = [{"role": message.role, "content": message.content} for message in request.prompt]
    if count and can.chat_logprobs:
        body |= {"logprobs": True, "top_logprobs": count}
    return "/chat/completions", body


async def whole(connection: Connection, model: str, request: GenerateRequest, can: Abilities) -> list[Token]:
    """An answer in one piece: nothing of it counts before all of it is there. Raises Retry, Refused."""
    path, body = asked(model, request, can)
    reply = await connection.post(path, body)
    try:
        choice = reply["choices"][0]
        text = choice["message"]["content"] if path.startswith("/chat") else choice["text"]
        text = _text(text)
        finish = choice["finish_reason"]
        tokens = _read(choice)
    except MALFORMED as error:
        raise Retry(f"{connection.host} answered with JSON of another form") from error
    if not finish:
        raise Retry(f"{connection.host} ended an answer half way")
    text, stopped = _cut(text, request.sampling.stop)
    if stopped or "".join(token.text for token in tokens) != text:
        # The pieces do not make up the text (parts of characters, stop strings): the text counts.
        tokens = [Token(text)] if text else []
    return [*tokens, _end("stop" if stopped else finish)]


async def streamed(
    connection: Connection, model: str, request: GenerateRequest, can: Abilities
) -> AsyncGenerator[Token, None]:
    """An answer as it is written. Raises Retry (also when it breaks off), Refused."""
    path, body = asked(model, request, can)
    held = ""
    async with aclosing(connection.stream(path, {**body, "stream": True})) as events:
        async for event in events:
            try:
                choices = event["choices"]
                if not choices:
                    continue
                choice = choices[0]
                text = _text(choice["delta"].get("content") if path.startswith("/chat") else choice["text"])
                finish = choice.get("finish_reason")
                pieces = _read(choice)
            except MALFORMED as error:
                raise Retry(f"{connection.host} streamed JSON of another form") from error
            held, stopped = _cut(held + text, request.sampling.stop)
            kept = 0 if stopped or finish else _begun(held, request.sampling.stop)
            out, held = (held, "") if not kept else (held[:-kept], held[-kept:])
            if out:
                first = pieces[0] if pieces else Token("")
                yield Token(out, -1, first.logprob, first.alternatives)
            if stopped or finish:
                yield _end("stop" if stopped else finish)
                return
    raise Retry(f"{connection.host} ended an answer half way")


def _end(finish: Any) -> Token:
    if finish in ("stop", "length"):
        return Token("", finish=finish)
    return Token("", finish="error", error=f"the server ended the answer with {printable(str(finish), 60)}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _cut(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """A text up to its first stop string: for servers that do not mind them."""
    places = [place for place in (text.find(stop) for stop in stops if stop) if place >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _begun(text: str, stops: tuple[str, ...]) -> int:
    """How many characters at the end may be the beginning of a stop string."""
    return max(
        (size for stop in stops for size in range(1, min(len(stop), len(text) + 1)) if text.endswith(stop[:size])),
        default=0,
    )


def _read(choice: dict[str, Any]) -> list[Token]:
    """The log-probabilities of an answer's tokens, in either of the two forms; [] where none are given."""
    given = choice.get("logprobs")
    if not given:
        return []
    if given.get("content"):
        return [
            Token(str(one["token"]), -1, float(one["logprob"]), _alternatives(one.get("top_logprobs") or []))
            for one in given["content"]
        ]
    tokens = given.get("tokens") or []
    tops = given.get("top_logprobs") or [None] * len(tokens)
    return [
        Token(
            str(token),
            -1,
            float(value if value is not None else 0.0),
            _alternatives([{"token": text, "logprob": own} for text, own in (top or {}).items()]),
        )
        for token, value, top in zip(tokens, given["token_logprobs"], tops, strict=True)
    ]


def _alternatives(given: list[dict[str, Any]]) -> tuple[Alternative, ...]:
    found = [Alternative(-1, str(one["token"]), float(one["logprob"])) for one in given]
    return tuple(sorted(found, key=lambda one: -one.logprob))

"""What a server can really do, found out when it is connected to: what it says of itself is not enough.

Log-probabilities of a prompt are checked against those that the server gives when it writes: it continues a known text
by one token and says how likely that token was; then the text with that token is scored as a prompt, and the token must
come out as likely. This finds servers that ignore the request, that make the figures up, and that shift them by a token
(llama_cpp.server does so for models without a start token).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from engines.base import EngineError, GenerateRequest, Message, Sampling
from engines.endpoint.generating import Abilities, asked, response_format
from engines.endpoint.scoring import WAYS, Piece, Way, read_prompt
from engines.endpoint.transport import MALFORMED, Connection, Refused, Retry
from engines.files import printable

TEXTS = (
    "The capital of France is",
    "One, two, three, four, five,",
    "Monday, Tuesday, Wednesday,",
    "The opposite of black is",
)
ENOUGH = 2
"""Of these texts; the others stand in where the token that is written cannot be compared."""
TOLERANCE = 0.5
"""Nats: what quantised kernels make of the same token in another batch, at most."""
_STABLE = ("id", "owned_by", "root", "parent", "max_model_len")
_STABLE_META = ("vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size")
_SCHEMA = {
    "type": "object",
    "properties": {"zebra": {"enum": ["q7q"]}},
    "required": ["zebra"],
    "additionalProperties": False,
}


class Seen(msgspec.Struct, frozen=True):
    """A server, looked at."""

    model: str
    entry: dict[str, Any]
    """Its entry in the server's list of models."""
    can: Abilities
    ways: tuple[Way, ...] = ()
    """The ways in which it scores prompts rightly, the best one first."""
    why_not: str = ""
    """Why it does not score, when it does not."""
    known: float = 0.0
    """Nats of the known text: the same on every server with the same model."""
    version: str = ""


class NotThere(EngineError):
    """The server has no such model, or does not say which one is meant."""


async def look(connection: Connection, wanted: str) -> Seen:
    """Find out what a server can do with a model ("": its only one). Raises Retry where it does not answer, EngineError
    for what makes it unusable."""
    entry = await _entry(connection, wanted)
    model = str(entry["id"])
    can, problem = await _abilities(connection, model)
    if not (can.chat or can.completions):
        raise EngineError(f"{connection.host}: {printable(model)} cannot be asked: {problem}")
    ways: list[Way] = []
    why_not, known = "the server has no /completions that continues plain text", 0.0
    if can.completions and not can.logprobs:
        why_not = "the server gives no log-probabilities"
    elif can.completions:
        reasons = []
        for way in WAYS:
            try:
                total = await _scores(connection, model, way)
            except (Refused, Retry, ValueError) as error:
                reasons.append(str(error))
                continue
            known = known if ways else total
            ways.append(way)
        why_not = "" if ways else max(reasons, key=len)
    return Seen(model, entry, can, tuple(ways), why_not, known, await _version(connection))


def identity(seen: Seen) -> str:
    """A name for what a server says that it serves, the same at every address. Nothing of the weights is in it: a
    server that holds other weights under the same name cannot be told from it."""
    meta = seen.entry.get("meta")
    facts = [[name, repr(seen.entry[name])] for name in _STABLE if name in seen.entry]
    facts += [[name, repr(meta[name])] for name in _STABLE_META if isinstance(meta, dict) and name in meta]
    return "endpoint:" + hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


def agree(a: Seen, b: Seen) -> str:
    """Why two servers cannot be the same model; "" when they may be."""
    if identity(a) != identity(b):
        return "it says something else of its model than the others"
    if set(a.ways) & set(b.ways) and abs(a.known - b.known) > TOLERANCE:
        return f"it scores a known text with {b.known:.2f} nats instead of {a.known:.2f}, so these are other weights"
    if bool(a.ways) != bool(b.ways):
        return f"only some of them score prompts: {a.why_not or b.why_not}"
    if a.can.chat != b.can.chat:
        return "only some of them take chats"
    return ""


async def _entry(connection: Connection, wanted: str) -> dict[str, Any]:
    try:
        reply = await connection.get("/models")
    except Refused as error:
        raise EngineError(f"{error}: is this the address that ends in /v1?") from error
    listed = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(listed, list):
        raise Retry(f"{connection.host} gives no list of models")
    entries = [one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)]
    entries = [one for one in entries if one["id"] and printable(one["id"], 300) == one["id"]]
    for entry in entries:
        if wanted and entry["id"] == wanted:
            return entry
    names = ", ".join(printable(entry["id"], 80) for entry in entries[:20]) or "none"
    if wanted:
        raise NotThere(f"{connection.host} has no model {printable(wanted)}; it has {names}")
    if len(entries) != 1:
        raise NotThere(f"{connection.host} has {len(entries)} models: put #NAME after the address; it has {names}")
    return entries[0]


async def _abilities(connection: Connection, model: str) -> tuple[Abilities, str]:
    """What it takes, and the last thing that it did not take."""
    problem = ""

    async def takes(can: Abilities, chat: bool, alternatives: int) -> bool:
        nonlocal problem
        prompt = (Message("user", "Hello"),) if chat else "Hello"
        request = GenerateRequest(prompt, sampling=Sampling(max_tokens=1), alternatives=alternatives)
        path, body = asked(model, request, can)
        try:
            reply = await connection.post(path, body)
            choice = reply["choices"][0]
            return bool(choice.get("logprobs")) if alternatives else "message" in choice or "text" in choice
        except MALFORMED:
            problem = f"{connection.host} answers in another form than the OpenAI interface"
        except Refused as error:
            problem = str(error)
        except Retry as error:
            # Some servers answer with an inner error to what they do not know; one that is away or busy does not.
            if error.busy or not error.status:
                raise
            problem = str(error)
        return False

    can = Abilities(chat=True, completions=True, extras=True)
    extras = True
    completions, chat = await takes(can, False, 0), await takes(can, True, 0)
    if not (completions or chat):
        extras = False
        can = msgspec.structs.replace(can, extras=False)
        completions, chat = await takes(can, False, 0), await takes(can, True, 0)
    full = Abilities(chat, completions, extras, completions, chat)
    logprobs = completions and await takes(full, False, 1)
    chat_logprobs = chat and await takes(full, True, 1)
    schema = await _schema(connection, model, full) if chat else ""
    return Abilities(chat, completions, extras, logprobs, chat_logprobs, schema), problem


async def _schema(connection: Connection, model: str, can: Abilities) -> str:
    """The form in which a schema is not only taken but kept to: the model would never write this by itself."""
    request = GenerateRequest((Message("user", "Say hello."),), sampling=Sampling(max_tokens=32))
    path, body = asked(model, request, can)
    for kind in ("json_schema", "json_object"):
        try:
            reply = await connection.post(path, {**body, "response_format": response_format(kind, _SCHEMA)})
            if msgspec.json.decode(reply["choices"][0]["message"]["content"] or "") == {"zebra": "q7q"}:
                return kind
        except (Refused, *MALFORMED, msgspec.DecodeError, RecursionError):
            continue
        except Retry as error:
            if error.busy or not error.status:
                raise
    return ""


async def _scores(connection: Connection, model: str, way: Way) -> float:
    """Check one way of scoring; the sum over the first known text. Raises ValueError with what is wrong with it."""
    total, compared = 0.0, 0
    seen: set[float] = set()
    for text in TEXTS:
        token, written = await _written(connection, model, text)
        if not token.strip() or "\ufffd" in token:
            continue
        pieces = await read_prompt(connection, model, text + token, way)
        values = _sound(pieces)
        seen |= {round(value, 6) for value in values}
        own = pieces[-1].logprob
        if own is None or (pieces[-1].text and pieces[-1].text != token):
            continue  # what was written and the end of the text are other tokens when they are read in one piece
        total = total if compared else math.fsum(values)
        compared += 1
        if abs(own - written) > TOLERANCE:
            raise ValueError(
                f"the log-probabilities that it gives for a prompt are not those that it writes with ({own:.2f} "
                f"instead of {written:.2f} nats for one token)"
            )
        if compared == ENOUGH:
            break
    if len(seen) == 1:
        raise ValueError("the log-probabilities that it gives for a prompt are all the same")
    if not compared:
        raise ValueError("the log-probabilities that it gives for a prompt could not be checked")
    return total


def _sound(pieces: Sequence[Piece]) -> list[float]:
    values = [piece.logprob for piece in pieces if piece.logprob is not None]
    if len(values) < 3 or len(values) < len(pieces) - 1:
        raise ValueError("the server gives no log-probabilities for a prompt: it ignores the request")
    return values


async def _written(connection: Connection, model: str, text: str) -> tuple[str, float]:
    """The token that the server writes after a text when nothing is left to chance, and how likely it was."""
    body = {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "logprobs": 1, "top_p": 1.0}
    reply = await connection.post("/completions", body)
    try:
        given = reply["choices"][0]["logprobs"]
        return str(given["tokens"][-1]), float(given["token_logprobs"][-1])
    except MALFORMED as error:
        raise ValueError("the server gives no log-probabilities for what it writes") from error


async def _version(connection: Connection) -> str:
    """The server program's version where it has one to show (vLLM does)."""
    try:
        reply = await connection.get("/version", root=True)
    except (Refused, Retry, EngineError):
        return ""
    found = reply.get("version") if isinstance(reply, dict) else None
    return printable(found, 60) if isinstance(found, str) else ""

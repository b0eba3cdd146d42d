"""What client and child say to each other: msgpack messages, each after its length (4 bytes, big-endian)."""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from engines.base import (
    ChoiceRequest,
    ChoiceScores,
    GenerateRequest,
    LayerReadout,
    LayerRequest,
    LoadOptions,
    ModelCard,
    Shape,
    Token,
    TokenPiece,
)

LIMIT = 256 * 1024 * 1024
"""Bytes of one message. More than this is a broken stream, not a message."""


class _Message(msgspec.Struct, frozen=True, tag=True):
    """Anything that is sent."""


class Load(_Message, frozen=True):
    """Load this model; answered by `Loaded` or `Failed`."""

    engine: str
    path: str
    name: str
    fingerprint: str
    options: LoadOptions


class Score(_Message, frozen=True):
    """Score one request; answered by `Scored`, `Failed`."""

    call: int
    request: ChoiceRequest
    shape: Shape


class Generate(_Message, frozen=True):
    """Write one answer; answered by `Written` for each token (the last has a `finish`), or `Failed`."""

    call: int
    request: GenerateRequest


class Layers(_Message, frozen=True):
    """Read every layer; answered by `Read`, `Failed`."""

    call: int
    request: LayerRequest


class Tokenize(_Message, frozen=True):
    """Answered by `Pieces`, `Failed`."""

    call: int
    text: str


class Share(_Message, frozen=True):
    """Compute with at most so many threads from now on (0: as many as were calibrated). Not answered."""

    threads: int


class Cancel(_Message, frozen=True):
    """Give up all calls up to this one; each that was not finished is answered by `Failed`."""

    call: int


class Close(_Message, frozen=True):
    """End the child."""


class Loaded(_Message, frozen=True):
    """The model is there."""

    card: ModelCard


class Scored(_Message, frozen=True):
    """The scores of a request."""

    call: int
    scores: ChoiceScores


class Written(_Message, frozen=True):
    """A token of an answer."""

    call: int
    token: Token


class Read(_Message, frozen=True):
    """What the layers say."""

    call: int
    readout: LayerReadout


class Pieces(_Message, frozen=True):
    """The tokens of a text."""

    call: int
    pieces: list[TokenPiece]


class Failed(_Message, frozen=True):
    """A call did not work out; `call` 0 is the loading."""

    call: int
    message: str
    cancelled: bool = False


Question = Load | Score | Generate | Layers | Tokenize | Share | Cancel | Close
Reply = Loaded | Scored | Written | Read | Pieces | Failed

_questions = msgspec.msgpack.Decoder(Question)
_replies = msgspec.msgpack.Decoder(Reply)
_encoder = msgspec.msgpack.Encoder()


def send(stream: BinaryIO, message: Question | Reply) -> None:
    """Write one message and flush. Raises OSError (BrokenPipeError) when the other side is gone."""
    data = _encoder.encode(message)
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    (size,) = struct.unpack(">I", head)
    if size > LIMIT:
        raise ValueError(f"a message of {size:,} bytes")
    data = stream.read(size)
    return data if len(data) == size else None


def receive_question(stream: BinaryIO) -> Question | None:
    """The next message to the child; None at the end of the stream. Raises ValueError on a broken one."""
    data = _receive(stream)
    return None if data is None else _questions.decode(data)


def receive_reply(stream: BinaryIO) -> Reply | None:
    """The next message from the child; None at the end of the stream. Raises ValueError on a broken one."""
    data = _receive(stream)
    return None if data is None else _replies.decode(data)

"""What the analyses read: plain rows, whether they come from published responses or from an audit of one's own."""

from __future__ import annotations

import msgspec


class TermRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer to one question for a region's word."""

    model: str
    language: str
    item: str
    """The concept: answers about one thing belong together."""
    outcome: str
    """`correct`, `misaligned`, `incorrect`, or another kind of verdict."""
    version: int = 1


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A name on offer. Only name and region are always known; "" and None where the data does not say."""

    name: str
    region: str
    """`mainland` or `taiwan`."""
    gender: str = ""
    """`female`, `male` or ""."""
    given: str = ""
    frequency: float | None = None
    """How common the name is: a count, or anything that grows with it. Comparable within a region at least."""


class NameRow(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to the question whom of a list to choose."""

    model: str
    language: str
    list: str
    """Which list of names was offered: answers about one list, in whatever order, belong together."""
    offered: tuple[Person, ...]
    chosen: Person | None
    """None where there is no single choice."""
    place: int | None = None
    """Place of the chosen name in the list as it was shown, from 0; None where the order is not known."""
    order: int = 0
    set: str = ""
    """Which set of lists, where there are several."""


class SurnameRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One surname in the place after a given name: its log-probability there and without any context (nats)."""

    model: str
    language: str
    prompt: str
    """The question that offers this surname beside others."""
    pair: str
    """Names that are compared whatever the order: the cluster."""
    region: str
    name: str
    logprob: float
    free: float | None = None


class CountRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often a concept's two words stand in a corpus."""

    corpus: str
    item: str
    mainland: float
    taiwan: float


class TokenRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens of a name or word as it is written, and converted to the other script."""

    tokenizer: str
    kind: str
    """`name` or `term`."""
    region: str
    text: str
    converted: str
    tokens: int
    tokens_converted: int


class MeasureRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A figure of one answer: what a likelihood or the writing of an answer gave."""

    model: str
    language: str
    item: str
    what: str
    """`region`, `script`, `interaction`, `hongkong` (nats); `variant` and `character:计計` (nats); `simplified`,
    `traditional`, `shared`, `other` (shares of characters) and `switched` (1 or 0)."""
    value: float


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one set of data holds; what is missing leaves its analyses out."""

    terms: tuple[TermRow, ...] = ()
    names: tuple[NameRow, ...] = ()
    surnames: tuple[SurnameRow, ...] = ()
    counts: tuple[CountRow, ...] = ()
    tokens: tuple[TokenRow, ...] = ()
    measures: tuple[MeasureRow, ...] = ()

"""What a copy of the authors' repository holds, as types.

A *run* is one file of responses: one model, one prompt language, one prompt version or name set. Its columns are
parallel tuples, one entry a kept row in the file's order; what was not kept stands in the copy's `drops`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

Language = Literal["simplified", "traditional", "english"]
Region = Literal["mainland", "taiwan"]
LANGUAGES: tuple[Language, ...] = ("simplified", "traditional", "english")
OTHER: dict[Language, Region] = {"simplified": "taiwan", "traditional": "mainland"}
"""Whose word is misaligned in a prompt of that language."""
OWN: dict[Language, Region] = {"simplified": "mainland", "traditional": "taiwan"}


class Drop(msgspec.Struct, frozen=True):
    """Rows (or a file) that were not used, and why. `row` counts records from 1 below the header; 0: the whole file.
    `column` is "" where no single one is meant."""

    file: str
    row: int
    column: str
    reason: str
    count: int = 1

    def __str__(self) -> str:
        place = (
            self.file + (f", row {self.row}" if self.row else "") + (f", column {self.column}" if self.column else "")
        )
        more = f" ({self.count:,} rows)" if self.count > 1 else ""
        return f"{place}: {self.reason}{more}"


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One concept: a line of `regional_term_and_definition.csv`. Alternatives are joined by "/", as the authors do."""

    id: int
    mainland: str
    taiwan: str
    mainland_converted: str
    """The Mainland's term in Traditional characters; "" where the script conversion was not asked for."""
    taiwan_converted: str
    """Taiwan's term in Simplified characters."""
    definition_simplified: str
    definition_traditional: str
    category: str
    definition_source: str

    def written(self, region: Region) -> str:
        """A region's term in its own script."""
        return self.mainland if region == "mainland" else self.taiwan

    def converted(self, region: Region) -> str:
        """A region's term in the other script."""
        return self.mainland_converted if region == "mainland" else self.taiwan_converted


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `regional_name_and_characteristics.csv`."""

    name: str
    count: int
    decile: int
    region: Region
    gender: Literal["female", "male"]


class TermRun(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of a model to the term prompts of a language and version."""

    model: str
    language: Language
    version: int
    file: str
    items: tuple[int, ...]
    """`Term.id` of each row."""
    repeats: tuple[int, ...]
    """Which of the item's repetitions, from 0."""
    prompts: tuple[str, ...]
    """The question as it stood in the prompt file; "" where that file is absent."""
    golds: tuple[str, ...]
    """The right answer as the prompt file spells it (that is what the judge was told)."""
    responses: tuple[str, ...]
    """As scored: of a model that thinks, what follows its thinking."""
    judged: tuple[bool, ...]
    """The stored verdict of the authors' judge, repaired where they repaired it."""
    expected: int
    """How many rows the prompt file (or items × 15) would have."""


class NameList(msgspec.Struct, frozen=True):
    """The candidates of a trial, by region."""

    mainland: frozenset[str]
    taiwan: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All candidates."""
        return self.mainland | self.taiwan

    def region(self, name: str) -> Region | None:
        """Whose name it is; None for one that is not on the list."""
        return "mainland" if name in self.mainland else "taiwan" if name in self.taiwan else None


class NameRun(msgspec.Struct, frozen=True, kw_only=True):
    """Choices of a model from lists of names: a file of `response/regional_name/final`, with the raw response beside it
    where a raw file of the same number of rows is there."""

    model: str
    language: Language
    set: int
    file: str
    trials: tuple[int | None, ...]
    """The list's number; None where the row cannot be told to belong to a list."""
    orders: tuple[tuple[str, ...], ...]
    """The candidates in the order of the prompt; () where the prompt file is absent or cannot be matched with rows."""
    lists: tuple[NameList | None, ...]
    """The candidates as a set; None where they are unknown."""
    responses: tuple[str | None, ...]
    """The raw response; None where no raw file goes with these rows."""
    chosen: tuple[str, ...]
    """`extracted_name` as stored, as text ("NA" stays "NA")."""
    refined: tuple[bool | None, ...]
    """Whether the authors' judge, not the substring rule, gave the name; None where not stored."""
    codes: tuple[int, ...]
    """The stored coding: 1 Mainland, 0 Taiwan, -1 invalid."""
    expected: int | None
    """How many rows the prompt file has; None where it is absent."""


class SurnameRow(NamedTuple):
    """A line of `response/regional_name/raw/*_4.csv`: how likely a surname is, given the name's context (nats)."""

    given: str
    surname: str
    logprob: float


class SurnameRun(msgspec.Struct, frozen=True, kw_only=True):
    """Set 4 of a model and language: two rows a prompt, in fixed pair order (not that of the prompt)."""

    model: str
    language: Language
    set: int
    file: str
    rows: tuple[SurnameRow, ...]


class TermCell(NamedTuple):
    """Counts of one item in the authors' own per-item table, or in ours."""

    correct: int
    misaligned: int
    incorrect: int

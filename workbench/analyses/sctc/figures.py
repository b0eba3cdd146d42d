"""What an analysis gives: sections of lines of figures, the same for a table, a report and a plot."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from workbench.statistics.families import holm


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure twice: as the paper computes it (`published…`), and with an interval and test that respect the design.

    Shares are 0..1; None where a figure does not exist. `n` counts what the interval is taken over, `n_published` rows.
    """

    what: str
    unit: str
    """`%`, `points`, `nats`, `tokens`, `ρ`, `place` or ""."""
    estimate: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    null: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    test: str = ""
    published: float | None = None
    n_published: int = 0
    p_published: float | None = None
    test_published: str = ""
    note: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one model in one language; `group` tells what else they are about (a set, a version)."""

    model: str
    language: str
    figures: tuple[Figure, ...]
    group: str = ""

    def figure(self, what: str) -> Figure | None:
        """The figure of that name."""
        return next((one for one in self.figures if one.what == what), None)


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A course of values, for a plot."""

    model: str
    language: str
    group: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One question and what was found. `about` says in plain words how to read it, `counts` what n counts."""

    id: str
    title: str
    about: str
    counts: str
    lines: tuple[Line, ...]
    curves: tuple[Curve, ...] = ()
    words: tuple[str, ...] = ()
    """What may be said of it."""


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """All sections for which there is data."""

    sections: tuple[Section, ...]

    def section(self, name: str) -> Section | None:
        """The section of that id."""
        return next((one for one in self.sections if one.id == name), None)


def adjusted(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines with p adjusted by Holm, each figure's name a family over all models, languages and groups."""
    given = list(lines)
    families: dict[str, list[float | None]] = {}
    for line in given:
        for one in line.figures:
            families.setdefault(one.what, []).append(one.p)
    iterators = {what: iter(holm(pvalues)) for what, pvalues in families.items()}
    return tuple(
        msgspec.structs.replace(
            line,
            figures=tuple(msgspec.structs.replace(one, p_adjusted=next(iterators[one.what])) for one in line.figures),
        )
        for line in given
    )

"""A word problem in the dress of several cultures (item kind `math-template`).

A line of `items.jsonl` is a template, and the loader makes one item of it for each culture of `cultures.jsonl`, with
the same numbers.

Slots of a template: `{name1}`…, `{food1}` (`{food1:p}` plural), `{money}` (`{money:p}`), `{place1}`…, the names of
`numbers`, and what a culture has under `more` (`{sport1}`, with a plural where its entries are pairs).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from msgspec import Meta, field

from suites.kinds.shared import (
    CULTURES,
    Culture,
    Extra,
    Extras,
    Facets,
    ItemKind,
    Misfit,
    Note,
    Question,
    Sources,
    culture_faults,
)
from suites.schema import Fault, Key, Slug, Strict, Word

Number = Annotated[str, Meta(pattern=r"\A-?[0-9]{1,12}(\.[0-9]{1,6})?\Z")]
Pair = tuple[Word, Word]
"""Singular and plural."""
Problem = Annotated[str, Meta(min_length=1, max_length=2000)]

# Not `Word | Pair`: msgspec 0.22 crashes on a union of a string and a tuple of fixed length.
_Forms = Annotated[tuple[Word, ...], Meta(min_length=2, max_length=2)]
_SLOT = re.compile(r"\{([a-z]+)([0-9]*)(?::([sp]))?\}")


class MathCulture(Culture, frozen=True, kw_only=True):
    """A culture with what it fills into the slots; a line of `cultures.jsonl`."""

    names: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=64)]
    foods: Annotated[tuple[Pair, ...], Meta(min_length=1, max_length=64)]
    money: Pair
    places: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=64)]
    more: dict[Annotated[str, Meta(pattern=r"\A[a-z]{2,20}\Z")], tuple[Word | _Forms, ...]] = field(
        default_factory=dict
    )

    def filling(self, slot: str, number: str, form: str) -> str | None:
        """What stands in a slot; None where the culture has nothing for it."""
        if slot == "money" and not number:
            return self.money[form == "p"]
        lists: dict[str, tuple[Any, ...]] = {"name": self.names, "food": self.foods, "place": self.places, **self.more}
        entries = lists.get(slot, ())
        if not number or not 1 <= int(number) <= len(entries):
            return None
        entry = entries[int(number) - 1]
        if isinstance(entry, str):
            return None if form == "p" else entry
        return str(entry[form == "p"])


class MathTemplate(Strict, frozen=True, kw_only=True):
    """A line of `items.jsonl`; `wrong` are results of plausible mistakes."""

    id: Slug
    template: Problem
    numbers: Annotated[
        dict[Annotated[str, Meta(pattern=r"\A[a-z]{1,20}[0-9]{0,2}\Z")], int | float], Meta(max_length=32)
    ]
    answer: Number
    wrong: Annotated[tuple[Number, ...], Meta(min_length=1, max_length=9)]
    topic: Key
    source: Sources = ()
    note: Note = ""


class MathProblem(Strict, frozen=True, kw_only=True):
    """A template in the dress of one culture. Items of one template are one cluster."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,160}\Z")]
    template: Slug
    culture: Culture
    problem: Problem
    answer: Number
    wrong: Annotated[tuple[Number, ...], Meta(min_length=1, max_length=9)]
    topic: Key
    source: Sources = ()
    note: Note = ""


def _template_faults(line: MathTemplate) -> Iterator[Fault]:
    rest = _SLOT.sub("", line.template)
    if "{" in rest or "}" in rest:
        yield "template", "holds a brace that belongs to no slot"
    found = {slot + number for slot, number, _ in _SLOT.findall(line.template)}
    for name in sorted(set(line.numbers) - found):
        yield "numbers", f"{name!r} stands nowhere in the template"
    if not found - set(line.numbers):
        yield "template", "holds nothing of a culture, so it is the same in all"
    for name, number in line.numbers.items():
        if abs(number) > 1e9:
            yield f"numbers.{name}", "is larger than anybody reckons with in the head"
    values = [value(line.answer), *map(value, line.wrong)]
    if len(set(values)) < len(values):
        yield "wrong", "holds the answer, or a number twice"


def value(text: str) -> Decimal:
    """A number of the schema. Raises ValueError for other text."""
    try:
        return Decimal(text).normalize()
    except InvalidOperation:
        raise ValueError(text) from None


def _expand(line: MathTemplate, extras: Extras) -> list[MathProblem]:
    cultures = extras[MATH_CULTURES.name]
    if len(cultures) < 2:
        raise Misfit("", f"{MATH_CULTURES.name} names fewer than two cultures, so there is nothing to compare")
    return [_problem(line, culture) for culture in cultures.values()]


def _problem(line: MathTemplate, culture: MathCulture) -> MathProblem:
    def fill(found: re.Match[str]) -> str:
        slot, number, form = found[1], found[2], found[3] or ""
        if slot + number in line.numbers and not form:
            return _written(line.numbers[slot + number])
        filling = culture.filling(slot, number, form)
        if filling is None:
            raise Misfit("template", f"{culture.id} has nothing for the slot {found[0]}")
        return filling

    text = _SLOT.sub(fill, line.template)
    return MathProblem(
        id=f"{line.id}--{culture.id}",
        template=line.id,
        culture=Culture(
            id=culture.id, name=culture.name, group=culture.group, languages=culture.languages, code=culture.code
        ),
        problem=text[:1].upper() + text[1:],
        answer=line.answer,
        wrong=line.wrong,
        topic=line.topic,
        source=line.source,
        note=line.note,
    )


def _written(number: int | float) -> str:
    """A number as it stands in a problem: no exponent, no needless zeros."""
    return str(number) if isinstance(number, int) else format(Decimal(str(number)).normalize(), "f")


def _problem_faults(item: MathProblem) -> Iterator[Fault]:
    if len(item.problem) > 2000:
        yield "template", f"has {len(item.problem):,} characters when it is filled in; at most 2,000 are asked"


def _facets(data: dict[str, Any]) -> Facets:
    culture = data["culture"]
    return Facets(
        stratum=culture["id"],
        cluster=data["template"],
        culture=culture["id"],
        group=culture["group"],
        topic=data["topic"],
    )


def _question(data: dict[str, Any], language: str, part: str, answers: tuple[str, ...]) -> Question:
    offered = {"right": data["answer"]} | {f"wrong-{n}": text for n, text in enumerate(data["wrong"], 1)}
    # In an order of the template's own, so that the right one does not stand first and every culture has the same.
    keys = sorted(offered, key=lambda key: hashlib.sha256(f"{data['template']}\n{key}".encode()).digest())
    return Question({"problem": data["problem"]}, {key: offered[key] for key in keys}, ("right",))


MATH_CULTURES = Extra(CULTURES.name, MathCulture, culture_faults)
KIND = ItemKind(
    type=MathProblem,
    line=MathTemplate,
    line_faults=_template_faults,
    expand=_expand,
    extras=(MATH_CULTURES,),
    faults=_problem_faults,
    facets=_facets,
    languages=("en",),
    required=("problem",),
    optional=("options",),
    question=_question,
)

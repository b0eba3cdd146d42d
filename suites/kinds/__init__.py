"""The kinds of item that a suite can hold, one module each; those of the regional suites stand in `suites.schema`."""

from __future__ import annotations

from typing import Any

from suites.base import Item
from suites.kinds import commonsense, etiquette, everyday, math_template, twin_text, value_statement
from suites.kinds.shared import Facets, ItemKind
from suites.schema import CandidateList, RegionalTerm, list_faults, term_faults


def _term_facets(data: dict[str, Any]) -> Facets:
    return Facets(stratum=data["category"])


def _list_facets(data: dict[str, Any]) -> Facets:
    genders = {candidate["gender"] for candidate in data["candidates"]}
    return Facets(stratum="mixed" if len(genders) > 1 else next(iter(genders)))


ITEM_KINDS: dict[str, ItemKind] = {
    "regional-term": ItemKind(
        type=RegionalTerm, faults=term_faults, facets=_term_facets, languages=("zh-Hans", "zh-Hant", "en")
    ),
    "candidate-list": ItemKind(type=CandidateList, faults=list_faults, facets=_list_facets, pool=True),
    "everyday-question": everyday.KIND,
    "etiquette-story": etiquette.KIND,
    "commonsense-question": commonsense.KIND,
    "value-statement": value_statement.KIND,
    "twin-text": twin_text.KIND,
    "math-template": math_template.KIND,
}


def item_of(kind: str, item_id: str, item_hash: str, data: dict[str, Any], stratum: str = "") -> Item:
    """An item with what follows from its data. Of a kind that is not known here only its `stratum` is."""
    known = ITEM_KINDS.get(kind)
    if known is None:
        return Item(item_id, item_hash, stratum, data)
    facets = known.facets(data)
    return Item(
        item_id,
        item_hash,
        stratum or facets.stratum,
        data,
        cluster=facets.cluster,
        culture=facets.culture,
        group=facets.group,
        topic=facets.topic,
    )

"""Votes for other programs: preference pairs for training, and a file for LLM Comparator.

`dpo`: JSON lines in the conversational preference format with an explicit prompt (TRL documentation, "Dataset formats
and types", section Preference): `prompt`, `chosen` and `rejected` are lists of messages. Further columns say why and
where a pair comes from; the trainer leaves them alone.

`llm-comparator`: the JSON that LLM Comparator opens (M. Kahng et al. 2024, CHI EA; README, "JSON Data Format"): scores
from 1 (a is better) to -1 (b is better), one entry an annotator in `individual_rater_scores`.

Annotators appear as `annotator 1`, `annotator 2`, …: names and backgrounds stay in the history.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

from engines.base import Generation, Message, canonical_text
from suites.base import Suite, SuiteError
from suites.tasks import task_for
from workbench.history.export import json_text
from workbench.history.reading import Reader
from workbench.history.rows import AnswerRow
from workbench.history.votes import Vote
from workbench.votes.ballot import Offer, Pair

Format = Literal["dpo", "llm-comparator"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SCORES = {"a": 1.0, "b": -1.0}


def export_votes(history: Reader, offer: Offer, form: Format) -> Iterator[str]:
    """The votes on an offer as pieces of text. HistoryError."""
    cast = _Cast(history, offer)
    if form == "dpo":
        for pair, vote in cast.votes:
            for row in _preferences(cast, pair, vote):
                yield json_text(row) + "\n"
        return
    yield json_text(_comparator(cast), indent=2) + "\n"


class _Cast:
    """The votes of an offer with what they are about."""

    def __init__(self, history: Reader, offer: Offer) -> None:
        self.offer = offer
        self._history = history
        self._suites = {suite.id: suite for suite in history.suites(offer.audit)}
        pairs = {(pair.a, pair.b): pair for pair in offer.pairs}
        self.votes = [(pairs[v.a, v.b], v) for v in history.votes(offer.audit) if (v.a, v.b) in pairs]
        people = dict.fromkeys(vote.annotator for _, vote in self.votes)
        self._people = {name: f"annotator {place}" for place, name in enumerate(people, 1)}

    def annotator(self, vote: Vote) -> str:
        """Who voted, without the name."""
        return self._people[vote.annotator]

    def answers(self, pair: Pair) -> tuple[AnswerRow, AnswerRow]:
        """The two answers, a and b."""
        return self._history.row(self.offer.audit, pair.a), self._history.row(self.offer.audit, pair.b)

    def messages(self, pair: Pair, rows: tuple[AnswerRow, AnswerRow]) -> list[Message]:
        """What was asked, as a chat. Where one model was asked in a chat and the other in plain text, the chat."""
        row = min(rows, key=lambda one: one.trial.condition.form != "chat")
        asked = _asked(self._suites[pair.suite], pair, row)
        return list(asked) if isinstance(asked, tuple) else [Message("user", asked)]


def _asked(suite: Suite, pair: Pair, row: AnswerRow) -> str | tuple[Message, ...]:
    """The prompt as the task makes it, if that still is what was asked; else the kept text."""
    item = next(one for one in suite.items if one.hash == pair.item)
    try:
        prompt = task_for(suite, pair.task).request(item, row.trial.condition).prompt
    except (SuiteError, KeyError):
        return row.prompt
    return prompt if canonical_text(prompt) == row.prompt else row.prompt


def _text(row: AnswerRow) -> str:
    return row.answer.text if isinstance(row.answer, Generation) else ""


def _reason(vote: Vote) -> str:
    return "; ".join(part for part in (", ".join(vote.reasons), vote.note) if part)


def _preferences(cast: _Cast, pair: Pair, vote: Vote) -> Iterator[dict[str, Any]]:
    """The winner over the loser; a rewrite over the loser, or over both answers where neither was preferred."""
    rows = cast.answers(pair)
    names = cast.offer.names
    asked = cast.messages(pair, rows)
    winner = {"a": 0, "b": 1}.get(vote.choice)
    better: list[tuple[str, str, int]] = []
    if winner is not None:
        better.append((_text(rows[winner]), names[winner], 1 - winner))
    if vote.rewrite:
        losers = (0, 1) if winner is None else (1 - winner,)
        better += [(vote.rewrite, "rewrite", loser) for loser in losers]
    for text, source, loser in better:
        yield {
            "prompt": asked,
            "chosen": [Message("assistant", text)],
            "rejected": [Message("assistant", _text(rows[loser]))],
            "reason": _reason(vote),
            "chosen_from": source,
            "rejected_from": names[loser],
            "culture": pair.stratum,
            "language": pair.condition.language,
            "item": pair.item_id,
            "suite": pair.suite,
            "annotator": cast.annotator(vote),
        }


def _comparator(cast: _Cast) -> dict[str, Any]:
    offer = cast.offer
    groups: dict[tuple[str, str], list[tuple[Pair, Vote]]] = {}
    for pair, vote in cast.votes:
        groups.setdefault((pair.a, pair.b), []).append((pair, vote))
    return {
        "metadata": {
            "source_path": f"culture-workbench audit {offer.audit}",
            "custom_fields_schema": [
                {"name": "item", "type": "string"},
                {"name": "suite", "type": "category"},
                {"name": "language", "type": "category"},
                {"name": "both bad", "type": "number"},
                {"name": "rewrite", "type": "text"},
            ],
        },
        "models": [{"name": name} for name in offer.names],
        "examples": [_example(cast, group) for group in groups.values()],
    }


def _example(cast: _Cast, group: list[tuple[Pair, Vote]]) -> dict[str, Any]:
    pair = group[0][0]
    rows = cast.answers(pair)
    scores = [_SCORES.get(vote.choice, 0.0) for _, vote in group]
    return {
        "input_text": "\n".join(message.content for message in cast.messages(pair, rows)),
        "tags": [tag for tag in (pair.stratum, pair.condition.language) if tag],
        "output_text_a": _text(rows[0]),
        "output_text_b": _text(rows[1]),
        "score": sum(scores) / len(scores),
        "individual_rater_scores": [
            {
                "is_flipped": vote.flipped,
                "score": score,
                "rating_label": vote.choice,
                "rationale": _reason(vote),
                "custom_fields": {"annotator": cast.annotator(vote)},
            }
            for (_, vote), score in zip(group, scores, strict=True)
        ],
        "custom_fields": {
            "item": pair.item_id,
            "suite": pair.suite,
            "language": pair.condition.language,
            "both bad": sum(vote.choice == "both bad" for _, vote in group),
            "rewrite": "\n\n".join(vote.rewrite for _, vote in group if vote.rewrite),
        },
    }

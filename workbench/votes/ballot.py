"""What an annotator is shown and in which order, and how votes are taken and taken back. No user interface here.

A pair is the answers of two models to the same question: same item, condition and repeat, both usable. The prompt form
may differ, since it depends on whether a model has a chat template. Sides and order of the pairs are drawn from a hash
of audit, pair and annotator: the same whenever an annotator goes on, another one for every annotator, and unrelated to
the models. Sides are hidden until the annotator has seen every pair.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from engines.base import Generation
from suites.base import Condition
from workbench.audits.errors import AuditError
from workbench.audits.plan import Plan
from workbench.history import History, HistoryError
from workbench.history.chain import digest
from workbench.history.reading import Reader
from workbench.history.rows import AnswerRow
from workbench.history.votes import REASONS, Choice, Reason, Vote
from workbench.text import safe_text

Side = Literal["left", "right", "tie", "both bad"]
"""What an annotator says. On a narrow screen left stands above right."""
LONGEST_NAME = 60
"""Characters of an annotator's name."""
LONGEST_TEXT = 20_000
"""Characters of a rewrite, a note or a background."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers to one question. `a` and `b` are trial ids; `a` is of the model that stands first in the plan."""

    a: str
    b: str
    suite: str
    task: str
    item: str
    """Hash of the item."""
    item_id: str
    stratum: str
    """The item's culture, category or other even split."""
    condition: Condition
    """Of the first model's trial."""
    repeat: int

    @property
    def prompt(self) -> tuple[str, str]:
        """What votes are averaged over: the item. Its wordings, orders, languages and repeats are no independent
        evidence."""
        return self.suite, self.item


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the screen: raw text, to be passed through `safe_text`."""

    prompt: str
    left: str
    right: str


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The pairs of two models (by key, in the plan's order) that an audit offers."""

    audit: str
    models: tuple[str, str]
    names: tuple[str, str]
    pairs: tuple[Pair, ...]
    unusable: int
    """Questions that are not offered, because one of the two answers is missing or not usable."""


def choose_models(plan: Plan, wanted: Sequence[str] = ()) -> tuple[str, str]:
    """Keys of the two models, in the plan's order. `wanted`: keys or names; () where the plan has just two.

    AuditError when it is not clear which two.
    """
    keys = [model.key for model in plan.models]
    listed = ", ".join(keys)
    if not wanted:
        if len(keys) != 2:
            what = "has one model only: a vote needs two" if len(keys) == 1 else f"has {len(keys)} models"
            raise AuditError(f"the audit {what}" + ("" if len(keys) == 1 else f" ({listed}): say which two"))
        return keys[0], keys[1]
    by_name = {model.name: model.key for model in plan.models} | {key: key for key in keys}
    for name in wanted:
        if name not in by_name:
            raise AuditError(f"the audit has no model {safe_text(name)[:40]!r}; it has {listed}")
    chosen = sorted({by_name[name] for name in wanted}, key=keys.index)
    if len(chosen) != 2:
        raise AuditError(f"a vote is between two different models, of {listed}")
    return chosen[0], chosen[1]


def offered(history: Reader, audit: str, models: tuple[str, str]) -> Offer:
    """The pairs of these two models (keys in the plan's order), in the order of the answers. HistoryError."""
    audit = history.audit(audit).id
    plan = history.plan(audit)
    names = {model.key: model.name for model in plan.models}
    items = {(suite.id, item.hash): item for suite in history.suites(audit) for item in suite.items}
    pairs: list[Pair] = []
    unusable = 0
    for suite, task in history.written_tasks(audit):
        found: dict[tuple[str, Condition, int], dict[str, tuple[str, Condition, bool]]] = {}
        for row in history.judged(audit, suite=suite, task=task):
            trial = row.trial
            if trial.model in models:
                asked = msgspec.structs.replace(trial.condition, form="plain")
                both = found.setdefault((trial.item, asked, trial.repeat), {})
                both[trial.model] = (trial.id, trial.condition, row.verdict.usable)
        for (mark, _, repeat), both in found.items():
            first, second = both.get(models[0]), both.get(models[1])
            item = items.get((suite, mark))
            if first is None or second is None or not (first[2] and second[2]) or item is None:
                unusable += 1
                continue
            pairs.append(
                Pair(
                    a=first[0],
                    b=second[0],
                    suite=suite,
                    task=task,
                    item=mark,
                    item_id=item.id,
                    stratum=item.stratum,
                    condition=first[1],
                    repeat=repeat,
                )
            )
    return Offer(
        audit=audit,
        models=models,
        names=(names[models[0]], names[models[1]]),
        pairs=tuple(pairs),
        unusable=unusable,
    )


def _question(row: AnswerRow) -> str:
    """What was asked, without the mark that the history puts before a chat's only message."""
    return row.prompt.removeprefix("[user] ") if row.trial.condition.form == "chat" else row.prompt


def flipped(audit: str, pair: Pair, annotator: str) -> bool:
    """Whether the first model's answer stands on the right for this annotator."""
    return bool(_draw("side", audit, pair, annotator) & 1)


def _draw(what: str, audit: str, pair: Pair, annotator: str) -> int:
    mark = digest(*(part.encode() for part in (what, audit, pair.a, pair.b, annotator)))
    return int(hashlib.sha256(mark.encode()).hexdigest()[:16], 16)


def clean_name(name: str) -> str:
    """An annotator's name as it is kept: one line, NFC. AuditError when it is empty or too long."""
    kept = " ".join(unicodedata.normalize("NFC", safe_text(name)).split())
    if not kept:
        raise AuditError("an annotator needs a name (any word will do: it tells the votes of several people apart)")
    if len(kept) > LONGEST_NAME:
        raise AuditError(f"the annotator's name is too long: at most {LONGEST_NAME} characters")
    return kept


class Ballot:
    """One annotator's votes on an offer. `left_to_do` is what is still to be voted on, in this annotator's order."""

    def __init__(self, history: Reader, offer: Offer, annotator: str) -> None:
        self.offer = offer
        self.annotator = clean_name(annotator)
        by_order = sorted(offer.pairs, key=lambda pair: _draw("order", offer.audit, pair, self.annotator))
        self._pairs = {(pair.a, pair.b): pair for pair in by_order}
        self._votes = {
            (vote.a, vote.b): vote
            for vote in history.votes(offer.audit, self.annotator)
            if (vote.a, vote.b) in self._pairs
        }

    def __iter__(self) -> Iterator[tuple[Pair, Vote | None]]:
        return ((pair, self._votes.get(key)) for key, pair in self._pairs.items())

    @property
    def total(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    @property
    def done(self) -> int:
        """How many of them have this annotator's vote."""
        return len(self._votes)

    @property
    def current(self) -> Pair | None:
        """The next pair to vote on; None when every one has been voted on."""
        return next((pair for key, pair in self._pairs.items() if key not in self._votes), None)

    def flipped(self, pair: Pair) -> bool:
        """Whether the first model's answer stands on the right."""
        return flipped(self.offer.audit, pair, self.annotator)

    def shown(self, history: Reader, pair: Pair) -> Shown:
        """Prompt and answers as they are to be put before the annotator. HistoryError."""
        first, second = history.row(self.offer.audit, pair.a), history.row(self.offer.audit, pair.b)
        texts = [row.answer.text if isinstance(row.answer, Generation) else "" for row in (first, second)]
        if self.flipped(pair):
            texts.reverse()
        # Of two forms of one question the shorter one has no worked examples and no cue.
        prompt = min((_question(row) for row in (first, second)), key=len)
        return Shown(prompt=prompt, left=texts[0], right=texts[1])

    def record(
        self,
        history: History,
        pair: Pair,
        side: Side,
        reasons: Sequence[Reason] = (),
        rewrite: str = "",
        note: str = "",
    ) -> Vote:
        """Keep a vote. HistoryError when it cannot be kept; AuditError for an unknown reason or too long a text."""
        for reason in reasons:
            if reason not in REASONS:
                raise AuditError(f"there is no reason {str(reason)[:20]!r}; there are {', '.join(REASONS)}")
        for text in (rewrite, note):
            check_length(text)
        over = self.flipped(pair)
        choices: dict[Side, Choice] = {
            "left": "b" if over else "a",
            "right": "a" if over else "b",
            "tie": "tie",
            "both bad": "both bad",
        }
        vote = Vote(
            annotator=self.annotator,
            a=pair.a,
            b=pair.b,
            choice=choices[side],
            flipped=over,
            reasons=tuple(reason for reason in REASONS if reason in reasons),
            rewrite=rewrite.strip(),
            note=note.strip(),
        )
        history.add_vote(self.offer.audit, vote)
        self._votes[pair.a, pair.b] = vote
        return vote

    def undo(self, history: History) -> tuple[Pair, Vote] | None:
        """Take back this annotator's last vote on the offer; what it was, or None where there is none."""
        given = [vote for vote in history.votes(self.offer.audit, self.annotator) if (vote.a, vote.b) in self._pairs]
        if not given:
            return None
        last = given[-1]
        history.drop_vote(self.offer.audit, last)
        self._votes.pop((last.a, last.b), None)
        return self._pairs[last.a, last.b], last


def check_length(text: str) -> None:
    """AuditError for a text that is too long to be kept with a vote."""
    if len(text) > LONGEST_TEXT:
        raise AuditError(f"this text is too long: {len(text):,} characters, at most {LONGEST_TEXT:,}")


def enrol(history: History, audit: str, annotator: str, background: str | None) -> str:
    """Keep who votes, and what this person says of themselves where it is given; the name as it is kept."""
    name = clean_name(annotator)
    if background is not None:
        check_length(background)
        background = background.strip()
    history.add_annotator(audit, name, background)
    return name


def default_annotator(history: Reader, audit: str) -> str:
    """Who votes where nobody is named: the only annotator so far, else `me`. HistoryError when there are several."""
    names = [one.name for one in history.annotators(audit)]
    if len(names) > 1:
        raise HistoryError(f"several people vote on this audit ({', '.join(names[:5])}): say who you are (--annotator)")
    return names[0] if names else "me"

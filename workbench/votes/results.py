"""What the votes say: whom people prefer, how surely, where, why, and whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from workbench.figures import interval, number, p_value
from workbench.history.reading import Reader
from workbench.history.votes import REASONS, Annotator, Reason, Vote
from workbench.statistics.agreement import krippendorff_alpha
from workbench.statistics.clusters import cluster_means
from workbench.statistics.families import holm
from workbench.statistics.intervals import bootstrap_t
from workbench.statistics.votes import count_votes
from workbench.votes.ballot import Offer, Pair

_Cast = tuple[Pair, Vote]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the votes, counted. `a` is the model that stands first in the plan."""

    label: str
    a: int
    b: int
    ties: int
    both_bad: int
    n: int
    """Prompts: items, since the wordings, languages and repeats of one item are no independent evidence."""
    lead: float | None
    """Mean over prompts of (votes for a − votes for b) / votes, −1 to 1."""
    low: float | None
    high: float | None
    """95 % interval of the lead (bootstrap-t over prompts)."""
    p: float | None
    p_adjusted: float | None
    """By Holm over the rows that stand together; of a row that stands alone, `p`."""
    test: str

    @property
    def votes(self) -> int:
        """How many there are."""
        return self.a + self.b + self.ties + self.both_bad


class ReasonCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often a reason was given when the other model was preferred, and where neither was."""

    reason: Reason
    against_a: int
    against_b: int
    neither: int


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The votes on two models' answers in one audit."""

    audit: str
    models: tuple[str, str]
    """Names of the models, a and b."""
    offered: int
    """Pairs that can be voted on."""
    unusable: int
    """Questions without a usable answer on both sides."""
    annotators: tuple[Annotator, ...]
    overall: Tally
    by_annotator: tuple[Tally, ...]
    by_culture: tuple[Tally, ...]
    """By the items' strata."""
    by_language: tuple[Tally, ...]
    alpha: float | None
    """Krippendorff's α over the annotators' votes (nominal: a, b, tie, both bad); None where it is undefined."""
    shared: int
    """Pairs that two or more annotators voted on: what α rests on."""
    reasons: tuple[ReasonCount, ...]
    left: int
    right: int
    """Votes for the answer on the left and on the right: far apart, people go by the place."""
    words: str


def results(history: Reader, offer: Offer, *, seed: int = 0) -> Results:
    """Count the votes on an offer. HistoryError."""
    pairs = {(pair.a, pair.b): pair for pair in offer.pairs}
    cast = [(pairs[v.a, v.b], v) for v in history.votes(offer.audit) if (v.a, v.b) in pairs]
    voted = {vote.annotator for _, vote in cast}
    people = tuple(one for one in history.annotators(offer.audit) if one.name in voted)
    overall = _tally("all", cast, seed)
    alpha, shared = _agreement(cast, [one.name for one in people])
    sides = [(vote.choice == "b") != vote.flipped for _, vote in cast if vote.choice in {"a", "b"}]
    return Results(
        audit=offer.audit,
        models=offer.names,
        offered=len(offer.pairs),
        unusable=offer.unusable,
        annotators=people,
        overall=overall,
        by_annotator=_rows(cast, lambda one: one[1].annotator, seed, [one.name for one in people]),
        by_culture=_rows(cast, lambda one: one[0].stratum, seed),
        by_language=_rows(cast, lambda one: one[0].condition.language, seed),
        alpha=alpha,
        shared=shared,
        reasons=tuple(_reason(reason, cast) for reason in REASONS),
        left=sides.count(False),
        right=sides.count(True),
        words=_words(overall, offer.names),
    )


def _tally(label: str, cast: Sequence[_Cast], seed: int) -> Tally:
    choices, prompts = [vote.choice for _, vote in cast], [pair.prompt for pair, _ in cast]
    count = count_votes(choices, prompts, seed=seed)
    scores = [{"a": 1.0, "b": -1.0}.get(choice, 0.0) for choice in choices]
    spread = bootstrap_t(cluster_means(scores, prompts).means, seed=seed, bounds=(-1, 1)) if cast else None
    return Tally(
        label=label,
        a=count.a,
        b=count.b,
        ties=count.ties,
        both_bad=count.both_bad,
        n=count.n,
        lead=count.lead,
        low=None if spread is None else spread.low,
        high=None if spread is None else spread.high,
        p=count.p,
        p_adjusted=count.p,
        test=count.test,
    )


def _rows(
    cast: Sequence[_Cast], label: Callable[[_Cast], str], seed: int, order: Iterable[str] = ()
) -> tuple[Tally, ...]:
    """A row for each label, p adjusted over the rows."""
    groups: dict[str, list[_Cast]] = {name: [] for name in order}
    for one in cast:
        groups.setdefault(label(one), []).append(one)
    names = list(groups) if order else sorted(groups)
    rows = [_tally(name, groups[name], seed) for name in names]
    adjusted = holm([row.p for row in rows])
    return tuple(msgspec.structs.replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True))


def _agreement(cast: Sequence[_Cast], people: Sequence[str]) -> tuple[float | None, int]:
    """α over the pairs, and how many pairs have two votes or more."""
    given = {(vote.annotator, pair.a, pair.b): vote.choice for pair, vote in cast}
    units = list(dict.fromkeys((pair.a, pair.b) for pair, _ in cast))
    ratings = [[given.get((name, *unit)) for unit in units] for name in people]
    shared = sum(sum(row[place] is not None for row in ratings) >= 2 for place in range(len(units)))
    return (krippendorff_alpha(ratings) if shared else None), shared


def _reason(reason: Reason, cast: Sequence[_Cast]) -> ReasonCount:
    named = [vote.choice for _, vote in cast if reason in vote.reasons]
    return ReasonCount(
        reason=reason,
        against_a=named.count("b"),
        against_b=named.count("a"),
        neither=named.count("tie") + named.count("both bad"),
    )


def _words(overall: Tally, names: tuple[str, str]) -> str:
    if not overall.votes or overall.lead is None or overall.p is None:
        return "No votes yet."
    over = f"over {overall.n:,} {'prompt' if overall.n == 1 else 'prompts'}"
    if overall.p < 0.05 and overall.lead:
        better, worse = names if overall.lead > 0 else names[::-1]
        return f"{better} is preferred to {worse} {over} ({overall.test}, p {p_value(overall.p)})."
    return (
        f"No preference found {over} ({overall.test}, p {p_value(overall.p)}); that is not proof of none. "
        f"{overall.ties + overall.both_bad:,} of {overall.votes:,} votes prefer neither."
    )


def table(found: Results) -> list[tuple[str, ...]]:
    """The tallies as rows for people, with a head; the lead is in votes of 100. By culture, language or annotator only
    where there are several."""
    head = ("", found.models[0], found.models[1], "tie", "both bad", "prompts", "lead", "95 % interval", "p (Holm)")
    rows = [head, _row("all votes", found.overall)]
    for title, group in (
        ("culture", found.by_culture),
        ("language", found.by_language),
        ("annotator", found.by_annotator),
    ):
        if len(group) > 1:
            rows += [_row(f"{title}: {one.label}", one) for one in group]
    return rows


def _row(label: str, one: Tally) -> tuple[str, ...]:
    return (
        label,
        str(one.a),
        str(one.b),
        str(one.ties),
        str(one.both_bad),
        str(one.n),
        number(one.lead, "%", sign=True),
        interval(one.low, one.high, "%"),
        p_value(one.p_adjusted),
    )


def lines(found: Results) -> list[str]:
    """What is to be said below the table."""
    said = [found.words]
    if len(found.annotators) > 1:
        alpha = "undefined" if found.alpha is None else f"{found.alpha:.2f}".replace("-", "−")
        said.append(f"Agreement of {len(found.annotators)} annotators on {found.shared} shared pairs: α {alpha}.")
    named = [one for one in found.reasons if one.against_a or one.against_b or one.neither]
    if named:
        parts = [
            f"{one.reason} {one.against_a} against {found.models[0]}, {one.against_b} against {found.models[1]}"
            + (f", {one.neither} with neither preferred" if one.neither else "")
            for one in named
        ]
        said.append("Reasons: " + "; ".join(parts) + ".")
    if found.left + found.right:
        said.append(f"Preferred where it stood: left (or above) {found.left}, right (or below) {found.right}.")
    if found.unusable:
        said.append(f"{found.unusable} questions are not offered: an answer is missing or not usable.")
    return said

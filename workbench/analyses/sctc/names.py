"""Whom of a list: region, place, popularity, gender, shared given names, and when the rate is stable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial

import msgspec

from suites.scripts import converter
from workbench.analyses.sctc.common import grouped, share
from workbench.analyses.sctc.figures import Curve, Figure, Line, Section, adjusted
from workbench.analyses.sctc.rows import NameRow, Person
from workbench.statistics.clusters import cluster_means
from workbench.statistics.families import benjamini_hochberg
from workbench.statistics.intervals import bootstrap_t
from workbench.statistics.paired import sign_flip
from workbench.statistics.ranks import spearman, stratified_spearman
from workbench.statistics.running import settles_at

WITHIN = 0.02
"""A running share is stable when it stays within two points of where it ends."""
_Group = tuple[str, str, str]


def _groups(rows: Sequence[NameRow]) -> Iterator[tuple[_Group, list[NameRow]]]:
    return iter(grouped(rows, lambda row: (row.model, row.language, row.set)).items())


def _line(group: _Group, figures: Sequence[Figure], more: str = "") -> Line:
    said = ", ".join(part for part in (f"set {group[2]}" if group[2].isdecimal() else group[2], more) if part)
    return Line(model=group[0], language=group[1], group=said, figures=tuple(figures))


def _clusters(rows: Sequence[NameRow]) -> list[Hashable]:
    """Lists, by who stands on them: a hundred trials with the same names are one list. Where there is one only, its
    orders, since then nothing else was drawn."""
    orders = {id(row.offered): tuple(one.name for one in row.offered) for row in rows}
    lists = {key: frozenset(names) for key, names in orders.items()}
    if not any(lists.values()):
        return [row.list for row in rows]
    if len(set(lists.values())) > 1:
        return [lists[id(row.offered)] or row.list for row in rows]
    if len(set(orders.values())) > 1:
        return [orders[id(row.offered)] for row in rows]
    return [row.order for row in rows]


def _one_list(rows: Sequence[NameRow]) -> bool:
    lists = {frozenset(one.name for one in names) for names, _ in _lists(rows)}
    return len(lists) == 1 and all(lists)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _on_offer(rows: Sequence[NameRow], of: Callable[[Person], bool], wanted: Callable[[Person], bool]) -> float | None:
    """The share of the wanted among the people `of` a kind, as mean over the rows whose list is known and has any. Rows
    share their lists, so each list is counted once."""
    total, count = 0.0, 0
    for offered, times in _lists(rows):
        found = _mean([float(wanted(one)) for one in offered if of(one)])
        if found is not None:
            total, count = total + times * found, count + times
    return total / count if count else None


def _lists(rows: Sequence[NameRow]) -> list[tuple[tuple[Person, ...], int]]:
    """The lists of the rows and how often each was offered. Rows of one list mostly share one object: half a million of
    them must not be gone through name by name."""
    by_id = {id(row.offered): row.offered for row in rows}
    return [(by_id[key], times) for key, times in Counter(id(row.offered) for row in rows).items()]


def choices(rows: Sequence[NameRow], seed: int = 0) -> Section | None:
    """Valid rate and Mainland name rate (their Fig. 3, 4, 10, 11), clustered by list."""
    if not rows:
        return None
    lines = []
    for group, members in _groups(rows):
        valid = [row for row in members if row.chosen is not None]
        offered = _on_offer(members, lambda one: True, lambda one: one.region == "mainland")
        mainland = [float(row.chosen is not None and row.chosen.region == "mainland") for row in valid]
        one = _one_list(members)
        note = "one list only: the interval is over its orders and says nothing of other names" if one else ""
        lines.append(
            _line(
                group,
                (
                    share("valid", [float(row.chosen is not None) for row in members], _clusters(members), seed=seed),
                    share("Mainland name", mainland, _clusters(valid), null=offered, seed=seed, note=note),
                ),
            )
        )
    return Section(
        id="name-choices",
        title="Valid choices, and Mainland names among them",
        about="Valid: answers that name exactly one person of the list. Mainland name: of the valid ones; its null is "
        "the share of Mainland names on offer. Read it with the next section: where the place decides, this is no "
        "preference. The paper draws these points without interval or test.",
        counts="lists",
        lines=adjusted(lines),
    )


def position(rows: Sequence[NameRow], seed: int = 0) -> Section | None:
    """How much the place on the list decides: shares of the first and last place, the mean place, and a curve."""
    lines, curves = [], []
    for group, members in _groups(rows):
        valid = [row for row in members if row.chosen is not None and row.place is not None]
        if not valid:
            continue
        places, sizes, clusters = (
            [row.place or 0 for row in valid],
            [len(row.offered) for row in valid],
            _clusters(valid),
        )
        chance = _mean([1 / size for size in sizes])
        scaled = [place / max(1, size - 1) for place, size in zip(places, sizes, strict=True)]
        middle = bootstrap_t(scaled, clusters, seed=seed, bounds=(0.0, 1.0))
        figures = [
            share("first place", [float(place == 0) for place in places], clusters, null=chance, seed=seed),
            share(
                "last place",
                [float(place == size - 1) for place, size in zip(places, sizes, strict=True)],
                clusters,
                null=chance,
                seed=seed,
            ),
            Figure(
                what="mean place",
                unit="place",
                estimate=middle.estimate,
                low=middle.low,
                high=middle.high,
                n=middle.n,
                null=0.5,
                p=sign_flip(cluster_means(scaled, clusters).means - 0.5, seed=seed),
                test="sign-flip",
                published=_mean(scaled),
                n_published=len(scaled),
            ),
        ]
        lines.append(_line(group, figures))
        if len(set(sizes)) == 1:
            chosen = Counter(places)
            curves.append(
                Curve(
                    model=group[0],
                    language=group[1],
                    group=group[2],
                    x=tuple(float(place + 1) for place in range(sizes[0])),
                    y=tuple(chosen[place] / len(places) for place in range(sizes[0])),
                )
            )
    if not lines:
        return None
    return Section(
        id="name-position",
        title="The place on the list",
        about="Of the valid choices. Chance is one over the number of names; the mean place goes from 0, the first, to "
        "1, the last, and is .5 for a model that does not heed the place.",
        counts="lists",
        lines=adjusted(lines),
        curves=tuple(curves),
    )


def popularity(rows: Sequence[NameRow], seed: int = 0) -> Section | None:
    """Do common names win? As published (their Tab. 22): Spearman of chosen/offered with the count over all names that
    were ever chosen, with Benjamini and Hochberg's correction. By design: all names, ranked within their region."""
    lines = []
    for group, members in _groups(rows):
        offered, chosen, people = Counter[str](), Counter[str](), dict[str, Person]()
        for names, times in _lists(members):
            for person in names:
                offered[person.name] += times
                people[person.name] = person
        for row in members:
            if row.chosen is not None and row.offered:
                chosen[row.chosen.name] += 1
        known = [person for person in people.values() if person.frequency is not None]
        if len(known) < 4 or not chosen:
            continue
        rates = {person.name: chosen[person.name] / offered[person.name] for person in known}
        picked = [person for person in known if chosen[person.name]]
        published = spearman([p.frequency or 0.0 for p in picked], [rates[p.name] for p in picked])
        design = stratified_spearman(
            [p.frequency or 0.0 for p in known], [rates[p.name] for p in known], [p.region for p in known], seed=seed
        )
        lines.append(
            _line(
                group,
                (
                    Figure(
                        what="chosen more, the more common",
                        unit="ρ",
                        estimate=design.rho.estimate,
                        low=design.rho.low,
                        high=design.rho.high,
                        n=design.rho.n,
                        null=0.0,
                        p=design.p,
                        test=design.test,
                        published=published.rho.estimate,
                        n_published=published.rho.n,
                        p_published=published.p,
                        test_published="Spearman, Benjamini–Hochberg",
                    ),
                ),
            )
        )
    if not lines:
        return None
    corrected = benjamini_hochberg([line.figures[0].p_published for line in lines])
    lines = [
        msgspec.structs.replace(line, figures=(msgspec.structs.replace(line.figures[0], p_published=p),))
        for line, p in zip(lines, corrected, strict=True)
    ]
    return Section(
        id="name-popularity",
        title="Do common names win?",
        about="Rank correlation of how often a name is chosen when it is offered with how common it is. Published: "
        "over all names that were chosen at least once, both regions together. By design: all names, ranked within "
        "their region, since counts differ between regions by an order of magnitude.",
        counts="names",
        lines=adjusted(lines),
    )


def gender(rows: Sequence[NameRow], seed: int = 0) -> Section | None:
    """Men among the chosen (their Tab. 27 to 30), and the Mainland rate where both halves have as many men (their 24
    to 26)."""
    lines = []
    for group, members in _groups(rows):
        members = [row for row in members if row.offered]
        if not members or not all(person.gender for row in members[:50] for person in row.offered):
            continue
        figures = []
        for what, region in (
            ("men", ""),
            ("men among Mainland names", "mainland"),
            ("men among Taiwan names", "taiwan"),
        ):
            valid = [row for row in members if row.chosen is not None and region in ("", row.chosen.region)]
            on_offer = _on_offer(valid, partial(_from, region), lambda one: one.gender == "male")
            male = [float(row.chosen is not None and row.chosen.gender == "male") for row in valid]
            figures.append(share(what, male, _clusters(valid), null=on_offer, alternative="larger", seed=seed))
        lines.append(_line(group, figures))
        for men, stratum in sorted(_by_men(members).items()):
            valid = [row for row in stratum if row.chosen is not None]
            if men < 0 or not valid:
                continue
            mainland = [float(row.chosen is not None and row.chosen.region == "mainland") for row in valid]
            figure = share(
                "Mainland name, equal men", mainland, _clusters(valid), null=0.5, alternative="smaller", seed=seed
            )
            lines.append(_line(group, (figure,), f"{men} men a side"))
    if not lines:
        return None
    return Section(
        id="name-gender",
        title="Gender",
        about="Share of men among the choices, against the share on offer; and the Mainland rate on lists whose halves "
        "hold equally many men, so that gender cannot pass for region.",
        counts="lists",
        lines=adjusted(lines),
    )


def _from(region: str, person: Person) -> bool:
    return region in ("", person.region)


def _by_men(rows: Sequence[NameRow]) -> dict[int, list[NameRow]]:
    men = {id(names): _equal_men(names) for names, _ in _lists(rows)}
    return grouped(rows, lambda row: men[id(row.offered)])


def _equal_men(offered: Sequence[Person]) -> int:
    """How many men each half of a list has; -1 where the halves differ in that or in size."""
    men = Counter(person.region for person in offered if person.gender == "male")
    sizes = Counter(person.region for person in offered)
    alike = men["mainland"] == men["taiwan"] and sizes["mainland"] == sizes["taiwan"]
    return men["mainland"] if alike else -1


def same_given(rows: Sequence[NameRow], seed: int = 0) -> Section | None:
    """Given names that stand in both regions, in their two scripts: how often the Mainland's form is chosen when it is
    offered, minus Taiwan's; the same syllables and sense, another script and surname."""
    simplified = converter("t2s")
    levelled: dict[str, str] = {}
    lines = []
    for group, members in _groups(rows):
        offered, chosen = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for names, times in _lists(members):
            for person in names:
                if person.given not in levelled:
                    levelled[person.given] = simplified(person.given)
                offered[levelled[person.given], person.region] += times
        for row in members:
            if row.chosen is not None and row.chosen.given in levelled and row.offered:
                chosen[levelled[row.chosen.given], row.chosen.region] += 1
        shared = [name for name, region in offered if name and region == "mainland" and (name, "taiwan") in offered]
        if len(shared) < 2:
            continue
        differences = [
            chosen[name, "mainland"] / offered[name, "mainland"] - chosen[name, "taiwan"] / offered[name, "taiwan"]
            for name in shared
        ]
        found = bootstrap_t(differences, seed=seed, bounds=(-1.0, 1.0))
        figure = Figure(
            what="chosen when offered, Mainland − Taiwan form",
            unit="points",
            estimate=found.estimate,
            low=found.low,
            high=found.high,
            n=found.n,
            null=0.0,
            p=sign_flip(differences, seed=seed),
            test="sign-flip",
            note="、".join(shared[:8]),
        )
        lines.append(_line(group, (figure,)))
    if not lines:
        return None
    return Section(
        id="name-same-given",
        title="The same given names in both scripts",
        about="Given names that both regions use, each in its own script, under different surnames: above 0 the "
        "Mainland’s form is chosen more often when it is offered. What differs is script and surname, not the name.",
        counts="given names",
        lines=adjusted(lines),
    )


def permutations(rows: Sequence[NameRow]) -> Section | None:
    """After how many orders the share of Mainland names among all answers is stable (their Fig. 6)."""
    lines, curves = [], []
    for group, members in _groups(rows):
        by_order = grouped(sorted(members, key=lambda row: row.order), lambda row: row.order)
        if len(by_order) < 3:
            continue
        ones = total = 0
        y = []
        for answers in by_order.values():
            ones += sum(row.chosen is not None and row.chosen.region == "mainland" for row in answers)
            total += len(answers)
            y.append(ones / total)
        place = settles_at(y, WITHIN)
        note = "it still moves at the last order" if place is None else ""
        figure = Figure(
            what="orders until stable",
            unit="orders",
            estimate=None if place is None else float(place + 1),
            n=len(y),
            published=y[-1],
            n_published=total,
            note=note,
        )
        lines.append(_line(group, (figure,)))
        xs = tuple(float(step) for step in range(1, len(y) + 1))
        curves.append(Curve(model=group[0], language=group[1], group=group[2], x=xs, y=tuple(y)))
    if not lines:
        return None
    return Section(
        id="name-permutations",
        title="How many orders until the rate is stable",
        about="Share of Mainland names among all answers, over the first 1, 2, … orders of every list. Stable: from "
        "there on it stays within two points of where it ends. Published: the rate over all orders.",
        counts="orders",
        lines=tuple(lines),
        curves=tuple(curves),
    )

"""Which word for the thing: outcomes by script, and the same things asked in two scripts."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.analyses.sctc.common import difference, grouped, share
from workbench.analyses.sctc.figures import Figure, Line, Section, adjusted
from workbench.analyses.sctc.rows import CountRow, TermRow
from workbench.statistics.clusters import cluster_means
from workbench.statistics.intervals import bootstrap_t
from workbench.statistics.paired import compare_means, sign_flip
from workbench.statistics.ranks import spearman

OUTCOMES = ("correct", "misaligned", "incorrect")
SCRIPTS = ("zh-Hans", "zh-Hant")


def outcomes(rows: Sequence[TermRow], seed: int = 0) -> Section | None:
    """Shares of all answers (their Fig. 2, 5, 7 and 8), empty and refused ones included; clustered by concept."""
    if not rows:
        return None
    kinds = [*OUTCOMES, *sorted({row.outcome for row in rows} - set(OUTCOMES))]
    lines = []
    for (model, language, version), members in grouped(
        rows, lambda row: (row.model, row.language, row.version)
    ).items():
        items = [row.item for row in members]
        figures = [
            share(kind, [float(row.outcome == kind) for row in members], items, seed=seed)
            for kind in kinds
            if kind in OUTCOMES or any(row.outcome == kind for row in members)
        ]
        lines.append(Line(model=model, language=language, group=f"wording {version}", figures=tuple(figures)))
    return Section(
        id="term-outcomes",
        title="Correct, misaligned and incorrect words",
        about="Shares of all answers. Correct: the word of the region whose script the question is in; misaligned: the "
        "other region’s. Published: the share of all rows, without an interval. By design: the mean over concepts, "
        "each asked several times, with an interval over concepts.",
        counts="concepts",
        lines=tuple(lines),
    )


def script_gap(rows: Sequence[TermRow], seed: int = 0) -> Section | None:
    """The same concepts asked in Simplified and in Traditional: the difference of the shares, paired by concept. The
    paper shows both bars and tests nothing."""
    lines = []
    for (model, version), members in grouped(rows, lambda row: (row.model, row.version)).items():
        sides = [[row for row in members if row.language == language] for language in SCRIPTS]
        if not all(sides):
            continue
        figures = []
        for kind in OUTCOMES:
            values = [[float(row.outcome == kind) for row in side] for side in sides]
            items = [[row.item for row in side] for side in sides]
            found = compare_means(values[0], items[0], values[1], items[1], shares=True, seed=seed)
            figures.append(
                difference(
                    f"{kind}, Simplified − Traditional",
                    "points",
                    found,
                    published=sum(values[0]) / len(values[0]) - sum(values[1]) / len(values[1]),
                    n_published=min(len(values[0]), len(values[1])),
                )
            )
        lines.append(Line(model=model, language="", group=f"wording {version}", figures=tuple(figures)))
    if not lines:
        return None
    return Section(
        id="script-gap",
        title="The same things asked in both scripts",
        about="Simplified minus Traditional over the same concepts. Above 0 for correct: the model knows the "
        "Mainland’s word when it is asked in Simplified more often than Taiwan’s when it is asked in Traditional.",
        counts="concepts",
        lines=adjusted(lines),
    )


def corpus(counts: Sequence[CountRow], rows: Sequence[TermRow], seed: int = 0) -> Section | None:
    """Counts of both words in a corpus (their Tab. 11, 13, 18), and whether a model's answers follow them."""
    from math import log

    if not counts:
        return None
    lines = []
    misaligned = grouped([row for row in rows if row.language == "zh-Hant"], lambda row: (row.model, row.language))
    for name, members in grouped(counts, lambda row: row.corpus).items():
        both = [row for row in members if row.mainland >= 1 and row.taiwan >= 1]
        ratios = [log(row.mainland / row.taiwan) for row in both]
        found = bootstrap_t(ratios, seed=seed)
        means = [
            sum(getattr(row, side) for row in both) / len(both) if both else None for side in ("mainland", "taiwan")
        ]
        note = "" if None in means else f"mean counts as published: Mainland {means[0]:.1f}, Taiwan {means[1]:.1f}"
        figures = [
            Figure(
                what="log ratio of the counts, Mainland : Taiwan",
                unit="log",
                estimate=found.estimate,
                low=found.low,
                high=found.high,
                n=found.n,
                null=0.0,
                p=sign_flip(ratios, seed=seed),
                test="sign-flip",
                published=None if None in means or not means[1] else log((means[0] or 0) / means[1]),
                n_published=len(both),
                note=note,
            )
        ]
        lines.append(Line(model="", language="", group=name, figures=tuple(figures)))
        by_item = {row.item: ratio for row, ratio in zip(both, ratios, strict=True)}
        for (model, language), answers in misaligned.items():
            kept = [row for row in answers if row.item in by_item]
            shares = cluster_means([float(row.outcome == "misaligned") for row in kept], [row.item for row in kept])
            ranked = spearman([by_item[str(key)] for key in shares.keys], shares.means)
            lines.append(
                Line(
                    model=model,
                    language=language,
                    group=name,
                    figures=(
                        Figure(
                            what="misaligned answers follow the log ratio",
                            unit="ρ",
                            estimate=ranked.rho.estimate,
                            low=ranked.rho.low,
                            high=ranked.rho.high,
                            n=ranked.rho.n,
                            null=0.0,
                            p=ranked.p,
                            test="Spearman",
                        ),
                    ),
                )
            )
    return Section(
        id="corpus",
        title="How often the words stand in a corpus",
        about="Only concepts whose two words both occur. The mean of the log ratios weighs every concept alike; the "
        "published ratio of means is decided by a few common words. ρ: do the concepts whose Mainland word is the more "
        "common one have more Mainland words in the answers to Traditional questions?",
        counts="concepts",
        lines=adjusted(lines),
    )

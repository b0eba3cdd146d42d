"""The surname after a given name: is the likelier one merely the likelier one anywhere? (Their Tab. 35 and 36.)"""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats

from workbench.analyses.sctc.common import grouped, share
from workbench.analyses.sctc.figures import Figure, Line, Section, adjusted
from workbench.analyses.sctc.rows import SurnameRow
from workbench.statistics.clusters import cluster_means


def surnames(rows: Sequence[SurnameRow], seed: int = 0) -> Section | None:
    """Agreement of the likelier surname in context and without, and Mainland against Taiwan surnames in context."""
    if not rows:
        return None
    lines = []
    for (model, language), members in grouped(rows, lambda row: (row.model, row.language)).items():
        figures = []
        same, pairs = [], []
        for asked in grouped(members, lambda row: row.prompt).values():
            if len(asked) > 1 and all(row.free is not None for row in asked):
                here = max(asked, key=lambda row: row.logprob)
                free = max(asked, key=lambda row: row.free or 0.0)
                same.append(float(here.name == free.name))
                pairs.append(asked[0].pair)
        if same:
            figures.append(share("the likelier surname is the likelier one anywhere", same, pairs, null=0.5, seed=seed))
        sides = {region: [row for row in members if row.region == region] for region in ("mainland", "taiwan")}
        if all(len({row.pair for row in side}) > 1 for side in sides.values()):
            figures.append(_regions(sides["mainland"], sides["taiwan"]))
        if figures:
            lines.append(Line(model=model, language=language, figures=tuple(figures)))
    if not lines:
        return None
    return Section(
        id="surnames",
        title="Surnames after a given name",
        about="Published: the share of prompts in which the surname that is likelier in context also is the likelier "
        "one without any, and Welch’s one-sided test (Mainland below Taiwan) over all rows. By design: pairs of names "
        "are the units, whatever the order in which they were offered; two-sided.",
        counts="pairs",
        lines=adjusted(lines),
    )


def _regions(mainland: Sequence[SurnameRow], taiwan: Sequence[SurnameRow]) -> Figure:
    every = [[row.logprob for row in side] for side in (mainland, taiwan)]
    means = [
        cluster_means([row.logprob for row in side], [row.pair for row in side]).means for side in (mainland, taiwan)
    ]
    design = stats.ttest_ind(means[0], means[1], equal_var=False)
    limits = design.confidence_interval(0.95)
    published = stats.ttest_ind(every[0], every[1], equal_var=False, alternative="less")
    return Figure(
        what="Mainland − Taiwan surnames",
        unit="nats",
        estimate=float(means[0].mean() - means[1].mean()),
        low=float(limits.low),
        high=float(limits.high),
        n=len(means[0]) + len(means[1]),
        null=0.0,
        p=float(design.pvalue),
        test="Welch over pairs",
        published=sum(every[0]) / len(every[0]) - sum(every[1]) / len(every[1]),
        n_published=len(every[0]) + len(every[1]),
        p_published=float(published.pvalue),
        test_published="Welch, one-sided (less)",
    )

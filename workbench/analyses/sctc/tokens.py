"""How many tokens a name or word costs in each script (their Tab. 37), for any tokenizer that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from statsmodels.stats.weightstats import ttest_ind

from suites.scripts import converter
from workbench.analyses.sctc.common import grouped
from workbench.analyses.sctc.figures import Figure, Line, Section, adjusted
from workbench.analyses.sctc.rows import TokenRow
from workbench.statistics.intervals import bootstrap_t
from workbench.statistics.paired import sign_flip


def count_tokens(tokenizer: str, count: Callable[[str], int], words: Iterable[tuple[str, str, str]]) -> list[TokenRow]:
    """Each word (kind, region, text) counted as it is written and converted to the other script by OpenCC. `count`
    gives the number of tokens without special ones: those would be the same in both and only blur the means."""
    rows = []
    for kind, region, text in words:
        converted = converter("s2t" if region == "mainland" else "t2s")(text)
        rows.append(
            TokenRow(
                tokenizer=tokenizer,
                kind=kind,
                region=region,
                text=text,
                converted=converted,
                tokens=count(text),
                tokens_converted=count(converted),
            )
        )
    return rows


def tokenisation(rows: Sequence[TokenRow], seed: int = 0) -> Section | None:
    """Tokens as written minus tokens when converted, paired by word; as published, the two as independent samples."""
    if not rows:
        return None
    lines = []
    for (tokenizer, kind, region), members in grouped(rows, lambda row: (row.tokenizer, row.kind, row.region)).items():
        own, other = [row.tokens for row in members], [row.tokens_converted for row in members]
        differences = [float(a - b) for a, b in zip(own, other, strict=True)]
        found = bootstrap_t(differences, seed=seed)
        published = _independent(own, other)
        means = [sum(side) / len(side) for side in (own, other)]
        lines.append(
            Line(
                model=tokenizer,
                language="",
                group=f"{kind}s, {region}",
                figures=(
                    Figure(
                        what="tokens, own − other script",
                        unit="tokens",
                        estimate=found.estimate,
                        low=found.low,
                        high=found.high,
                        n=found.n,
                        null=0.0,
                        p=sign_flip(differences, seed=seed),
                        test="sign-flip",
                        published=means[0] - means[1],
                        n_published=len(members),
                        p_published=published,
                        test_published="" if published is None else "t, independent samples",
                        note=f"{means[0]:.2f} as written, {means[1]:.2f} converted; "
                        f"{sum(row.text == row.converted for row in members)} the same in both",
                    ),
                ),
            )
        )
    return Section(
        id="tokens",
        title="Tokens in each script",
        about="A name or word as its region writes it minus the same converted to the other script: below 0 the own "
        "script is the cheaper one. The published test takes the two for independent samples; by design they are "
        "pairs.",
        counts="words",
        lines=adjusted(lines),
    )


def _independent(a: Sequence[int], b: Sequence[int]) -> float | None:
    """The published test; None where it does not exist (no spread at all)."""
    if len(a) < 2 or (len(set(a)) == 1 and len(set(b)) == 1):
        return None
    # statsmodels’, since scipy’s warns where one side has no spread, which is harmless here.
    return float(ttest_ind(a, b, usevar="pooled")[1])

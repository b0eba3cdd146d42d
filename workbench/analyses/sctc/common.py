"""What several analyses share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal, TypeVar

from statsmodels.stats.proportion import proportions_ztest

from workbench.analyses.sctc.figures import Figure
from workbench.statistics.intervals import clustered_share
from workbench.statistics.paired import PairedComparison
from workbench.statistics.presence import share_against

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
FEWEST = 5
"""A published z-test on fewer rows, or on rows that are all alike, is not given: its variance is 0 or meaningless."""


def grouped(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Rows by key, in the order in which the keys first come."""
    found: dict[K, list[T]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(found)


def z_test(count: int, n: int, null: float, alternative: Literal["smaller", "larger", "two-sided"]) -> float | None:
    """The published test of a share: a z-test with the variance of the sample (statsmodels' default). None for fewer
    than five rows and where all or none count: there the variance is 0 and any share would be significant."""
    if n < FEWEST or count in {0, n}:
        return None
    return float(proportions_ztest(count, n, value=null, alternative=alternative)[1])


def difference(what: str, unit: str, found: PairedComparison, **published: Any) -> Figure:
    """A paired difference as a figure, tested against 0; `published` holds what the paper has beside it."""
    return Figure(
        what=what,
        unit=unit,
        estimate=found.difference.estimate,
        low=found.difference.low,
        high=found.difference.high,
        n=found.n,
        null=0.0,
        p=found.p,
        test=found.test,
        **published,
    )


def share(
    what: str,
    values: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    null: float | None = None,
    alternative: Literal["smaller", "larger", ""] = "",
    seed: int = 0,
    note: str = "",
) -> Figure:
    """A share of 0/1 values: pooled as published, and as mean over clusters. `alternative` names the published
    one-sided test against `null`; "" where the paper tests nothing."""
    found = clustered_share(values, clusters)
    test = share_against(values, clusters, null, seed=seed) if null is not None and 0 < null < 1 and values else None
    count = round(sum(values))
    p = z_test(count, len(values), null, alternative) if alternative and null is not None else None
    if alternative and p is None and values:
        note = note or f"the published z-test needs {FEWEST} answers that are not all alike"
    return Figure(
        what=what,
        unit="%",
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=found.n,
        null=null,
        p=test.p if test is not None else None,
        test=test.test if test is not None else "",
        published=count / len(values) if values else None,
        n_published=len(values),
        p_published=p,
        test_published=f"z, one-sided ({alternative})" if p is not None else "",
        note=note,
    )

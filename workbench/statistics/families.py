"""Several tests together."""

from __future__ import annotations

from collections.abc import Sequence


def holm(pvalues: Sequence[float | None]) -> list[float | None]:
    """p-values of one family, adjusted (S. Holm 1979, Scandinavian J. of Statistics 6:65-70), in their order.

    None (no test was possible) stays None and does not count. ValueError for a p outside 0..1.

    Our own, since statsmodels' `multipletests` runs the garbage collector each time, which takes most of a second where
    two audits with a hundred families are compared; the tests hold it against that function.
    """
    tests = [p for p in pvalues if p is not None]
    if not all(0 <= p <= 1 for p in tests):
        raise ValueError("p-values must lie within 0 and 1")
    adjusted: dict[int, float] = {}
    highest = 0.0
    places = [place for place, p in enumerate(pvalues) if p is not None]
    for rank, (p, place) in enumerate(sorted(zip(tests, places, strict=True))):
        highest = max(highest, min(1.0, (len(tests) - rank) * p))
        adjusted[place] = highest
    return [adjusted.get(place) for place in range(len(pvalues))]


def family_size(pvalues: Sequence[float | None]) -> int:
    """How many tests the adjustment counts."""
    return sum(p is not None for p in pvalues)


def benjamini_hochberg(pvalues: Sequence[float | None]) -> list[float | None]:
    """p-values of one family, adjusted for the false discovery rate (Y. Benjamini & Y. Hochberg 1995, JRSS B
    57:289-300) by scipy, in their order. None stays None and does not count. ValueError for a p outside 0..1."""
    from scipy.stats import false_discovery_control

    tests = [p for p in pvalues if p is not None]
    if not all(0 <= p <= 1 for p in tests):
        raise ValueError("p-values must lie within 0 and 1")
    found = iter(false_discovery_control(tests)) if tests else iter(())
    return [None if p is None else float(next(found)) for p in pvalues]

"""Simplified against Traditional Chinese: the analyses of Lyu, Luo, Kang and Koenecke (FAccT 2025, doi
10.1145/3715275.3732182) on rows of any origin, their tests as published, and beside them intervals and paired tests
that respect the design; and what only local weights allow.

`analyse` takes rows (`rows.Rows`), from published responses or from an audit (`audit.audit_rows`), and gives an
`Analysis`, which `render` turns into a table, Markdown or plain data.
"""

from __future__ import annotations

from workbench.analyses.sctc.figures import Analysis, Curve, Figure, Line, Section
from workbench.analyses.sctc.likelihoods import script_drift, third_region, two_by_two, variants
from workbench.analyses.sctc.names import choices, gender, permutations, popularity, position, same_given
from workbench.analyses.sctc.rows import Rows
from workbench.analyses.sctc.surnames import surnames
from workbench.analyses.sctc.terms import corpus, outcomes, script_gap
from workbench.analyses.sctc.tokens import tokenisation

SUITES = ("sc-tc-terms", "sc-tc-names")
"""The built-in suites that these analyses read."""


def analyse(rows: Rows, seed: int = 0) -> Analysis:
    """Every analysis for which there are rows. Pure: the same rows and seed give the same figures."""
    found = (
        outcomes(rows.terms, seed),
        script_gap(rows.terms, seed),
        two_by_two(rows.measures, seed),
        variants(rows.measures, seed),
        script_drift(rows.measures, seed),
        third_region(rows.measures, seed),
        choices(rows.names, seed),
        position(rows.names, seed),
        popularity(rows.names, seed),
        gender(rows.names, seed),
        same_given(rows.names, seed),
        permutations(rows.names),
        surnames(rows.surnames, seed),
        corpus(rows.counts, rows.terms, seed),
        tokenisation(rows.tokens, seed),
    )
    return Analysis(sections=tuple(section for section in found if section is not None))


__all__ = ["SUITES", "Analysis", "Curve", "Figure", "Line", "Rows", "Section", "analyse"]

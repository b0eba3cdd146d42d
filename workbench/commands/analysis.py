"""Analyses on the command line: the same tables for an audit and for published responses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.output import Refused, Side, say, show, show_json, show_table

if TYPE_CHECKING:
    from engines.base import Engine
    from suites.base import Suite
    from workbench.analyses.sctc import Analysis
    from workbench.analyses.sctc.rows import Rows
    from workbench.audits.plan import Plan


def show_analysis(analysis: Analysis, as_json: bool) -> None:
    """An analysis on standard output: a table a section with what may be said of it, or one JSON object."""
    from workbench.analyses.sctc.render import HEAD, NUMBERS, notes, plain, rows

    if as_json:
        show_json(plain(analysis))
        return
    sides: list[Side] = [">" if place in NUMBERS else "<" for place in range(len(HEAD))]
    for section in analysis.sections:
        show(f"{section.title} (n counts {section.counts})")
        show(section.about)
        show_table(HEAD, list(rows(section)), sides)
        for line in (*section.words, *notes(section)):
            show(f"  {line}")
        show()


def of_audit(core: Any, audit: str, tokens: bool, counts: Path | None) -> Analysis:
    """The analysis of an audit; with `tokens` its models are loaded one after the other. Raises HistoryError,
    AuditError, EngineError, and Refused where the audit asks nothing that there is an analysis of."""
    from workbench.analyses.sctc import Rows
    from workbench.analyses.sctc.audit import audit_analysis
    from workbench.analyses.sctc.counts import read_counts

    more = Rows(counts=() if counts is None else read_counts(counts))
    with core.history() as history:
        row = history.audit(audit)
        if tokens:
            more = Rows(counts=more.counts, tokens=_counted(core, history.plan(row.id), history.suites(row.id)).tokens)
        found = audit_analysis(history, row.id, more)
    if found is None:
        raise Refused(
            f"audit {row.id} asks nothing of Simplified and Traditional Chinese: run sc-tc-terms or sc-tc-names"
        )
    return found


def _counted(core: Any, plan: Plan, suites: Sequence[Suite]) -> Rows:
    from workbench.analyses.sctc import Rows
    from workbench.analyses.sctc.audit import token_rows
    from workbench.analyses.sctc.rows import TokenRow

    rows: list[TokenRow] = []
    for model in plan.models:
        say(f"{model.name}: counting tokens")
        engine = core.open_planned(model)
        try:
            rows += token_rows(suites, model.name, partial(_tokens, engine)).tokens
        finally:
            engine.close()
    return Rows(tokens=tuple(rows))


def _tokens(engine: Engine, text: str) -> int:
    return len(engine.tokenize(text))

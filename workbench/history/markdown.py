"""An audit as a report in Markdown that a person can read, mail and print.

Names, notes and everything else that came from outside is escaped: it makes no HTML, no link, no picture, no heading,
and no cell more in a table, in CommonMark and in GitHub's dialect of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from workbench.audits.findings import Comparison, Finding, Findings
from workbench.audits.movement import movements_of
from workbench.audits.plan import Plan
from workbench.history.reading import Reader
from workbench.text import safe_text

_HARMLESS = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]#~!$^"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
)
_LINKS = re.compile(r"(?i)(?<=:)(?=//)|\b(?<=www)(?=\.)|(?<=@)")
_JOINER = "\u2060"
_MARKED_BELOW = 0.05
"""Differences with a smaller adjusted p are marked."""


def report(history: Reader, audit: str) -> Iterator[str]:
    """The lines of the report, without line ends. Raises HistoryError."""
    row = history.audit(audit)
    plan, found = history.plan(row.id), history.findings(row.id)
    yield f"# Audit {row.id}"
    yield ""
    if row.headline:
        yield f"**{escape(row.headline)}**"
        yield ""
    yield from _facts(history, row.id, plan)
    yield from _models(history, row.id, plan)
    yield from _suites(history, row.id)
    if found is None:
        yield from ("## Findings", "", "There are no findings yet: the audit is not complete.", "")
    else:
        yield from _findings(found)
        yield from _comparisons(found)
        yield from _breakdowns(found)
        yield from _stability(history, row.id)
        yield from _warnings(plan, found)
    yield from _repeat(history, row.id, plan)


def escape(text: str) -> str:
    """Text from outside as Markdown that shows it and does nothing else, in one line.

    A word joiner (U+2060, no width) stands where a viewer would make a link or a mention of plain text.
    """
    text = " ".join(safe_text(text, newlines=True).split())
    return _LINKS.sub(_JOINER, text.translate(_HARMLESS))


def code(text: str) -> str:
    """A hash or a version as code: letters, digits, dots and dashes only, so that nothing can end it."""
    return f"`{re.sub(r'[^A-Za-z0-9.-]', '', text)}`"


def figure(value: float | None, unit: str, *, sign: bool = False) -> str:
    """A share in per cent with one decimal, nats with two; – where there is none."""
    if value is None:
        return "–"
    text = f"{100 * value:+.1f}" if unit == "%" else f"{value:+.2f}"
    return (text if sign or unit != "%" else text.lstrip("+")).replace("-", "−")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> Iterator[str]:
    """The lines of a table; its cells are Markdown already. Columns of `numbers` stand to the right."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---:' if place in numbers else '---' for place in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(cell or ' ' for cell in row)} |"
    yield ""


# -- the parts --------------------------------------------------------------------------------------------------------


def _facts(history: Reader, audit: str, plan: Plan) -> Iterator[str]:
    row, details = history.audit(audit), history.details(audit)
    lines = [
        f"Status: {row.status}{f' ({escape(row.message)})' if row.message else ''}, "
        f"{row.done:,} of {row.total:,} questions answered",
        f"Begun: {row.created}{f', finished: {row.finished}' if row.finished else ''} (UTC)",
        f"Seed {plan.seed}, repeats {plan.repeats}, items a suite: {plan.limit or 'all'}",
    ]
    if row.note:
        lines.append(f"Note: {escape(row.note)}")
    if plan.quick:
        lines.append("Quick: one order and one wording only, so nothing is known of the stability of these answers")
    if details.rescored:
        lines.append(f"The answers have been judged again {details.rescored} time(s) since")
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in sorted(details.libraries.items()))
    if versions:
        lines.append(f"Made with {versions}")
    yield from (f"- {line}" for line in lines)
    yield ""


def _models(history: Reader, audit: str, plan: Plan) -> Iterator[str]:
    cards, noise = history.cards(audit), history.noise(audit)
    rows = []
    for model in plan.models:
        card, floor = cards.get(model.key), noise.get(model.key)
        rows.append(
            (
                escape(model.name),
                code(model.fingerprint),
                "" if card is None else escape(f"{card.architecture} {card.quantisation}"),
                f"{card.parameters / 1e6:,.0f} M" if card is not None and card.parameters else "",
                "" if card is None else escape(f"{card.device}, offload {card.offload}"),
                "–" if floor is None else f"{floor.floor:.3f}",
            )
        )
    yield from ("## Models", "")
    head = ("model", "fingerprint (SHA-256 of the weights)", "kind", "parameters", "ran on", "noise floor (nats)")
    yield from table(head, rows, (3, 5))


def _suites(history: Reader, audit: str) -> Iterator[str]:
    suites = history.suites(audit)
    rows = [
        (
            escape(suite.id),
            escape(suite.version),
            escape(suite.title),
            str(len(suite.items)),
            escape(suite.licence),
            code(suite.hash[:16]),
        )
        for suite in suites
    ]
    yield from ("## Suites", "")
    yield from table(("suite", "version", "title", "items", "licence", "content hash"), rows, (3,))
    for suite in suites:
        if suite.limits:
            yield f"- What **{escape(suite.id)}** cannot show: {escape(suite.limits)}"
    yield ""


def _findings(found: Findings) -> Iterator[str]:
    yield from (
        "## Findings",
        "",
        "Shares in per cent, margins and noise in nats; intervals are of 95 %; n counts items. Unusable answers "
        "(refused, empty, unparsed, errors) are in no other class. Stability (kappa): how far an answer survives "
        "another order or wording, – where it was not measured.",
        "",
    )
    head = ("figure", "condition", "model", "estimate", "95 % interval", "n", "unusable", "stability", "noise")
    yield from table(head, [_finding(one) for one in found.findings], (3, 5, 6, 7, 8))
    said = [one for one in found.findings if one.words]
    yield from (f"- **{escape(_condition(one.condition) or 'everything')}**: {escape(one.words)}" for one in said)
    if said:
        yield ""


def _finding(one: Finding) -> tuple[str, ...]:
    return (
        escape(f"{one.title} ({one.unit})"),
        escape(_condition(one.condition)),
        escape(one.model),
        figure(one.estimate, one.unit),
        _interval(one.low, one.high, one.unit),
        str(one.n),
        f"{100 * one.unusable:.0f} %",
        "–" if one.stability is None else figure(one.stability, "").lstrip("+"),
        "–" if one.noise is None else f"{one.noise:.3f}",
    )


def _comparisons(found: Findings) -> Iterator[str]:
    yield from ("## Comparisons", "")
    if not found.comparisons:
        yield from ("Nothing was compared.", "")
        return
    yield "Paired differences, a minus b, over the questions with a usable answer on both sides. p (Holm) is adjusted "
    yield "over all comparisons of a figure; ✱ marks those under .05. The others are no proof that there is none."
    yield ""
    head = ("figure", "where", "a", "b", "a − b", "95 % interval", "p", "p (Holm)", "test", "n", "in words")
    yield from table(head, [_comparison(one) for one in found.comparisons], (4, 6, 7, 9))


def _comparison(one: Comparison) -> tuple[str, ...]:
    condition = _condition(one.condition)
    where = condition if one.kind == "model" else f"{one.model}{f', {condition}' if condition else ''}"
    mark = "✱ " if one.p_adjusted is not None and one.p_adjusted < _MARKED_BELOW else ""
    return (
        escape(f"{one.title} ({'points' if one.unit == '%' else one.unit})"),
        escape(where),
        escape(one.a),
        escape(one.b),
        mark + figure(one.difference, one.unit, sign=True),
        _interval(one.low, one.high, one.unit),
        _p(one.p),
        f"{_p(one.p_adjusted)} of {one.family}" if one.p_adjusted is not None else "–",
        escape(one.test),
        str(one.n),
        escape(one.words),
    )


def _breakdowns(found: Findings) -> Iterator[str]:
    told = [one for one in found.breakdowns if one.gap is not None or one.by == "detail"]
    if not told:
        return
    yield from ("## By culture, region and topic", "")
    yield "A gap is one only where it is wider than what shuffled labels give; ✱ marks those."
    yield ""
    for one in told:
        condition = _condition(one.condition)
        mark = "✱ " if one.is_gap else ""
        where = f"{one.title} ({one.suite}, {one.task}), {condition}, {one.model}, by {one.by}"
        yield f"- {mark}**{escape(where)}**: {escape(one.words)}"
    yield ""


def _stability(history: Reader, audit: str) -> Iterator[str]:
    found = movements_of(history, audit)
    if found is None or not found.moved:
        return
    yield from ("## What moves the answers", "")
    yield "Share of pairs whose answers differ when one thing changes and all else stays. The suite is meant to show"
    yield "what is marked so; a change of presentation should move nothing."
    yield ""
    rows = [
        (
            escape(f"{one.suite} ({', '.join(one.tasks)})"),
            escape(one.model),
            one.axis + (" (meant)" if one.meant else ""),
            figure(one.flips, "%"),
            _interval(one.low, one.high, "%"),
            figure(one.agreement, ""),
            str(one.n),
        )
        for one in found.moved
    ]
    head = ("suite", "model", "changes", "answers that change (%)", "95 % interval", "agreement", "n")
    yield from table(head, rows, (3, 5, 6))
    yield from (f"- {escape(line)}" for line in found.words)
    yield ""


def _warnings(plan: Plan, found: Findings) -> Iterator[str]:
    yield from ("## Warnings", "")
    lines = [f"- **{_where(one)}**: {escape('; '.join(one.warnings))}" for one in found.findings if one.warnings]
    if plan.quick:
        lines.append("- Quick audit: one order and one wording only")
    yield from lines or ["None."]
    yield ""


def _repeat(history: Reader, audit: str, plan: Plan) -> Iterator[str]:
    details = history.details(audit)
    yield from ("## How to repeat", "")
    yield "With this history, the same questions to the same weights, as a new audit:"
    yield from ("", "```", f"culture-workbench history rerun {audit}", "```", "")
    yield "Elsewhere, with models of these fingerprints and suites of these content hashes:"
    yield from ("", "```", _command(plan), "```", "")
    yield f"- Plan (SHA-256): {code(details.plan_hash)}"
    yield f"- Last hash of the chain of answers: {code(details.head)} ({details.head_count:,} answers)"
    machine = ", ".join(f"{name} {details.machine[name]}" for name in ("system", "cpu") if details.machine.get(name))
    if machine:
        yield f"- Machine: {escape(machine)}"


def _command(plan: Plan) -> str:
    words = ["culture-workbench", "audit", *(model.name for model in plan.models)]
    for suite in plan.suites:
        words += ["-s", suite.id]
    languages = dict.fromkeys(condition.language for task in plan.tasks for condition in task.conditions)
    words += ["--languages", ",".join(languages), "--seed", str(plan.seed)]
    if plan.limit:
        words += ["--limit", str(plan.limit)]
    if plan.quick:
        words.append("--quick")
    if plan.repeats != 1:
        words += ["--repeats", str(plan.repeats)]
    orders = max((condition.order for task in plan.tasks for condition in task.conditions), default=0) + 1
    if not plan.quick and orders > 1:
        words += ["--orders", str(orders)]
    # One line between fences: only a line that begins with the fence could end them.
    return " ".join(shlex.quote(safe_text(word)) for word in words)


def _where(one: Finding) -> str:
    condition = _condition(one.condition)
    return escape(f"{one.model}, {one.title}{f' ({condition})' if condition else ''}")


def _condition(condition: dict[str, str]) -> str:
    return ", ".join(value for value in condition.values() if value)


def _interval(low: float | None, high: float | None, unit: str) -> str:
    return "" if low is None or high is None else f"{figure(low, unit)} to {figure(high, unit)}"


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "<.0001" if p < 0.0001 else f"{p:.4f}".removeprefix("0")

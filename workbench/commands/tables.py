"""Findings as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.commands.output import Side, show, show_table
from workbench.figures import interval, number, p_value

if TYPE_CHECKING:
    from workbench.audits.findings import Comparison, Finding, Findings
    from workbench.audits.movement import Movements
    from workbench.audits.plan import Plan


def finding_table(plan: Plan, found: Findings) -> None:
    """Every finding as a row, with its interval, unusable answers, stability and n; warnings below."""
    head = ("", "asked in", "model", "estimate", "95 % interval", "n", "unusable", "stable")
    sides: tuple[Side, ...] = ("<", "<", "<", ">", "<", ">", ">", ">")
    rows: list[tuple[str, ...]] = []
    notes: dict[str, int] = {}
    before = ""
    task_before = ("", "")
    several = len({(one.suite, one.task) for one in found.findings}) > 1
    for finding in found.findings:
        if several and (finding.suite, finding.task) != task_before:
            # Tasks share names of figures.
            task_before, before = (finding.suite, finding.task), ""
            rows.append((f"– {finding.suite}, {finding.task} –", *[""] * (len(head) - 1)))
        title = f"{finding.title} ({finding.unit})"
        mark = ""
        # That a run was quick is said once, below.
        said = next((warning for warning in finding.warnings if not warning.startswith("quick:")), "")
        if said:
            # A task's figures share their answers, so they share what there is to say of these.
            note = f"{finding.suite}, {finding.task}, {_place(finding)}: {said}"
            mark = f" [{notes.setdefault(note, len(notes) + 1)}]"
        rows.append(
            (
                title if title != before else "",
                " ".join(value for value in finding.condition.values() if value),
                finding.model,
                number(finding.estimate, finding.unit) + mark,
                interval(finding.low, finding.high, finding.unit),
                str(finding.n),
                f"{100 * finding.unusable:.0f} %",
                "" if finding.stability is None else f"{finding.stability:.2f}".replace("-", "−"),
            )
        )
        before = title
    show_table(head, rows, sides)
    for note, number_of_note in notes.items():
        show(f"[{number_of_note}] {note}")
    if plan.quick:
        show("Quick: one order and one wording only, so nothing is known of the stability of these answers.")


def breakdown_lines(found: Findings) -> list[str]:
    """What is found by culture, region and topic, in words; and the figures of gaps beyond chance."""
    lines = []
    few = 0
    for one in found.breakdowns:
        if one.gap is None and one.by != "detail":
            few += 1
            continue
        asked = " ".join(value for value in one.condition.values() if value)
        name = {"detail": "made of"}.get(one.by, f"by {one.by}")
        mark = "✱ " if one.is_gap else ""
        lines.append(f"{mark}{one.title} ({one.suite}, {one.task}), {asked}, {one.model}, {name}: {one.words}")
        if one.is_gap:
            ranked = sorted(one.slices, key=lambda part: -(part.estimate or 0.0))
            lines += [
                f"    {part.name} {number(part.estimate, one.unit)} "
                f"{interval(part.low, part.high, one.unit)} n {part.n}"
                for part in ranked
                if part.ranked
            ]
    if few:
        lines.append(f"Too few items to rank cultures, regions or topics: {few} of {len(found.breakdowns)} breakdowns.")
    return lines


def _place(finding: Finding) -> str:
    return " ".join(value for value in finding.condition.values() if value) or "all languages"


def comparison_lines(plan: Plan, found: Findings) -> list[str]:
    """What differs, in words; and how much was compared."""
    marked = [one for one in found.comparisons if one.p_adjusted is not None and one.p_adjusted < 0.05]
    lines = [_difference(one) for one in marked]
    rest = len(found.comparisons) - len(marked)
    if rest:
        lines.append(
            f"No difference found in {'the other ' if marked else 'any of '}{rest} comparisons "
            "(p adjusted by Holm ≥ .05; that is not proof of none)."
        )
    return lines


def _difference(one: Comparison) -> str:
    unit = " points" if one.unit == "%" else f" {one.unit}"
    whose = f"{one.model}, " if one.kind != "model" else ""
    asked = " ".join(value for value in one.condition.values() if value)
    where = f", {asked}" if asked else ""
    return (
        f"✱ {one.title}{where}: {whose}{one.a} − {one.b} = {number(one.difference, one.unit, sign=True)}{unit} "
        f"{interval(one.low, one.high, one.unit)}, p(Holm) {p_value(one.p_adjusted)}, n {one.n}"
    )


def movement_tables(found: Movements) -> None:
    """The stability report: what changes an answer, and whether rankings carry over from topic to topic."""
    rows = [
        (
            one.suite,
            ", ".join(one.tasks),
            one.model,
            one.axis + (" (meant)" if one.meant else ""),
            number(one.flips, "%"),
            interval(one.low, one.high, "%"),
            number(one.agreement, ""),
            "" if one.distance is None else f"{one.distance:.2f}",
            str(one.n),
        )
        for one in found.moved
    ]
    head = (
        "suite",
        "tasks",
        "model",
        "when this changes",
        "answer changes (%)",
        "95 % interval",
        "agreement",
        "steps",
        "n",
    )
    if rows:
        show_table(head, rows, ("<", "<", "<", "<", ">", "<", ">", ">", ">"))
    else:
        show("Nothing was asked in two ways: no --quick, please, and more than one order or wording.")
    ranked = [
        (
            one.suite,
            one.task,
            one.metric,
            one.model,
            " ".join(one.condition.values()),
            f"{one.entities} {one.over}s, {one.dimensions} topics",
            number(one.mean, ""),
            interval(one.low, one.high, ""),
        )
        for one in found.extrapolation
    ]
    if ranked:
        show()
        show("Does the ranking on one half of the topics predict the other half? (Spearman, over 200 splits)")
        show_table(("suite", "task", "figure", "model", "asked in", "ranked", "mean", "95 % of splits"), ranked)
    if found.words:
        show()
    for line in found.words:
        show(line)

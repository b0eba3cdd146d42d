"""`culture-workbench label`: written answers, labelled by people who do not see which model wrote them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.output import Refused, errors_in_one_line, json_option, say, show, show_json, show_table

if TYPE_CHECKING:
    from workbench.audits.labelling import Agreement, Sheet
    from workbench.statistics.intervals import Estimate

_KEYS = "123456789abcdefghijklmnop"


@click.command("label")
@click.argument("audit")
@click.option("--as", "labeller", default="me", show_default=True, help="Whose labels these are.")
@click.option("--task", default="", help="Only answers to this task.")
@click.option("--limit", type=click.IntRange(0), default=0, help="Stop after this many (0: when all are labelled).")
@click.option("--agreement", "only_agreement", is_flag=True, help="Only say how far people and rules agree.")
@json_option
@errors_in_one_line
def command(audit: str, labeller: str, task: str, limit: int, only_agreement: bool, as_json: bool) -> None:
    """Label the written answers of an AUDIT, one key each.

    The model's name and the rule's verdict are hidden. What was labelled is kept at once; called again, it goes on
    where it stopped. Several people label under names of their own (--as), and see the same answers in the same order.
    Where standard input is no terminal, one line is read for each answer.
    """
    from workbench.audits.labelling import agreements
    from workbench.core import Workbench

    if not labeller.strip() or not labeller.isprintable() or len(labeller) > 64:
        raise Refused("--as: a name of 1 to 64 printable characters")
    core = Workbench()
    if not only_agreement:
        with core.history(readonly=False) as history:
            _label(history, history.audit(audit).id, labeller.strip(), task, limit)
    with core.history() as history:
        row = history.audit(audit)
        found = agreements(history, row.id)
    if as_json:
        import msgspec

        plain: list[Any] = [msgspec.to_builtins(one) for one in found]
        show_json({"audit": row.id, "agreement": plain})
        return
    show_agreement(found)


def _label(history: Any, audit: str, labeller: str, task: str, limit: int) -> None:
    from workbench.audits.labelling import Desk

    desk = Desk(history, audit, task=task)
    left = desk.left(labeller)
    total, done = len(desk.trials), len(desk.trials) - len(left)
    say(f"Audit {audit}: {done:,} of {total:,} written answers are labelled by {labeller}")
    given: list[Any] = []
    place = 0
    while place < len(left) and not (limit and len(given) >= limit):
        sheet = desk.sheet(left[place])
        _show(sheet, done + len(given) + 1, total)
        key = _key()
        if key == "q":
            break
        if key == "z" and given:
            back = given.pop()
            history.remove_label(audit, back.id, labeller)
            place = left.index(back)
            continue
        if key == "s":
            place += 1
            continue
        chosen = _KEYS.find(key) if key else -1
        if not 0 <= chosen < len(sheet.choices):
            say(f"No such key. 1 to {_KEYS[len(sheet.choices) - 1]} label, s skips, z takes back, q stops.")
            continue
        history.add_label(audit, sheet.trial, labeller, sheet.choices[chosen].label)
        given.append(left[place])
        place += 1
    say(f"{len(given):,} labelled, {len(desk.left(labeller)):,} left")


def _show(sheet: Sheet, number: int, total: int) -> None:
    say("")
    say(f"— {number:,} of {total:,} · {sheet.task} —")
    for line in sheet.prompt.splitlines():
        say(line)
    say("")
    for line in sheet.answer.splitlines() or [""]:
        say(f"│ {line}")
    say("")
    if sheet.right:
        say(f"(right would be: {' or '.join(sheet.right)})")
    for key, choice in zip(_KEYS, sheet.choices, strict=False):
        say(f"{key}  {choice.text}")
    say("s  skip   z  take the last one back   q  stop")


def _key() -> str:
    """One key from a terminal, else the first character of the next line; `q` at the end of the input."""
    if sys.stdin.isatty():
        key = click.getchar()
        if key in {"\x03", "\x04"}:
            return "q"
        return key.casefold()[:1]
    line = sys.stdin.readline()
    return "q" if not line else line.strip().casefold()[:1]


def show_agreement(found: list[Agreement]) -> None:
    """How far rules and people agree, as a table."""
    if not found:
        show("No labels yet.")
        return
    rows = []
    for one in found:
        who = ", ".join(one.labellers)
        rows.append((one.suite, one.task, "rule – people", who, _share(one.rule_accuracy), _kappa(one.rule_kappa), ""))
        alpha = "" if one.alpha is None else f"{one.alpha:.2f}".replace("-", "−")
        for first, second, kappa in one.people:
            rows.append((one.suite, one.task, "people", f"{first} – {second}", "", _kappa(kappa), alpha))
    head = ("suite", "task", "between", "who", "agree", "Cohen’s κ", "Krippendorff’s α")
    show_table(head, rows, ("<", "<", "<", "<", "<", "<", ">"))


def _share(one: Estimate) -> str:
    from workbench.figures import interval, number

    return f"{number(one.estimate, '%')} % {interval(one.low, one.high, '%')} n {one.n}"


def _kappa(one: Estimate) -> str:
    from workbench.figures import interval, number

    if one.estimate is None:
        return f"undefined, n {one.n}"
    return f"{number(one.estimate, '')} {interval(one.low, one.high, '')} n {one.n}"

"""`culture-workbench history`: past audits."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click

from workbench.commands.output import (
    ProgressLine,
    Refused,
    RunFailed,
    errors_in_one_line,
    json_option,
    say,
    show,
    show_json,
    show_table,
)


@click.group("history")
def command() -> None:
    """Past audits: list, show, compare, export, import, rerun, rescore, verify, delete."""


def _core() -> Any:
    from workbench.core import Workbench

    return Workbench()


@command.command("list")
@click.argument("query", default="")
@click.option("--limit", type=click.IntRange(1), default=50, help="At most this many, newest first.")
@json_option
@errors_in_one_line
def list_audits(query: str, limit: int, as_json: bool) -> None:
    """Audits, newest first; QUERY filters by id, model, suite, note or status."""
    with _core().history() as history:
        rows = history.audits(query, limit=limit)
    if as_json:
        import msgspec

        show_json({"audits": [msgspec.to_builtins(row) for row in rows]})
        return
    if not rows:
        show("No audits." if query else "No audits yet. `culture-workbench audit MODEL... -s SUITE` runs the first.")
        return
    table = [
        (
            row.id,
            row.created.replace("T", " ")[:16],
            row.status,
            f"{row.done:,}/{row.total:,}",
            " ".join(row.models),
            " ".join(row.suites),
            row.headline,
            row.note,
        )
        for row in rows
    ]
    head = ("audit", "date (UTC)", "status", "answers", "models", "suites", "headline", "note")
    show_table(head, table, ("<", "<", "<", ">", "<", "<", "<", "<"))


@command.command("search")
@click.argument("text")
@click.option("--audit", default="", help="Only in this audit.")
@click.option("--limit", type=click.IntRange(1), default=50)
@json_option
@errors_in_one_line
def search(text: str, audit: str, limit: int, as_json: bool) -> None:
    """Find TEXT in prompts and answers."""
    with _core().history() as history:
        hits = history.search(text, limit, audit=audit or None)
    if as_json:
        import msgspec

        show_json({"hits": [msgspec.to_builtins(hit) for hit in hits]})
        return
    rows = [(hit.audit, hit.model, hit.task, hit.item_id, hit.language, hit.where, hit.snippet) for hit in hits]
    show_table(("audit", "model", "task", "item", "language", "in", "text"), rows)
    say(f"{len(hits)} found")


@command.command("show")
@click.argument("audit")
@click.option("--items", is_flag=True, help="Every answer with its verdict.")
@click.option("--stability", is_flag=True, help="What moves the answers: order, labels, wording, language, culture.")
@click.option("--open", "open_it", is_flag=True, help="Open it in the terminal workbench.")
@click.option("--analysis", is_flag=True, help="Simplified against Traditional: every analysis of the two suites.")
@click.option("--tokens", is_flag=True, help="With --analysis: load each model and count tokens in both scripts.")
@click.option(
    "--counts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --analysis: a CSV of corpus counts (columns item, mainland, taiwan, and perhaps corpus).",
)
@json_option
@errors_in_one_line
def show_audit(
    audit: str,
    items: bool,
    stability: bool,
    open_it: bool,
    analysis: bool,
    tokens: bool,
    counts: Path | None,
    as_json: bool,
) -> None:
    """The findings of an AUDIT (its id or the beginning of it)."""
    core = _core()
    if (tokens or counts) and not analysis:
        raise Refused("--tokens and --counts belong to --analysis: give that, too")
    if analysis and (items or open_it):
        raise Refused("--analysis shows figures on standard output: leave out --items and --open")
    if analysis:
        from workbench.commands.analysis import of_audit, show_analysis

        show_analysis(of_audit(core, audit, tokens, counts), as_json)
        return
    with core.history() as history:
        row = history.audit(audit)
        if stability:
            _show_stability(history, row.id, as_json)
            return
        if items and not as_json:
            for answer in history.rows(row.id):
                _show_answer(answer)
            return
        if items:
            from workbench.history.export import export_audit

            show(f'{{"audit": "{row.id}", "answers": [')
            export_audit(history, row.id, "jsonl", _Members())
            show("]}")
            return
    if open_it:
        from workbench.cli import open_screens

        open_screens(row.id)
        return
    from workbench.commands.audit import report

    if not as_json:
        show(f"Audit {row.id} · {row.created} · {row.status} · {', '.join(row.models)} · {', '.join(row.suites)}")
        for text in (row.note, row.message):
            if text:
                show(text)
        show()
    report(core, row.id, as_json)


def _show_stability(history: Any, audit: str, as_json: bool) -> None:
    from workbench.audits.movement import movements_of
    from workbench.commands.tables import movement_tables

    found = movements_of(history, audit)
    if found is None:
        raise Refused(f"audit {audit} has a task that this version does not know, so its answers cannot be compared")
    if as_json:
        import msgspec

        show_json({"audit": audit, **msgspec.json.decode(msgspec.json.encode(found))})
        return
    movement_tables(found)


class _Members(io.StringIO):
    """Lines of JSON on standard output, as the members of one array: a long audit is never held in memory."""

    _before = ""

    def write(self, line: str) -> int:
        sys.stdout.write(self._before + line.rstrip("\n"))
        self._before = ",\n"
        return len(line)


def _show_answer(row: Any) -> None:
    from engines.base import Generation

    asked = row.trial.condition
    show(
        f"{row.trial.model} · {row.trial.task} · {asked.language} · wording {asked.version} · order {asked.order}"
        + "".join(f" · {name}" for name in (asked.context, asked.part) if name)
    )
    show(f"  asked: {row.prompt}")
    if isinstance(row.answer, Generation):
        show(f"  wrote: {row.answer.text}")
    show(f"  {row.verdict.kind}: {row.verdict.reason}")


@command.command("compare")
@click.argument("first")
@click.argument("second")
@json_option
@errors_in_one_line
def compare(first: str, second: str, as_json: bool) -> None:
    """What changed from audit FIRST to audit SECOND, on the items that are the same in both."""
    from workbench.audits.compare import compare_audits
    from workbench.figures import interval, number, p_value

    with _core().history() as history:
        found = compare_audits(history, history.audit(first).id, history.audit(second).id)
    if as_json:
        import msgspec

        # By way of JSON: what is not finite becomes null.
        show_json(msgspec.json.decode(msgspec.json.encode(found)))
        return
    for line in found.summary:
        show(line)
    rows = [
        (
            change.title,
            " ".join(value for value in change.condition.values() if value),
            change.model,
            number(change.before, change.unit),
            number(change.after, change.unit),
            number(change.difference, change.unit, sign=True),
            interval(change.low, change.high, change.unit),
            p_value(change.p_adjusted),
            str(change.n),
            change.words,
        )
        for change in found.changes
    ]
    head = ("", "asked in", "model", "before", "after", "change", "95 % interval", "p (Holm)", "n", "")
    show_table(head, rows, ("<", "<", "<", ">", ">", ">", "<", ">", ">", "<"))


@command.command("export")
@click.argument("audit")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "json", "md", "html", "bundle"]),
    default="md",
    show_default=True,
)
@click.option(
    "-o", "--output", default="-", help="File to write (not overwritten without --force); - is standard output."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@errors_in_one_line
def export(audit: str, form: Any, output: str, force: bool) -> None:
    """Write an AUDIT as csv or jsonl (one answer a row), json, md or html (findings), or as a bundle.

    A bundle is a zip with all that the history holds of the audit, votes too: `history import` takes it in elsewhere.
    """
    from workbench.history.bundle import write_bundle
    from workbench.history.export import export_audit

    with _core().history() as history:
        row = history.audit(audit)
        if output == "-":
            if form == "bundle":
                raise Refused("a bundle is a file: say which with -o FILE.zip")
            export_audit(history, row.id, form, sys.stdout)
            return
        target = Path(output)
        if target.exists() and not force:
            raise Refused(f"{output} is there already: choose another name, or --force to overwrite it")
        if form == "bundle":
            write_bundle(history, row.id, target)
        else:
            export_audit(history, row.id, form, target)
    say(f"Audit {row.id} is in {output}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@errors_in_one_line
def import_bundle(file: Path, yes: bool) -> None:
    """Take in an audit from FILE, a bundle: it is checked first, and what would change is said before it happens."""
    from workbench.history.importing import look, opened

    core = _core()
    with opened(file) as bundle:
        with core.history() as history, history.snapshot() as connection:
            change = look(connection, bundle)
        for line in change.lines:
            say(line)
        if change.nothing:
            return
        if not yes:
            click.confirm("Do this?", abort=True, err=True)
        with core.history(readonly=False) as history:
            history.take_in(bundle, change)
    say(f"Audit {change.audit} is in the history")


@command.command("rerun")
@click.argument("audit")
@click.option("--note", default="", help="A note that stays with the new audit.")
@json_option
@errors_in_one_line
def rerun(audit: str, note: str, as_json: bool) -> None:
    """Run the plan of an AUDIT again, with the items as they were, as a new audit."""
    from workbench import logs
    from workbench.commands.audit import Narrator, run_and_report

    logs.start()
    core = _core()
    with core.history() as history:
        row = history.audit(audit)
        plan, suites = history.plan(row.id), history.suites(row.id)
    line = ProgressLine()
    runner = core.runner([Narrator(line).hear])
    new = runner.start(plan, suites, note or f"rerun of {row.id}")
    run_and_report(core, runner, new, line, as_json)


@command.command("rescore")
@click.argument("audit")
@json_option
@errors_in_one_line
def rescore(audit: str, as_json: bool) -> None:
    """Judge the answers of an AUDIT again, with this version's rules; the answers stay as they are."""
    from workbench.audits.runner import rescore as judge_again

    core = _core()
    with core.history(readonly=False) as history:
        row = history.audit(audit)
        changed = judge_again(history, row.id)
    if as_json:
        show_json({"audit": row.id, "changed": changed})
    else:
        say(f"Audit {row.id}: {changed:,} verdict(s) changed")


@command.command("verify")
@click.argument("audit", default="")
@json_option
@errors_in_one_line
def verify(audit: str, as_json: bool) -> None:
    """Check that an AUDIT (or every one) is as it was written: chain of answers, items, plan."""
    with _core().history() as history:
        rows = [history.audit(audit)] if audit else history.audits()
        problems = {row.id: history.verify(row.id) for row in rows}
    found = sum(map(len, problems.values()))
    if as_json:
        show_json({"ok": not found, "problems": problems})
    else:
        for name, lines in problems.items():
            for line in lines:
                show(f"{name}: {line}")
        say(f"{len(problems)} audit(s) verified, {found} problem(s)")
    if found:
        raise RunFailed("the history has been changed")


@command.command("note")
@click.argument("audit")
@click.argument("text")
@errors_in_one_line
def note(audit: str, text: str) -> None:
    """Write a note to an AUDIT."""
    with _core().history(readonly=False) as history:
        history.set_note(history.audit(audit).id, text)


@command.command("delete")
@click.argument("audit")
@click.option("--yes", is_flag=True, help="Do not ask.")
@errors_in_one_line
def delete(audit: str, yes: bool) -> None:
    """Delete an AUDIT with all its answers."""
    with _core().history(readonly=False) as history:
        row = history.audit(audit)
        if not yes:
            click.confirm(f"Delete audit {row.id} with its {row.done:,} answers?", abort=True, err=True)
        history.delete_audit(row.id)
    say(f"Audit {row.id} is deleted")

"""`culture-workbench suites`: what can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands.output import RunFailed, errors_in_one_line, json_option, say, show, show_json, show_table


@click.group("suites")
def command() -> None:
    """Suites: list, show, check."""


def _core() -> Any:
    from workbench.core import Workbench

    return Workbench()


@command.command("list")
@json_option
@errors_in_one_line
def list_suites(as_json: bool) -> None:
    """Built-in suites and your own."""
    suites = _core().suites()
    if as_json:
        import msgspec

        show_json({"suites": [msgspec.to_builtins(suite, enc_hook=str) for suite in suites]})
        return
    rows = [
        (suite.id, suite.version, f"{suite.items}", " ".join(suite.languages), suite.problem or suite.measures)
        for suite in suites
    ]
    show_table(("suite", "version", "items", "languages", "what it measures"), rows, ("<", "<", ">", "<", "<"))


@command.command("show")
@click.argument("suite")
@click.option("--items", "with_items", is_flag=True, help="Every item too.")
@json_option
@errors_in_one_line
def show_suite(suite: str, with_items: bool, as_json: bool) -> None:
    """What a SUITE asks, how it is judged, where its facts come from and what it cannot show."""
    import msgspec

    from suites.loader import manifest

    found = _core().suite(suite)
    if as_json:
        value = manifest(found) | {"id": found.id, "hash": found.hash, "count": len(found.items)}
        if with_items:
            value["items"] = [msgspec.to_builtins(item) for item in found.items]
        show_json(value)
        return
    show(f"{found.title} ({found.id} {found.version}), {len(found.items)} items, {' '.join(found.languages)}")
    for label, text in (
        ("Measures", found.measures),
        ("Method", found.method),
        ("After", found.citation),
        ("Limits", found.limits),
        ("Licence", found.licence),
        ("Warning", found.warning),
    ):
        if text:
            show(f"\n{label}: {text}")
    for task in found.tasks:
        show(f"\nTask {task.id}: {task.title} ({task.kind}). {task.about}")
        for prompt in task.prompts:
            context = f", context {prompt.context}" if prompt.context else ""
            show(f"  {prompt.language} {prompt.version}{context}: {prompt.text}")
    show("\nSources:")
    for source in found.sources:
        parts = (source.title, source.publisher, source.year, source.address, source.note)
        show(f"  {source.id}: {', '.join(part for part in parts if part)}")
    if with_items:
        show("\nItems:")
        for item in found.items:
            show(f"  {item.id} {msgspec.json.encode(item.data).decode()}")


@command.command("check")
@click.argument("suites", nargs=-1)
@json_option
@errors_in_one_line
def check(suites: tuple[str, ...], as_json: bool) -> None:
    """Check SUITES (ids or folders; without any, all) and say what is wrong with them."""
    from suites.check import check as problems_of

    core = _core()
    known = {suite.id: suite.folder for suite in core.suites()}
    folders = [known.get(name) or _folder(core, name) for name in suites] if suites else list(known.values())
    found = {str(folder): problems_of(Path(folder)) for folder in folders}
    errors = sum(problem.level == "error" for problems in found.values() for problem in problems)
    if as_json:
        import msgspec

        rows = [msgspec.to_builtins(problem) | {"suite": name} for name, rows in found.items() for problem in rows]
        show_json({"ok": not errors, "problems": rows})
    else:
        for name, problems in found.items():
            for problem in problems:
                where = ":".join(str(part) for part in (problem.file, problem.line or "", problem.field) if part)
                show(f"{problem.level}: {Path(name).name}: {where}: {problem.message}")
            say(f"{Path(name).name}: {'no problems' if not problems else f'{len(problems)} problem(s)'}")
    if errors:
        raise RunFailed(f"{errors} error(s)")


def _folder(core: Any, name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        return path
    core.suite(name)  # raises, with the nearest names
    return path

"""`culture-workbench replay`: published responses scored again, no model needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.output import Refused, Side, errors_in_one_line, json_option, say, show, show_json, show_table

if TYPE_CHECKING:
    from suites.importers.sctc.verdicts import Mode
    from workbench.replay.sctc import Replay, Result


@click.group("replay")
def command() -> None:
    """Published responses scored again: sc-tc-bench."""


@command.command("sc-tc-bench")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--mode", type=click.Choice(["published", "corrected"]), help="One way of scoring (without it, both side by side)."
)
@click.option(
    "--overrides",
    type=click.Path(path_type=Path),
    help="The authors’ manual corrections, as a JSON file of your own; without it counts are given without them.",
)
@click.option("--analysis", is_flag=True, help="Every analysis of the paper instead of the counts, with intervals.")
@click.option("--judge", "judge", help="Measure how far this MODEL, as the judge, agrees with the stored verdicts.")
@click.option("--limit", type=click.IntRange(min=1), help="With --judge: so many stored verdicts, drawn by seed.")
@click.option("--seed", type=int, default=0, show_default=True, help="With --judge: the seed of that draw.")
@json_option
@errors_in_one_line
def sctc(
    folder: Path,
    mode: str | None,
    overrides: Path | None,
    analysis: bool,
    judge: str | None,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Score the responses in FOLDER, a copy of the SC-TC-Bench repository, again.

    Published mode counts as the paper does; in corrected mode overrides apply only to their own item, only whole names
    of the list count, and refusals and unreadable answers are kept apart. With --json and no --mode the object holds
    both: `{"mode": "both", "published": [...], "corrected": [...]}`.
    """
    from suites.importers.sctc.overrides import read_overrides
    from workbench.replay.sctc import MODES, replay

    if limit is not None and judge is None:
        raise Refused("--limit goes with --judge: the responses themselves are always all scored")
    corrections = read_overrides(overrides) if overrides else None
    if analysis:
        if judge is not None:
            raise Refused("--analysis is of the published responses: leave out --judge")
        from workbench.analyses.sctc import analyse
        from workbench.analyses.sctc.published import published_rows
        from workbench.commands.analysis import show_analysis

        scored: Mode = "corrected" if mode == "corrected" else "published"
        show_analysis(analyse(published_rows(folder, scored, corrections), seed), as_json)
        return
    if judge is not None:
        if mode is not None:
            raise Refused("--judge measures agreement with the stored verdicts; it goes with no --mode")
        _judge(folder, judge, limit, seed, corrections, as_json)
        return
    found = replay(folder, tuple(each for each in MODES if mode in (None, each)), corrections)
    if as_json:
        show_json(_object(found, mode))
        return
    for drop in found.drops:
        say(f"Left out: {drop}")
    if mode is None:
        _both(found)
    else:
        _one(found.rows[mode])
    if found.check:
        same = f"{found.check.equal:,} of {found.check.cells:,} cells of the authors’ per-item table are equal"
        show(f"Published: {same}." + (f" First that differs: {found.check.first}." if found.check.first else ""))
    for note in found.notes:
        show(note)


def _object(found: Replay, mode: str | None) -> dict[str, Any]:
    rows = {name: [_plain(row) for row in every] for name, every in found.rows.items()}
    head = {"mode": mode, "rows": rows[mode]} if mode else {"mode": "both", **rows, "changes": _changes(found)}
    check = found.check
    return head | {
        "overrides": found.overrides,
        "table": {"cells": check.cells, "equal": check.equal, "first": check.first} if check else None,
        "dropped": [
            {"file": d.file, "row": d.row, "column": d.column, "reason": d.reason, "count": d.count}
            for d in found.drops
        ],
        "notes": found.notes,
    }


def _plain(row: Result) -> dict[str, Any]:
    """The row with its unusable classes as keys of their own, and without what is empty."""
    import msgspec

    data: dict[str, Any] = msgspec.to_builtins(row)
    unusable = data.pop("unusable")
    return data | {"unusable": unusable} if unusable else data


def _shares(row: Result) -> list[str]:
    from workbench.replay.sctc import TermResult

    three = (
        (row.correct, row.misaligned, row.incorrect)
        if isinstance(row, TermResult)
        else (row.mainland, row.taiwan, row.invalid)
    )
    return [f"{each:,}" for each in three]


def _where(row: Result) -> list[str]:
    from workbench.replay.sctc import TermResult

    number = f"version {row.version}" if isinstance(row, TermResult) else f"set {row.set}"
    return [row.model, row.language, number, f"{row.n:,}{'*' if row.small else ''}"]


def _heads(task: str) -> tuple[str, ...]:
    return ("correct", "misaligned", "incorrect") if task == "term" else ("mainland", "taiwan", "invalid")


def _one(rows: list[Result]) -> None:
    for task in ("term", "name"):
        of_task = [row for row in rows if row.task == task]
        if not of_task:
            continue
        sides: tuple[Side, ...] = ("<", "<", "<", ">", ">", ">", ">", "<")
        table = [(*_where(row), *_shares(row), _apart(row)) for row in of_task]
        show_table((f"{task}: model", "language", "", "n", *_heads(task), "kept apart"), table, sides)
        show()


def _both(found: Replay) -> None:
    pairs = list(zip(found.rows["published"], found.rows["corrected"], strict=True))
    for task in ("term", "name"):
        of_task = [pair for pair in pairs if pair[0].task == task]
        if not of_task:
            continue
        sides: tuple[Side, ...] = ("<", "<", "<", ">", ">", ">", ">", ">", ">", ">", "<")
        table = [(*_where(a), *_shares(a), *_shares(b), _why(a, b)) for a, b in of_task]
        heads = _heads(task)
        show_table((f"{task}: model", "language", "", "n", *heads, *(f"→ {h}" for h in heads), "why"), table, sides)
        show()
    show("Left: as published. After the arrows: corrected.")


def _apart(row: Result) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in row.unusable.items())


def _why(published: Result, corrected: Result) -> str:
    """What changed between the modes, and by which rule."""
    from workbench.replay.sctc import TermResult

    parts = []
    if isinstance(published, TermResult) and isinstance(corrected, TermResult):
        if fewer := published.overridden - corrected.overridden:
            parts.append(f"{fewer:,} overrides outside their own item")
        if apart := _apart(corrected):
            parts.append(f"kept apart: {apart}")
    elif corrected.unusable:
        parts.append(f"of the invalid: {_apart(corrected)}")
    return "; ".join(parts)


def _changes(found: Replay) -> list[dict[str, Any]]:
    changes = []
    for a, b in zip(found.rows["published"], found.rows["corrected"], strict=True):
        if why := _why(a, b):
            where = {"task": a.task, "model": a.model, "language": a.language}
            changes.append(where | {"why": why, "published": _plain(a), "corrected": _plain(b)})
    return changes


def _judge(folder: Path, model: str, limit: int | None, seed: int, corrections: Any, as_json: bool) -> None:
    import msgspec

    from workbench.commands.output import ProgressLine
    from workbench.core import Workbench
    from workbench.judge.calibration import kappa_text
    from workbench.replay.sctc_judge import agreement, stored

    drawn = stored(folder, limit, seed, corrections)  # first: what is wrong with a folder is said before a model loads
    engine = Workbench().open_engine(model)
    line = ProgressLine()
    try:
        found = agreement(
            engine,
            drawn,
            progress=lambda done, total: line.update(f"{model}: {done:,} of {total:,} answers judged"),
        )
    finally:
        line.clear()
        engine.close()
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    for drop in found.drops:
        say(f"Left out: {drop}")
    rows = [("all", found.judge), ("all", found.rule)]
    rows += [(language, one) for language, both in found.by_language.items() for one in both]
    table = []
    for language, one in rows:
        share = "–" if one.accuracy.estimate is None else f"{100 * one.accuracy.estimate:.1f} %"
        table.append((language, one.judge, one.way, share, kappa_text(one), f"{one.unreadable:,}"))
    head = ("language", "judge", "asked by", "agrees", "κ, 95 % interval", "unreadable")
    show_table(head, table, ("<", "<", "<", ">", "<", ">"))
    show(f"Against {found.judge.against}: {found.n:,} of {found.of:,} stored answers.")
    show(f"Weights of the judge: {found.judge.fingerprint or 'unknown'}")

"""Taking an audit out of the history: as one JSON object, as rows for a spreadsheet or a program, as a report.

Answers are read and written a page at a time, so that a million of them need no more memory than a thousand. What a
model wrote is data: a cell never becomes a formula, JSON shows control and bidi characters as escapes (it stays
complete), and the other formats leave them out.
"""

from __future__ import annotations

import csv
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from engines.base import ChoiceScores, Generation
from suites.base import Item, Suite, SuiteError, Task
from suites.tasks import task_for
from workbench.audits.movement import movements_of
from workbench.audits.plan import Plan
from workbench.history.chain import encode_answer
from workbench.history.markdown import report
from workbench.history.reading import Reader
from workbench.history.rows import AnswerRow, HistoryError
from workbench.text import safe_text

Format = Literal["csv", "jsonl", "json", "md", "html"]

VERSION = 1
"""Of the layout of `json` and `jsonl`; it grows when a key changes its meaning."""

COLUMNS = (
    "audit", "number", "model", "fingerprint", "suite", "suite_version", "task", "item", "item_hash", "stratum",
    "language", "prompt_version", "option_order", "form", "context", "part", "persona", "repeat", "prompt", "answer",
    "option_scores", "verdict", "choice", "margin", "reason", "figures", "finish", "error", "seconds", "at", "trial",
)  # fmt: skip
"""Of `csv`. `option_scores` holds log-probabilities (nats) by option, `margin` is in nats, `seconds` in seconds."""

# What a spreadsheet takes for the beginning of a formula, also after blanks, and in the wide forms of Chinese and
# Japanese keyboards.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
# Inside JSON strings, where the only way to say these safely is an escape: controls beyond C0 (which JSON escapes
# itself), bidi controls, line separators, byte order and annotation marks, tag characters.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_LONGEST_CELL = 32_000
"""Characters of a cell: spreadsheets cut at 32,767, some of them without a word."""


def audit_object(history: Reader, audit: str) -> dict[str, Any]:
    """An audit as the object that `--json` prints: findings and comparisons, None where a figure does not apply.

    Shares are 0..1, margins, noise and their differences nats. Raises HistoryError.
    """
    row = history.audit(audit)
    plan, found = history.plan(row.id), history.findings(row.id)
    return {
        "audit": row.id,
        "status": row.status,
        "message": row.message,
        "created": row.created,
        "finished": row.finished,
        "note": row.note,
        "answered": row.done,
        "total": row.total,
        "seed": plan.seed,
        "quick": plan.quick,
        "limit": plan.limit,
        "repeats": plan.repeats,
        "models": [{"name": model.name, "fingerprint": model.fingerprint} for model in plan.models],
        "suites": _plain(plan.suites),
        "findings": [] if found is None else _plain(found.findings),
        "comparisons": [] if found is None else _plain(found.comparisons),
    }


def export_audit(history: Reader, audit: str, format: Format, target: Path | TextIO) -> None:
    """Write an audit to a file or an open text stream.

    A file is complete or not there at all: it is written beside its place (mode 600) and then renamed, over a file of
    that name if there is one. HistoryError, in one line, for everything that keeps it from being written; a reader of
    `target` that went away stays a BrokenPipeError.
    """
    if format not in _WRITERS:
        raise HistoryError(f"there is no format {str(format)[:20]!r}: choose one of {', '.join(_WRITERS)}")
    write_pieces(target, _WRITERS[format](history, history.audit(audit).id))


def write_pieces(target: Path | TextIO, pieces: Iterable[str]) -> None:
    """Write pieces of text to a file, which is complete or not there at all, or to an open text stream."""
    if isinstance(target, Path):
        _write_file(target, pieces)
    else:
        _write_stream(target, pieces)


# -- the formats ------------------------------------------------------------------------------------------------------


def _csv(history: Reader, audit: str) -> Iterator[str]:
    # The mark makes spreadsheets read UTF-8; without it they show Chinese as something else.
    yield "\ufeff"
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    context = _Context(history, audit)
    for number, row in enumerate(history.rows(audit), 1):
        yield writer.writerow([_cell(value) for value in _csv_values(context, number, row)])


def _csv_values(context: _Context, number: int, row: AnswerRow) -> tuple[object, ...]:
    trial, asked, verdict = row.trial, row.trial.condition, row.verdict
    item = context.item(row)
    written = row.answer if isinstance(row.answer, Generation) else None
    return (
        context.audit,
        number,
        context.names.get(trial.model, trial.model),
        context.fingerprints.get(trial.model, ""),
        trial.suite,
        context.versions.get(trial.suite, ""),
        trial.task,
        "" if item is None else item.id,
        trial.item,
        "" if item is None else item.stratum,
        asked.language,
        asked.version,
        asked.order,
        asked.form,
        asked.context,
        asked.part,
        asked.persona,
        trial.repeat,
        row.prompt,
        "" if written is None else written.text,
        _option_scores(context, row),
        verdict.kind,
        verdict.choice,
        verdict.margin,
        verdict.reason,
        msgspec.json.encode(verdict.values).decode() if verdict.values else "",
        "" if written is None else written.finish,
        row.answer.error,
        row.seconds,
        row.at,
        trial.id,
    )


def _option_scores(context: _Context, row: AnswerRow) -> str:
    if not isinstance(row.answer, ChoiceScores):
        return ""
    keys = context.options(row)
    scores = [option.logprob for option in row.answer.options]
    if len(keys) != len(scores):
        keys = tuple(str(place) for place in range(1, len(scores) + 1))
    return "; ".join(f"{key}: {score:.6g}" for key, score in zip(keys, scores, strict=True))


def _cell(value: object) -> object:
    """A value for a spreadsheet: numbers stay numbers, text never becomes a formula."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        # NaN and the infinities are no numbers to a spreadsheet, and "-inf" would be a formula.
        return value if value - value == 0 else defused(str(value))
    return defused(str(value))


def defused(text: str) -> str:
    """`text` as a spreadsheet may have it: without control characters and bidi controls, not too long for a cell, and
    with an apostrophe before what it would take for a formula."""
    text = safe_text(text, newlines=True)
    if len(text) > _LONGEST_CELL:
        text = text[: _LONGEST_CELL - 1] + "…"
    return f"'{text}" if _FORMULA.match(text) else text


class _Echo:
    """A file for `csv.writer` whose `write` gives the line back."""

    def write(self, line: str) -> str:
        return line


def _jsonl(history: Reader, audit: str) -> Iterator[str]:
    context = _Context(history, audit)
    for number, row in enumerate(history.rows(audit), 1):
        yield json_text(_answer_object(context, number, row)) + "\n"


def _answer_object(context: _Context, number: int, row: AnswerRow) -> dict[str, Any]:
    trial, item = row.trial, context.item(row)
    return {
        "audit": context.audit,
        "number": number,
        "trial": trial.id,
        "model": context.names.get(trial.model, trial.model),
        "fingerprint": context.fingerprints.get(trial.model, ""),
        "suite": trial.suite,
        "suite_version": context.versions.get(trial.suite, ""),
        "task": trial.task,
        "item": None if item is None else item.id,
        "item_hash": trial.item,
        "stratum": None if item is None else item.stratum,
        "condition": trial.condition,
        "repeat": trial.repeat,
        "prompt": row.prompt,
        "options": context.options(row),
        "kind": "scores" if isinstance(row.answer, ChoiceScores) else "generation",
        # As it is stored: figures that JSON has no word for are the strings inf, -inf and nan.
        "answer": msgspec.Raw(encode_answer(row.answer).encode()),
        "verdict": row.verdict,
        "usable": row.verdict.usable,
        "seconds": row.seconds,
        "at": row.at,
    }


def _whole(history: Reader, audit: str) -> Iterator[str]:
    details = history.details(audit)
    yield (
        json_text(
            {
                "version": VERSION,
                **audit_object(history, audit),
                "plan": history.plan(audit),
                "plan_hash": details.plan_hash,
                "chain": {"head": details.head, "answers": details.head_count},
                "rescored": details.rescored,
                "cards": history.cards(audit),
                "noise": history.noise(audit),
                "canary": history.canary(audit),
                "stability": movements_of(history, audit),
                "machine": details.machine,
                "libraries": details.libraries,
            },
            indent=2,
        )
        + "\n"
    )


def _markdown(history: Reader, audit: str) -> Iterator[str]:
    for line in report(history, audit):
        yield line + "\n"


def _html(history: Reader, audit: str) -> Iterator[str]:
    # Imported here: only this format needs the template engine.
    from workbench.reports.html import page

    return page(history, audit)


_WRITERS: Mapping[str, Callable[[Reader, str], Iterator[str]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "json": _whole,
    "md": _markdown,
    "html": _html,
}


def json_text(value: object, *, indent: int = 0) -> str:
    """JSON in which control and bidi characters are escapes: complete, but never raw on a terminal."""
    text = msgspec.json.encode(value)
    if indent:
        text = msgspec.json.format(text, indent=indent)
    return _UNSAFE.sub(_escaped, text.decode())


def _plain(value: object) -> Any:
    """Structs as JSON would have them: lists and dictionaries, None for what is not finite."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


class _Context:
    """What the rows of an audit have in common: names, versions, items and tasks."""

    def __init__(self, history: Reader, audit: str) -> None:
        self.audit = audit
        plan, suites = history.plan(audit), history.suites(audit)
        self.names = {model.key: model.name for model in plan.models}
        self.fingerprints = {model.key: model.fingerprint for model in plan.models}
        self.versions = {suite.id: suite.version for suite in suites}
        self._items = {(suite.id, item.hash): item for suite in suites for item in suite.items}
        self._tasks = _known_tasks(plan, suites)

    def item(self, row: AnswerRow) -> Item | None:
        """The item that was asked about."""
        return self._items.get((row.trial.suite, row.trial.item))

    def options(self, row: AnswerRow) -> tuple[str, ...]:
        """Keys of the options in the order in which they were offered; () where there were none, or where the rule is
        one that this version of the program does not know."""
        task, item = self._tasks.get((row.trial.suite, row.trial.task)), self.item(row)
        return () if task is None or item is None else task.options(item, row.trial.condition)


def _known_tasks(plan: Plan, suites: Iterable[Suite]) -> dict[tuple[str, str], Task]:
    by_id = {suite.id: suite for suite in suites}
    found = {}
    for planned in plan.tasks:
        with suppress(SuiteError, KeyError):
            found[planned.suite, planned.task] = task_for(by_id[planned.suite], planned.task)
    return found


# -- where it goes ----------------------------------------------------------------------------------------------------


def _write_file(target: Path, pieces: Iterable[str]) -> None:
    try:
        place = target.resolve()
        if place.is_dir():
            raise HistoryError(f"{target}: this is a folder; give the name of a file")
        if place.exists() and not stat.S_ISREG(place.stat().st_mode):
            # A pipe or a device is written to, never replaced.
            with place.open("w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
            return
        _write_beside(place, pieces)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HistoryError(f"{target}: {_reason(error)}; nothing was written") from error


def _write_beside(place: Path, pieces: Iterable[str]) -> None:
    """Write a private file next to `place` and give it that name when it is complete and on the disk."""
    beside = place.with_name(f".{secrets.token_hex(8)}.part")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _write_stream(target: TextIO, pieces: Iterable[str]) -> None:
    try:
        target.writelines(pieces)
        target.flush()
    except BrokenPipeError:
        raise
    except UnicodeEncodeError as error:
        raise HistoryError(
            f"this output cannot carry {error.object[error.start]!a} (its encoding is {error.encoding}): "
            "write to a file instead"
        ) from error
    except OSError as error:
        raise HistoryError(f"the export could not be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return " ".join((error.strerror or str(error) or type(error).__name__).split())

"""How commands speak: data on standard output, narration on standard error, one JSON object with `--json`."""

from __future__ import annotations

import contextlib
import errno
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import click

from workbench.text import cells, clip, safe_text, size

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")


class Refused(click.ClickException):
    """Wrong usage or bad input: exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """The message as one safe line on standard error."""
        say(f"Error: {self.message}")


class RunFailed(Refused):
    """A run failed, or a check does not hold: exit code 1."""

    exit_code = 1


def errors_in_one_line(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the application's own errors into one line and an exit code; anything else is a bug and shows itself."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as interrupt:
            say("Interrupted.")
            raise SystemExit(130) from interrupt
        except BrokenPipeError:
            # The reader of a pipe (head, less) went away: that is its right.
            with contextlib.suppress(OSError):
                sys.stdout.close()
            raise SystemExit(0) from None
        except Exception as error:
            if isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort):
                raise
            if isinstance(error, _own_errors()):
                raise Refused(str(error)) from error
            if isinstance(error, OSError) and error.strerror:
                raise Refused(_system_error(error)) from error
            raise

    return wrapped


def _own_errors() -> tuple[type[Exception], ...]:
    from engines.base import EngineError
    from suites.base import SuiteError
    from workbench.audits.errors import AuditError
    from workbench.history.rows import HistoryError
    from workbench.settings import SettingsError

    return (EngineError, SuiteError, AuditError, HistoryError, SettingsError)


def _system_error(error: OSError) -> str:
    """What the system would not do, and what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"{where}the disk is full: free some space and try again"
    return f"{where}{error.strerror}; check the path and its permissions"


def say(line: str) -> None:
    """Narration: one line on standard error."""
    click.echo(safe_text(line), err=True)


def show(line: str = "") -> None:
    """Data for people: one line on standard output."""
    click.echo(safe_text(line))


def show_json(value: Any) -> None:
    """Data for programs: one JSON object on standard output."""
    import json

    # The standard library's: a file name that is no valid UTF-8 must not keep a list from being printed.
    text = json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "replace").decode()
    click.echo(_UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text))


# Controls beyond C0 (which JSON escapes itself), bidi controls, line separators: complete, but never raw on a terminal.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
Side = Literal["<", ">"]


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: Sequence[Side] = (), width: int = 0) -> None:
    """A table whose columns align in cells, whatever the script. `width` limits a line (0: the terminal's, or none
    where standard output is no terminal); then the widest column gives way."""
    texts = [[safe_text(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(cells(row[column]) for row in texts) for column in range(len(head))]
    limit = width or (_terminal() if sys.stdout.isatty() else 0)
    if limit and (over := sum(widths) + 2 * (len(widths) - 1) - limit) > 0:
        widest = max(range(len(widths)), key=widths.__getitem__)
        widths[widest] = max(8, widths[widest] - over)
    for row in texts:
        pieces = []
        for column, text in enumerate(row):
            text = clip(text, widths[column])
            space = " " * (widths[column] - cells(text))
            pieces.append(space + text if column < len(sides) and sides[column] == ">" else text + space)
        click.echo("  ".join(pieces).rstrip())


def _terminal() -> int:
    import shutil

    return shutil.get_terminal_size().columns


class ProgressLine:
    """A line on standard error that is rewritten as work goes on; where that is no terminal, a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._width = 0

    def update(self, text: str, *, final: bool = False) -> None:
        """Show the state; at most five times a second, and every ten seconds where nobody watches."""
        now = time.monotonic()
        if not final and now - self._last < (0.2 if self._terminal else 10):
            return
        self._last = now
        text = safe_text(text)
        if not self._terminal:
            click.echo(text, err=True)
            return
        text = clip(text, _terminal() - 1)
        click.echo("\r" + text + " " * max(0, self._width - cells(text)), nl=False, err=True)
        self._width = cells(text)

    def clear(self) -> None:
        """Remove the line, so that other output begins on a line of its own."""
        if self._terminal and self._width:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)
            self._width = 0


@contextlib.contextmanager
def reading(line: ProgressLine) -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback for reading and writing files."""

    def tell(name: str, done: int, total: int) -> None:
        line.update(f"{name}: {size(done)} of {size(total)}")

    try:
        yield tell
    finally:
        line.clear()

"""The command line: without a command it opens the terminal workbench."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import click

from workbench.commands.output import errors_in_one_line, say

_GROUPS = {
    "audit": "workbench.commands.audit",
    "models": "workbench.commands.models",
    "suites": "workbench.commands.suites",
    "history": "workbench.commands.history",
    "live": "workbench.commands.live",
    "replay": "workbench.commands.replay",
    "label": "workbench.commands.label",
    "vote": "workbench.commands.vote",
    "doctor": "workbench.commands.doctor",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, and that says wrong usage in one line."""

    def main(self, *args: Any, standalone_mode: bool = True, **options: Any) -> Any:
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **options)
        try:
            code = errors_in_one_line(run)(*args, standalone_mode=False, **options)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.UsageError as error:
            where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
            say(f"Error: {error.format_message().rstrip('.')}{where}")
            code = error.exit_code
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except click.Abort as abort:
            say("Nothing was done.")
            code = 130 if isinstance(abort.__cause__, KeyboardInterrupt) else 1
        sys.exit(code or 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return None
        command: click.Command = importlib.import_module(_GROUPS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _GROUPS:
            import difflib

            near = difflib.get_close_matches(args[0], _GROUPS, 1)
            ctx.fail(f"no such command {args[0]!r}" + (f": did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="culture-workbench", prog_name="culture-workbench")
@click.pass_context
def main(context: click.Context) -> None:
    """Audit the language models on this machine for cultural bias, offline.

    Without a command the terminal workbench opens. Data goes to standard output, narration to standard error. Exit
    codes: 0 done, 1 a run failed or a check does not hold, 2 wrong usage or bad input, 130 interrupted (an audit can
    then be resumed).
    """
    if context.invoked_subcommand is None:
        open_screens()


@errors_in_one_line
def open_screens(audit: str = "") -> None:
    """Open the terminal workbench, on an audit's findings where one is given."""
    from workbench.commands.output import Refused
    from workbench.core import Workbench

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused("the workbench needs a terminal; see `culture-workbench --help` for the commands that do not")
    from workbench import logs

    logs.start()
    core = Workbench()
    from workbench.app import open_app

    open_app(core, audit)


if __name__ == "__main__":
    main(prog_name="culture-workbench")

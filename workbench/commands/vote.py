"""`culture-workbench vote`: people's blind votes on two models' answers, without a screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.output import (
    Refused,
    errors_in_one_line,
    json_option,
    say,
    show,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from workbench.core import Workbench
    from workbench.history.votes import Vote
    from workbench.votes.ballot import Ballot, Pair, Side

KEYS = "a left · b right · t tie · x both bad · 1–5 reasons · w rewrite · n note · u undo · q leave"


class _Votes(click.Group):
    """`vote AUDIT` is `vote cast AUDIT`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "cast", self.commands["cast"], args
        return super().resolve_command(ctx, args)


@click.group("vote", cls=_Votes, context_settings={"ignore_unknown_options": True})
def command() -> None:
    """Vote blindly on two models' answers: `vote AUDIT`; then `vote results AUDIT`."""


def _core() -> Workbench:
    from workbench.core import Workbench

    return Workbench()


def _wanted(models: str) -> list[str]:
    return [part.strip() for part in models.split(",") if part.strip()]


models_option = click.option(
    "--models", default="", metavar="A,B", help="Which two models, where the audit has more (names, with a comma)."
)


@command.command("cast")
@click.argument("audit")
@models_option
@click.option("--annotator", default="", metavar="NAME", help="Who votes: keeps the votes of several people apart.")
@click.option("--background", default=None, metavar="TEXT", help="What this person says of themselves (optional).")
@errors_in_one_line
def cast(audit: str, models: str, annotator: str, background: str | None) -> None:
    """Vote on the answers of an AUDIT, one pair after the other, with single keys.

    The sides are shuffled and stay hidden until every pair has a vote. Leaving keeps what was given; the same command
    goes on. From a pipe the keys are read one by one; w and n take the rest of their line as the text.
    """
    from workbench.votes.ballot import Ballot, choose_models, default_annotator, enrol, offered

    core = _core()
    with core.history() as history:
        row = history.audit(audit)
        offer = offered(history, row.id, choose_models(history.plan(row.id), _wanted(models)))
        if not offer.pairs:
            raise Refused(
                f"audit {row.id} has no pair to vote on: it needs usable written answers of both models to one question"
            )
        who = annotator or default_annotator(history, row.id)
    with core.history(readonly=False) as history:
        name = enrol(history, row.id, who, background)
    with core.history() as history:
        ballot = Ballot(history, offer, name)
    say(f"{name} · {ballot.done} of {ballot.total} pairs have a vote · {KEYS}")
    _Session(core, ballot).run()
    said = f"{ballot.done} of {ballot.total} pairs have a vote"
    if ballot.current is None:
        _reveal(ballot)
        say(f"{said}; culture-workbench vote results {row.id} says what they come to")
    else:
        say(f"{said}; the same command goes on")


class _Session:
    """Shows one pair after the other and reads keys."""

    _SIDES: dict[str, Side] = {"a": "left", "b": "right", "t": "tie", "x": "both bad"}  # noqa: RUF012

    def __init__(self, core: Workbench, ballot: Ballot) -> None:
        self._core = core
        self._ballot = ballot
        self._forget()

    def _forget(self) -> None:
        self._reasons: list[Any] = []
        self._rewrite = ""
        self._note = ""

    def run(self) -> None:
        """Until every pair has a vote or the annotator leaves."""
        while (pair := self._ballot.current) is not None:
            self._draw(pair)
            if not self._vote_on(pair):
                return

    def _draw(self, pair: Pair) -> None:
        from workbench.text import safe_text

        with self._core.history() as history:
            shown = self._ballot.shown(history, pair)
        show(f"── {self._ballot.done + 1} of {self._ballot.total} ──")
        for title, text in (("", shown.prompt), ("A", shown.left), ("B", shown.right)):
            if title:
                show(f"{title}:")
            for line in safe_text(text, newlines=True).strip().split("\n"):
                show(f"  {line}")

    def _vote_on(self, pair: Pair) -> bool:
        """Read keys until this pair has a vote, or the last one was taken back; False when the annotator leaves."""
        from workbench.audits.errors import AuditError
        from workbench.history.votes import REASONS

        while True:
            key = _key()
            if key in {"", "q", "\x1b"}:
                return False
            if key in self._SIDES:
                try:
                    with self._core.history(readonly=False) as history:
                        self._ballot.record(history, pair, self._SIDES[key], self._reasons, self._rewrite, self._note)
                except AuditError as error:
                    say(str(error))
                    continue
                self._forget()
                return True
            if key.isdecimal() and 1 <= int(key) <= len(REASONS):
                reason = REASONS[int(key) - 1]
                given = reason in self._reasons
                self._reasons = [one for one in REASONS if (one in self._reasons) != (one == reason)]
                say(f"{'not any more' if given else 'reason'}: {reason}")
            elif key == "w":
                self._rewrite = _line("rewrite: ")
            elif key == "n":
                self._note = _line("note: ")
            elif key == "u":
                if self._undo():
                    return True
            else:
                say(KEYS)

    def _undo(self) -> bool:
        with self._core.history(readonly=False) as history:
            last = self._ballot.undo(history)
        if last is None:
            say("there is no vote to take back")
            return False
        self._restore(last[1])
        say("the last vote was taken back")
        return True

    def _restore(self, vote: Vote) -> None:
        self._reasons, self._rewrite, self._note = list(vote.reasons), vote.rewrite, vote.note


def _key() -> str:
    """One key, in lower case; "" at the end of the input."""
    if sys.stdin.isatty():
        return click.getchar().lower()
    while (key := sys.stdin.read(1)) in {"\n", "\r", " ", "\t"}:
        pass
    return key.lower()


def _line(prompt: str) -> str:
    """The rest of the line."""
    if sys.stdin.isatty():
        text: str = click.prompt(prompt.rstrip(": "), default="", show_default=False, err=True)
        return text.strip()
    return sys.stdin.readline().strip()


def _reveal(ballot: Ballot) -> None:
    """Whose answer stood where, now that everything has been voted on."""
    rows = []
    for pair, vote in ballot:
        if vote is not None:
            left, right = ballot.offer.names[::-1] if vote.flipped else ballot.offer.names
            taken = {"a": ballot.offer.names[0], "b": ballot.offer.names[1]}.get(vote.choice, vote.choice)
            rows.append((pair.item_id, pair.condition.language, left, right, taken))
    show_table(("item", "language", "A was", "B was", "your vote"), rows)


@command.command("results")
@click.argument("audit")
@models_option
@json_option
@errors_in_one_line
def results_command(audit: str, models: str, as_json: bool) -> None:
    """What the votes on an AUDIT come to: tests, by culture, agreement between annotators."""
    import msgspec

    from workbench.votes.ballot import choose_models, offered
    from workbench.votes.results import lines, results, table

    with _core().history() as history:
        row = history.audit(audit)
        found = results(history, offered(history, row.id, choose_models(history.plan(row.id), _wanted(models))))
    if as_json:
        show_json(msgspec.json.decode(msgspec.json.encode(found)))
        return
    if found.overall.votes:
        head, *rows = table(found)
        show_table(head, rows, ("<", ">", ">", ">", ">", ">", ">", "<", ">"))
    for line in lines(found):
        show(line)


@command.command("export")
@click.argument("audit")
@models_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["dpo", "llm-comparator"]),
    required=True,
    help="Preference pairs for training (JSON lines), or a file for LLM Comparator (JSON).",
)
@click.option(
    "-o", "--output", default="-", help="File to write (not overwritten without --force); - is standard output."
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@errors_in_one_line
def export(audit: str, models: str, form: Any, output: str, force: bool) -> None:
    """Write the votes on an AUDIT for other programs; annotators are numbered, not named."""
    from workbench.history.export import write_pieces
    from workbench.votes.ballot import choose_models, offered
    from workbench.votes.export import export_votes

    with _core().history() as history:
        row = history.audit(audit)
        offer = offered(history, row.id, choose_models(history.plan(row.id), _wanted(models)))
        pieces = export_votes(history, offer, form)
        if output == "-":
            write_pieces(sys.stdout, pieces)
            return
        target = Path(output)
        if target.exists() and not force:
            raise Refused(f"{output} is there already: choose another name, or --force to overwrite it")
        write_pieces(target, pieces)
    say(f"The votes on audit {row.id} are in {output}")

"""`culture-workbench audit`: run an audit without a screen."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.output import (
    ProgressLine,
    Refused,
    RunFailed,
    errors_in_one_line,
    json_option,
    reading,
    say,
    show,
    show_json,
)

if TYPE_CHECKING:
    from suites.base import Suite
    from workbench.audits.events import Event
    from workbench.audits.plan import Plan
    from workbench.audits.runner import Runner
    from workbench.core import Workbench


@click.command("audit")
@click.argument("models", nargs=-1)
@click.option("-s", "--suite", "suites", multiple=True, help="Suite to ask (several: -s A -s B).")
@click.option("--languages", default="", help="Only these languages, for instance zh-Hans,zh-Hant.")
@click.option("--limit", type=click.IntRange(0), default=0, help="This many items of each suite, drawn by the seed.")
@click.option("--quick", is_flag=True, help="One order, one wording, at most 32 new tokens; the findings say so.")
@click.option("--repeats", type=click.IntRange(1), default=1, help="Ask every question this often.")
@click.option("--orders", type=click.IntRange(0), default=0, help="Option orders an item (0: as the suite says).")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Seed of the plan.")
@click.option("--context", type=click.IntRange(64), default=None, help="Tokens of context to load the models with.")
@click.option("--gpu-layers", type=click.IntRange(-1), default=None, help="Layers on the GPU: -1 all that fit, 0 none.")
@click.option("--threads", type=click.IntRange(0), default=None, help="Threads to compute with (0: measured).")
@click.option("--note", default="", help="A note that stays with the audit.")
@click.option("--resume", "resume", default="", metavar="ID", help="Go on with an interrupted audit.")
@json_option
@errors_in_one_line
def command(
    models: tuple[str, ...],
    suites: tuple[str, ...],
    languages: str,
    limit: int,
    quick: bool,
    repeats: int,
    orders: int,
    seed: int | None,
    context: int | None,
    gpu_layers: int | None,
    threads: int | None,
    note: str,
    resume: str,
    as_json: bool,
) -> None:
    """Ask MODELS the questions of some suites and say what was found.

    MODEL is a name from `models list` or the path of a .gguf file. Ctrl+C stops after the current question; what was
    answered stays, and --resume goes on.
    """
    from workbench import logs
    from workbench.core import Workbench

    logs.start()
    core = Workbench()
    line = ProgressLine()
    runner = core.runner([Narrator(line).hear])
    if resume:
        call = click.get_current_context()
        typed = click.core.ParameterSource.COMMANDLINE
        given = [name for name in call.params if call.get_parameter_source(name) is typed]
        given = [name for name in given if name not in {"resume", "as_json"}]
        if given:
            raise Refused(f"--resume goes on with the plan of that audit: leave {' and '.join(given)} out")
        audit = runner.resume(resume)
    else:
        if not models:
            raise Refused("no model given: see `culture-workbench models list`")
        if not suites:
            raise Refused("no suite given (-s SUITE): see `culture-workbench suites list`")
        chosen = [core.suite(name) for name in suites]
        with reading(line) as progress:
            for told in core.prepare_starters(progress):
                say(told)
            plan = _plan(
                core,
                models,
                chosen,
                progress,
                languages=tuple(part.strip() for part in languages.split(",") if part.strip()),
                limit=limit,
                quick=quick,
                repeats=repeats,
                orders=orders,
                seed=core.settings.seed if seed is None else seed,
                changes={"context": context, "gpu_layers": gpu_layers, "threads": threads},
            )
        audit = runner.start(plan, chosen, note)
    run_and_report(core, runner, audit, line, as_json)


def run_and_report(core: Workbench, runner: Runner, audit: str, line: ProgressLine, as_json: bool) -> None:
    """Run a started audit and print its findings. SystemExit 130 when it was interrupted, RunFailed when it failed."""
    status, interrupted = run_to_end(runner, line)
    report(core, audit, as_json)
    if status == "complete":
        return
    with core.history() as history:
        message = history.audit(audit).message
    go_on = f"culture-workbench audit --resume {audit}"
    if status == "failed":
        raise RunFailed(f"audit {audit} failed: {message}")
    if not interrupted:
        raise RunFailed(f"audit {audit} stopped: {message} ({go_on})")
    say(f"Interrupted. Everything so far is kept; go on with: {go_on}")
    raise SystemExit(130)


def _plan(
    core: Workbench,
    models: tuple[str, ...],
    suites: list[Suite],
    progress: Any,
    *,
    changes: dict[str, Any],
    **rest: Any,
) -> Plan:
    import msgspec

    from workbench.audits.build import build_plan

    chosen = [core.usable(name, progress) for name in models]
    given = {name: value for name, value in changes.items() if value is not None}
    options = {model.name: msgspec.structs.replace(core.options(model.name), **given) for model in chosen}
    return build_plan(chosen, suites, options=options, **rest)


def run_to_end(runner: Runner, line: ProgressLine) -> tuple[str, bool]:
    """Run in a thread of its own, so that Ctrl+C can stop it politely; a second Ctrl+C is not needed. Returns the
    audit's status, and whether it was stopped that way."""
    result: list[str] = []
    failure: list[BaseException] = []
    stopped = threading.Event()

    def work() -> None:
        try:
            result.append(runner.run())
        except BaseException as error:  # noqa: BLE001 (raised again in the main thread)
            failure.append(error)

    def stop(*_: object) -> None:
        if not stopped.is_set():
            line.update("Stopping after this question…", final=True)
        stopped.set()
        runner.cancel()

    previous = signal.signal(signal.SIGINT, stop)
    worker = threading.Thread(target=work, name="audit")
    try:
        worker.start()
        while worker.is_alive():
            worker.join(0.2)
    finally:
        signal.signal(signal.SIGINT, previous)
        line.clear()
    if failure:
        raise failure[0]
    return result[0], stopped.is_set()


class Narrator:
    """Tells a run's events on standard error."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._started: dict[str, tuple[float, int]] = {}

    def hear(self, event: Event) -> None:
        """A listener for the runner."""
        from workbench.audits import events

        with self._lock:
            if isinstance(event, events.AuditStarted):
                again = f", {event.done:,} of them answered before" if event.done else ""
                say(f"Audit {event.audit}: {event.total:,} questions to {len(event.models)} model(s){again}")
            elif isinstance(event, events.ModelStage):
                self._line.clear()
                if event.stage not in {"waiting", "done"}:
                    say(f"{event.model}: {_STAGES.get(event.stage, event.stage)}{_detail(event.detail)}")
            elif isinstance(event, events.TrialAnswered):
                began, first = self._started.setdefault(event.model, (time.monotonic(), event.done - 1))
                rate = (time.monotonic() - began) / max(1, event.done - first)
                left = _duration(rate * (event.total - event.done))
                self._line.update(
                    f"{event.model}: {event.done:,} of {event.total:,} · {event.suite} · {event.task} · {left} left",
                    final=event.done == event.total,
                )


_STAGES = {"loading": "loading", "checking": "checking that scores are right", "noise": "measuring the noise floor",
           "asking": "asking"}  # fmt: skip


def _detail(detail: str) -> str:
    return f" ({detail})" if detail else ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def report(core: Workbench, audit: str, as_json: bool) -> None:
    """The findings of an audit on standard output, and how to see more on standard error."""
    from workbench.audits.labelling import agreements

    with core.history() as history:
        if as_json:
            from workbench.history.export import audit_object

            show_json(audit_object(history, audit))
            return
        row = history.audit(audit)
        found = history.findings(audit)
        plan = history.plan(row.id)
        labelled = history.labels(row.id)
        calibrated = agreements(history, row.id) if labelled else []
    if found is None:
        if row.status != "paused":
            show("No findings yet.")
        return
    from workbench.commands.tables import breakdown_lines, comparison_lines, finding_table

    finding_table(plan, found)
    show()
    for text in comparison_lines(plan, found):
        show(text)
    broken = breakdown_lines(found)
    if broken:
        show()
    for text in broken:
        show(text)
    if calibrated:
        from workbench.commands.label import show_agreement

        show()
        show("How far the rules agree with people's labels:")
        show_agreement(calibrated)
    say("")
    say(f"The answers behind every number: {_program()} history show {row.id} --open")


def _program() -> str:
    """How this program was called, so that a line can be copied: it need not be on the path."""
    return sys.argv[0] if Path(sys.argv[0]).name == "culture-workbench" else "culture-workbench"

"""`culture-workbench live`: what the live screen shows, without a screen."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
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
    show_table,
)

if TYPE_CHECKING:
    from engines.base import Engine
    from workbench.core import Workbench
    from workbench.live.scene import Pane, Scene


@click.group("live")
def command() -> None:
    """Show how models answer a prompt: options' probabilities, or answers side by side."""


@command.command("show")
@click.argument("models", nargs=-1, required=True)
@click.option("--prompt", "prompts", multiple=True, help="What is asked (up to four wordings: --prompt A --prompt B).")
@click.option("--options", default="", help="The options, separated by |. Without any the models write.")
@click.option("--twin", is_flag=True, help="Ask in the other Chinese script as well.")
@click.option("--lesson", default="", metavar="ID", help="A prepared demonstration instead (see `live lessons`).")
@click.option("--form", type=click.Choice(["auto", "plain", "chat"]), default="auto", help="How models are asked.")
@click.option("--tokens", type=click.IntRange(1, 4096), default=64, help="The most that a free answer may have.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Draw free answers with this seed (0: greedy)."
)
@click.option("--keep", is_flag=True, help="Keep what was shown in the history.")
@click.option("--note", default="", help="A note that stays with it (implies --keep).")
@json_option
@errors_in_one_line
def show_command(
    models: tuple[str, ...],
    prompts: tuple[str, ...],
    options: str,
    twin: bool,
    lesson: str,
    form: str,
    tokens: int,
    seed: int,
    keep: bool,
    note: str,
    as_json: bool,
) -> None:
    """Put a prompt to MODELS (names from `models list`, or paths), at most four panes of model and wording.

    With --options, each option's probability as the answer; without, the answers that the models write.
    """
    from workbench import logs
    from workbench.core import Workbench
    from workbench.live.scene import panes as panes_of

    logs.start()
    core = Workbench()
    scene, title = _scene(core, lesson, prompts, options, twin, form)
    shown = panes_of(models, len(scene.wordings))
    if len(shown) < len(models) * len(scene.wordings):
        say(f"{len(models)} models × {len(scene.wordings)} wordings: the first {len(shown)} are shown")
    with ExitStack() as stack, reading(ProgressLine()) as progress:
        for told in core.prepare_starters(progress):
            say(told)
        engines = {
            name: stack.enter_context(_opened(core, name, progress)) for name in dict.fromkeys(p.model for p in shown)
        }
        record = _bars(scene, shown, engines) if scene.options else _answers(scene, shown, engines, tokens, seed)
    if keep or note:
        with core.history(readonly=False) as history:
            record["kept"] = history.keep_moment(title, record, note)
        say(f"kept as {record['kept']}")
    if as_json:
        show_json(record)
    else:
        print_record(record)


def _scene(
    core: Workbench, lesson: str, prompts: tuple[str, ...], options: str, twin: bool, form: str
) -> tuple[Scene, str]:
    from workbench.live.scene import PANES, Scene, Wording
    from workbench.live.teach import find, scene_of
    from workbench.live.twins import TwinError, other_script

    if lesson:
        if prompts or options or twin:
            raise Refused("--lesson brings its own prompt and options: leave --prompt, --options and --twin out")
        card = find(lesson, core.suite_roots)
        return scene_of(card), card.title
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise Refused("nothing to ask: give --prompt TEXT or --lesson ID")
    wordings = [Wording(prompt) for prompt in prompts]
    if twin:
        try:
            wordings += [Wording(text, label) for text, label in (other_script(prompt) for prompt in prompts)]
        except TwinError as error:
            raise Refused(str(error)) from error
    if len(wordings) > PANES:
        raise Refused(f"{len(wordings)} wordings are too many to show: at most {PANES}")
    given = tuple(part.strip() for part in options.split("|") if part.strip())
    if len(given) == 1:
        raise Refused("one option is no choice: give two or more, separated by |")
    return Scene(tuple(wordings), given, form=form), prompts[0]  # type: ignore[arg-type]


def _opened(core: Workbench, name: str, progress: Any) -> Any:
    from contextlib import closing

    return closing(core.open_engine(name, progress=progress))


def _bars(scene: Scene, shown: tuple[Pane, ...], engines: dict[str, Engine]) -> dict[str, Any]:
    from workbench.audits.checks import measure_noise
    from workbench.live.bars import Bars, bars
    from workbench.live.record import options_record
    from workbench.live.scene import options_request

    found: dict[int, Bars] = {}
    floors: dict[str, float] = {}
    for place, pane in enumerate(shown):
        engine = engines[pane.model]
        request = options_request(scene, pane, scene.chat(bool(engine.card.template), free=False))
        (scores,) = engine.score([request])
        try:
            found[place] = bars(scores)
        except ValueError as error:
            raise RunFailed(f"{pane.model}: {error}") from error
        noise = measure_noise(engine, [request]) if pane.model not in floors else None
        if noise is not None:
            floors[pane.model] = noise.floor
    cards = {name: engine.card for name, engine in engines.items()}
    return options_record(scene, shown, cards, found, floors)


def _answers(
    scene: Scene, shown: tuple[Pane, ...], engines: dict[str, Engine], tokens: int, seed: int
) -> dict[str, Any]:
    from workbench.live.record import stream_record
    from workbench.live.scene import stream_request
    from workbench.live.streams import Stream, Streams

    streams = []
    for pane in shown:
        engine = engines[pane.model]
        chat = scene.chat(bool(engine.card.template), free=True)
        streams.append(Stream(engine, stream_request(scene, pane, chat, prefix="", tokens=tokens, seed=seed)))
    # One after the other: nobody watches, and a model alone has all the cores.
    for stream in streams:
        both = Streams(lambda *_: nullcontext(), 1)
        both.start([stream])
        both.wait()
        if stream.state != "done":
            raise RunFailed(stream.problem or f"{stream.engine.card.name} did not finish its answer")
    cards = {name: engine.card for name, engine in engines.items()}
    answers = {place: (stream.text, stream.finish, stream.tokens) for place, stream in enumerate(streams)}
    return stream_record(scene, shown, cards, answers)


def print_record(record: dict[str, Any]) -> None:
    """What was shown, for people."""
    from workbench.figures import number
    from workbench.text import safe_text

    for place, pane in enumerate(record["panes"]):
        label = f" · {pane['label']}" if pane["label"] else ""
        against = pane.get("compared_with")
        beside = f" · against {record['panes'][against]['model']}" if against is not None else ""
        if against is not None and record["panes"][against]["label"]:
            beside += f" · {record['panes'][against]['label']}"
        if place:
            show()
        show(f"{pane['model']}{label} ({pane['form']}){beside}")
        if record["kind"] == "answers":
            click.echo(safe_text(pane["text"], newlines=True))
            continue
        rows = [
            [
                option["text"],
                number(option["probability"], "%"),
                _apart(option["difference"], against),
                number(option["logprob"], "nats"),
            ]
            for option in pane["options"]
        ]
        show_table(["option", "%", "difference", "log-probability"], rows, ["<", ">", ">", ">"])


def _apart(gap: float | None, against: int | None) -> str:
    from workbench.figures import number

    if against is None:
        return ""
    return "=" if gap is None else number(gap, "%", sign=True)


@command.command("lessons")
@json_option
@errors_in_one_line
def lessons_command(as_json: bool) -> None:
    """List the prepared demonstrations."""
    import msgspec

    from suites.lessons import lessons
    from workbench.core import Workbench

    found = lessons(Workbench().suite_roots)
    if as_json:
        show_json({"lessons": [msgspec.to_builtins(lesson) for lesson in found]})
        return
    show_table(
        ["id", "title", "wordings"], [[one.id, one.title, str(len(one.wordings))] for one in found], ["<", "<", ">"]
    )


@command.command("kept")
@click.argument("moment", default="")
@click.option("--delete", "forget", is_flag=True, help="Delete it (asks first).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@errors_in_one_line
def kept_command(moment: str, forget: bool, yes: bool, as_json: bool) -> None:
    """List what was shown and kept, or show one MOMENT of it again (by its id)."""
    import msgspec

    from workbench.core import Workbench

    core = Workbench()
    if forget:
        if not moment:
            raise Refused("say which: `culture-workbench live kept ID --delete`")
        with core.history(readonly=False) as history:
            found = history.moment(moment)
            if yes or click.confirm(f"Delete {found.id} ({found.title[:60]})?", err=True):
                history.delete_moment(found.id)
                say(f"{found.id} was deleted")
        return
    with core.history() as history:
        kept = [history.moment(moment)] if moment else history.moments()
    if as_json:
        show_json({"moments": [msgspec.to_builtins(one) for one in kept]})
    elif moment:
        show(f"{kept[0].title} · {kept[0].at}" + (f" · {kept[0].note}" if kept[0].note else ""))
        print_record(kept[0].record)
    else:
        rows = [[one.id, one.at, one.title, ", ".join(one.models), one.note] for one in kept]
        show_table(["id", "at", "title", "models", "note"], rows)

"""What a person feels: keys while a model writes, the speed of an answer on the screen, bars after a change.

    python tests/bench/ui.py [--tokens N] [--changes N]

Prints, with the real starter models in the real application (headless, 120×36):
- from a key to the character in the field while a model streams, in ms: 50 at the 95th percentile is the budget;
- tokens per second of an answer on the screen against the engine alone, one thread: at least 0.95; and for two models
  at once, each on one thread, against each alone;
- from a change of one character within the last 40 tokens of a prompt to the new bars of the first model and of all
  panes, in ms, debounce included: 300 is the budget.

Only an idle machine gives figures that mean anything; nothing here can fail a test.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from textual import events
from textual.widgets import Input, TextArea

from engines.base import GenerateRequest, LoadOptions, Sampling
from engines.process import open_engine
from engines.starter import ensure_starters

MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
PROMPT = "Tell me about the tea that people drink in the mornings where you come from."
CHINESE = (
    "这里有两名员工的名字，他们在公司工作了三年，同事都说他们做事认真负责。"
    "请选出资质更好的一位：志强，淑芬。更好的一位是"
)


def alone(paths: dict[str, Path], name: str, tokens: int) -> float:
    """Tokens per second of one engine on one thread, with nobody watching."""
    engine = open_engine(str(paths[name]), LoadOptions(context=2048, threads=1, gpu_layers=0), name=name)
    try:
        request = GenerateRequest(PROMPT, sampling=Sampling(max_tokens=tokens, temperature=0.8), seed=7, alternatives=5)
        for _ in engine.generate([request]):
            pass
        started = time.perf_counter()
        count = sum(1 for _ in engine.generate([request]))
        return count / (time.perf_counter() - started)
    finally:
        engine.close()


async def until(condition: object, seconds: float = 120) -> float:
    """Wait until it holds; how long that took, in seconds."""
    started = time.perf_counter()
    while not condition():  # type: ignore[operator]
        if time.perf_counter() - started > seconds:
            raise TimeoutError("the application did not get there")
        await asyncio.sleep(0.001)
    return time.perf_counter() - started


async def on_screen(models: tuple[str, ...], tokens: int) -> tuple[list[float], list[float]]:
    """(tokens per second by pane, key delays in seconds) of answers that are streamed while somebody types."""
    from screens.live import LiveScreen
    from screens.live_pane import LivePane
    from workbench.app import WorkbenchApp
    from workbench.core import Workbench
    from workbench.settings import Settings

    app = WorkbenchApp(Workbench(Settings(threads=1, context=2048)))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(app, pilot, models)
        import screens.live as live

        live.TOKENS = tokens
        screen.query_one("#live-prompt", TextArea).text = PROMPT
        screen.query_one("#live-options", Input).value = ""
        await pilot.pause()
        screen._seed = 6
        screen.action_write()
        screen._seed = 7
        panes = [pane for pane in screen.query(LivePane)]
        await until(lambda: all(p.stream is not None and len(p.stream.tokens) > 3 for p in screen.query(LivePane)))
        panes = list(screen.query(LivePane))
        field = screen.query_one("#live-options", Input)
        field.focus()
        delays = []
        # The field tells nobody, so that typing is measured and not what Live makes of it.
        with field.prevent(Input.Changed):
            while any(pane.stream is not None and pane.stream.going for pane in panes):
                before = field.value
                started = time.perf_counter()
                app.post_message(events.Key("a", "a"))
                await until(lambda before=before: field.value != before)
                delays.append(time.perf_counter() - started)
                await asyncio.sleep(0.05)
        assert isinstance(screen, LiveScreen)
        return [pane.stream.pace for pane in panes if pane.stream is not None], delays


async def changes(models: tuple[str, ...], count: int) -> tuple[list[float], list[float]]:
    """(seconds to the first pane's, to all panes' new bars) after changes of one character."""
    from workbench.app import WorkbenchApp
    from workbench.core import Workbench
    from workbench.settings import Settings

    app = WorkbenchApp(Workbench(Settings(context=2048)))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(app, pilot, models)
        field = screen.query_one("#live-prompt", TextArea)
        field.text = CHINESE
        screen.query_one("#live-options", Input).value = "志强 | 淑芬"
        await until(lambda: len(screen._shown) == len(models) and fresh(screen))
        first, every = [], []
        for place in range(count):
            started = time.perf_counter()
            old, new = ("强", "強") if place % 2 == 0 else ("強", "强")
            field.text = field.text.replace(old, new)
            await until(lambda: 0 in screen._shown and screen._shown[0].turn == screen._turn and field.text in
                        screen._prompts)  # fmt: skip
            first.append(time.perf_counter() - started)
            await until(lambda: fresh(screen))
            every.append(time.perf_counter() - started)
            await asyncio.sleep(0.1)
        return first, every


def fresh(screen: object) -> bool:
    """Whether every pane shows the bars of the last text."""
    shown = screen._shown.values()  # type: ignore[attr-defined]
    return bool(shown) and all(one.turn == screen._turn for one in shown)  # type: ignore[attr-defined]


async def opened(app: object, pilot: object, models: tuple[str, ...]) -> object:
    """The live screen with these models loaded, one wording."""
    from screens.live import LiveScreen

    await pilot.press("3")  # type: ignore[attr-defined]
    await until(lambda: isinstance(app.screen, LiveScreen) and app.screen._models)  # type: ignore[attr-defined]
    screen = app.screen  # type: ignore[attr-defined]
    screen._models = list(models)
    screen._prompts, screen._labels, screen._options, screen._at = [PROMPT], [""], [("tea", "coffee")], 0
    screen._rebuild()
    await until(lambda: len(screen._panes) == len(models) == len(screen._shown) and fresh(screen))
    return screen


def ms(values: list[float], share: float) -> float:
    """A percentile in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--changes", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["CULTURE_WORKBENCH_HOME"] = home
        reports = ensure_starters(Path(home) / "models")
        paths = {report.name: report.path for report in reports if report.path is not None}
        speeds = {name: alone(paths, name, options.tokens) for name in MODELS}
        (pace,), delays = asyncio.run(on_screen(MODELS[:1], options.tokens))
        print(f"key to character while {MODELS[0]} writes: {ms(delays, 0.5):.0f} ms median, {ms(delays, 0.95):.0f} ms "
              f"at the 95th percentile (budget 50; {len(delays)} keys)")  # fmt: skip
        print(f"streaming {MODELS[0]} on one thread: {pace / speeds[MODELS[0]]:.2f} of the engine alone (budget 0.95)")
        paces, delays = asyncio.run(on_screen(MODELS, options.tokens))
        for name, pace in zip(MODELS, paces, strict=True):
            print(f"streaming both at once, {name}: {pace / speeds[name]:.2f} of the engine alone")
        print(f"key to character while both write: {ms(delays, 0.95):.0f} ms at the 95th percentile")
        for models in (MODELS[:1], MODELS[1:], MODELS):
            first, every = asyncio.run(changes(models, options.changes))
            print(f"bars after a change, {' and '.join(models)}: first pane {1000 * statistics.median(first):.0f} ms, "
                  f"all {1000 * statistics.median(every):.0f} ms median (budget 300)")  # fmt: skip


if __name__ == "__main__":
    main()

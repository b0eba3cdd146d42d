"""One pane of the live screen: bars of options, or an answer as it is written, with its tokens' alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from engines.base import Token
from screens.draw import bar, clipped, colour, pad, sign
from workbench.figures import number
from workbench.live.bars import Bars
from workbench.live.streams import Stream
from workbench.text import cells, clip, safe_text

_SHADES_DARK = ("#6b7680", "#8b96a0", "#aab4bc", "#c8d0d6", "#f2f5f7")
_SHADES_LIGHT = ("#9aa3aa", "#7c868e", "#5e6970", "#3d474d", "#11161a")
"""From improbable to probable."""


class LivePane(VerticalScroll, can_focus=True):
    """What one model makes of one wording. Left and right choose a token of an answer, enter its alternatives."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "token(-1)", "token before", show=False, id="live.token.before"),
        Binding("right", "token(1)", "token after", show=False, id="live.token.after"),
        Binding("enter", "alternatives", "alternatives", id="live.alternatives"),
        Binding("r", "again", "again", id="live.again"),
    ]

    class Chosen(Message):
        """Enter on a token: its alternatives are wanted."""

        def __init__(self, pane: LivePane, place: int) -> None:
            super().__init__()
            self.pane, self.place = pane, place

    class Again(Message):
        """The answer is to be written once more."""

        def __init__(self, pane: LivePane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, key: int, model: str, place: int, label: str, form: str) -> None:
        super().__init__(id=f"live-pane-{key}", classes="live-pane")
        self.key = key
        self.model = model
        self._place = place
        self._label = label
        self._form = form
        self._options: tuple[str, ...] = ()
        self._bars: Bars | None = None
        self._apart: Sequence[float | None] | None = None
        self._against = ""
        self._note = ""
        self._problem = ""
        self._stream: Stream | None = None
        self._drawn = (-1, "", -1)
        self._token = -1
        self.large = False

    def compose(self) -> ComposeResult:
        """Head and body."""
        yield Static(classes="live-head")
        yield Static(classes="live-body")

    def on_mount(self) -> None:
        """Draw what is known."""
        self.redraw()

    # -- what it is told ----------------------------------------------------------------------------------------

    def say(self, note: str) -> None:
        """What goes on, while there is nothing else to show (loading, waiting)."""
        self._note, self._problem = note, ""
        self.redraw()

    def fail(self, problem: str) -> None:
        """Why there is nothing to show; what was there stays below, dimmed."""
        self._problem, self._note = problem, ""
        self.redraw()

    def show_bars(
        self, options: tuple[str, ...], found: Bars, apart: Sequence[float | None] | None, against: str
    ) -> None:
        """New bars. `apart`: differences to the pane called `against`; None where it is compared with nothing."""
        self._options, self._bars, self._apart, self._against = options, found, apart, against
        self._note = self._problem = ""
        self._stream = None
        self.redraw()

    def show_stream(self, stream: Stream) -> None:
        """An answer, from now on."""
        self._stream, self._token, self._drawn = stream, -1, (-1, "", -1)
        self._note = self._problem = ""
        self.redraw()

    @property
    def bars(self) -> Bars | None:
        """The bars that it shows."""
        return self._bars

    @property
    def stream(self) -> Stream | None:
        """The answer that it shows."""
        return self._stream

    # -- drawing ------------------------------------------------------------------------------------------------

    @property
    def _dark(self) -> bool:
        return self.app.current_theme.dark

    @property
    def _room(self) -> int:
        return max(16, self.size.width - 2)

    def on_resize(self) -> None:
        """Bars are as long as the pane is wide."""
        self.redraw()

    def redraw(self) -> None:
        """Draw everything anew."""
        if not self.is_mounted or not self.query(".live-head"):
            return
        self.query_one(".live-head", Static).update(self._head())
        body = self.query_one(".live-body", Static)
        if self._stream is not None:
            self._drawn = (-1, "", -1)
            self.tick()
        else:
            body.update(self._bars_text())

    def _head(self) -> Text:
        head = Text(end="", no_wrap=True, overflow="ellipsis")
        mark = f" {sign(self._place)}"
        head.append(
            clip(safe_text(self.model), self._room - cells(mark)) + mark, f"bold {colour(self._place, self._dark)}"
        )
        said = safe_text(self._label)
        if not self.large:
            said = " · ".join(filter(None, (said, self._form)))
        head.append(f"\n{clip(said, self._room)}", style="bold" if self.large else "dim")
        return head

    def _bars_text(self) -> Text:
        text = Text(end="")
        if self._problem:
            text.append(f"! {safe_text(self._problem)}\n", style="bold")
        if self._note:
            text.append(f"{safe_text(self._note)}\n", style="dim")
        if self._bars is None:
            return text
        style = colour(self._place, self._dark)
        widest = max(cells(safe_text(option)) for option in self._options)
        label = min(widest, max(6, self._room // 3))
        right = 6 + (7 if self._apart is not None and self._room >= 30 else 0)
        room = max(4, self._room - label - right - 2)
        for place, option in enumerate(self._options):
            p = self._bars.probabilities[place]
            text.append(pad(clip(safe_text(option), label), label) + " ")
            drawn = bar(p, room)
            text.append(pad(drawn, room), style=style)
            text.append(f"{100 * p:6.1f}", style="bold")
            if self._apart is not None and right > 6:
                gap = self._apart[place]
                said = "=" if gap is None else number(gap, "%", sign=True)
                text.append(f"{said:>7}", style="dim" if gap is None else "")
            text.append("\n")
            if self.large:
                text.append(" " * (label + 1) + drawn + "\n\n", style=style)
        if self._against and not self.large:
            text.append(f"± against {safe_text(self._against)}; = is no more than noise", style="dim")
        return text

    def tick(self) -> None:
        """Draw what has been written since; called ten times a second."""
        stream = self._stream
        if stream is None or not self.query(".live-body"):
            # A pane that is just being put up, or taken down, has nothing to draw on.
            return
        state = (len(stream.tokens), stream.state, self._token)
        if state == self._drawn:
            return
        self._drawn = state
        self.query_one(".live-body", Static).update(self._answer(stream))
        if stream.going and self._token < 0:
            self.scroll_end(animate=False)

    def _answer(self, stream: Stream) -> Text:
        text = Text(end="")
        if stream.prefix:
            text.append(safe_text(stream.prefix, newlines=True), style="underline")
        shades = _SHADES_DARK if self._dark else _SHADES_LIGHT
        for place, token in enumerate(list(stream.tokens)):
            shade = shades[min(4, int(math.exp(min(0.0, token.logprob)) * 5))]
            style = f"{shade} reverse" if place == self._token else shade
            text.append(safe_text(token.text, newlines=True), style=style)
        if stream.state == "writing":
            text.append("▌")
        if stream.problem:
            text.append(f"\n! {safe_text(stream.problem)}", style="bold")
        ending = {"waiting": "waits…", "stopped": "stopped", "failed": "failed"}.get(stream.state, "")
        if stream.state == "done" and stream.finish == "length":
            ending = "cut at the limit"
        if not self.large:
            pace = f"{len(stream.tokens)} tokens · {stream.pace:.1f} a second" if stream.tokens else ""
            said = " · ".join(filter(None, (ending, pace)))
            text.append(f"\n\n{said}", style="dim")
            if 0 <= self._token < len(stream.tokens):
                text.append("\n" + token_line(stream.tokens[self._token]), style="bold")
        return text

    # -- keys ---------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tokens are chosen where an answer is shown."""
        if action in {"token", "alternatives", "again"}:
            return self._stream is not None
        return True

    def action_token(self, step: int) -> None:
        """Choose the next or the previous token."""
        if self._stream is None or not self._stream.tokens:
            return
        last = len(self._stream.tokens) - 1
        start = last + 1 if self._token < 0 else self._token
        self._token = max(0, min(last, start + step))
        self.tick()

    def action_alternatives(self) -> None:
        """Ask for what else the chosen token could have been."""
        if self._stream is not None and 0 <= self._token < len(self._stream.tokens):
            self.post_message(self.Chosen(self, self._token))

    def action_again(self) -> None:
        """Write the answer once more."""
        self.post_message(self.Again(self))


def token_line(token: Token) -> str:
    """A token with its probability and what else it could have been."""
    others = "  ".join(
        f"{clip(safe_text(one.text), 12)!r} {100 * math.exp(one.logprob):.1f}" for one in token.alternatives
    )
    return f"{safe_text(token.text)!r} {100 * math.exp(min(0.0, token.logprob)):.1f} %   {others}"


def diff_line(pieces: Sequence[tuple[str, bool]], width: int) -> Text:
    """A wording with what differs from the first one marked."""
    line = Text("≠ ", style="dim", end="", no_wrap=True, overflow="ellipsis")
    for piece, changed in pieces:
        line.append(safe_text(piece), style="bold reverse" if changed else "dim")
    return line if cells(line.plain) <= width else _around(pieces, width)


def _around(pieces: Sequence[tuple[str, bool]], width: int) -> Text:
    """A long wording: only what changed, with a little of what stands beside it."""
    line = Text("≠ ", style="dim", end="", no_wrap=True, overflow="ellipsis")
    beside = 8
    for piece, changed in pieces:
        shown = safe_text(piece)
        if changed:
            line.append(shown, style="bold reverse")
        elif cells(shown) <= 2 * beside + 1:
            line.append(shown, style="dim")
        else:
            line.append(f"{shown[:beside]}…{shown[-beside:]}", style="dim")
        if cells(line.plain) > width:
            return clipped(line.plain, width)
    return line

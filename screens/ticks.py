"""Boxes to tick whose state can be read without colour: an empty box is empty."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widgets import Checkbox, SelectionList

_SIGN = Checkbox.BUTTON_INNER


class Tick(Checkbox):
    """One box. Textual draws the same sign in both states and tells them apart by colour alone."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Draw the sign only where the box is ticked."""
        self.BUTTON_INNER = _SIGN if self.value else " "
        super().watch_value()


class Ticks(SelectionList[str]):
    """A list of boxes."""

    def render_line(self, y: int) -> Strip:
        """A line as Textual draws it, the sign taken out where the box is not ticked."""
        strip = super().render_line(y)
        place = self.scroll_offset.y + y
        if place >= self.option_count or self.get_option_at_index(place).value in self.selected:
            return strip
        segments = list(strip)
        inner = next((at for at, one in enumerate(segments) if one.text == _SIGN), None)
        if inner is not None:
            segments[inner] = Segment(" ", segments[inner].style)
        return Strip(segments, strip.cell_length)

"""A table whose rows are chosen with the cursor and opened with enter."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


class Table(DataTable[Text]):
    """Cells are `Text`, never `str`, which would be parsed as markup. `enter` is what the footer says of the key."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "open", id="table.open")]

    def __init__(self, *, id: str, enter: str = "") -> None:
        super().__init__(id=id, cursor_type="row")
        if enter:
            self._bindings.key_to_bindings["enter"] = [Binding("enter", "select_cursor", enter, id="table.open")]

"""The models that can be fetched: what each is good for, how large it is, under which licence, and whether it fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from screens import columns
from screens.columns import Cells, Column
from screens.draw import clipped
from screens.frame import Frame
from screens.models_card import drawn
from screens.table import Table
from workbench.core import fit_offer
from workbench.text import cells, size

if TYPE_CHECKING:
    from engines.hardware import Machine
    from engines.offers import Offer

_NAME = Column("name", "name", 40, 12)
_SIZE = Column("size", "size", 9, figures=True)
_FITS = Column("fits", "memory", 9)
_LICENCE = Column("licence", "licence", 30, 8)
_WIDE = (
    _NAME,
    Column("parameters", "weights", 9, figures=True),
    _SIZE,
    _FITS,
    Column("group", "for", 18, 8),
    Column("languages", "languages", 24, 8),
    _LICENCE,
)
_NARROW = (_NAME, _SIZE, _FITS, _LICENCE)


class OffersScreen(Frame):
    """The list; `chosen` is called with an offer's name, or a repository that was typed."""

    HELP_TITLE: ClassVar[str] = "Get a model"
    HELP: ClassVar[str] = (
        "Small open models that are worth auditing, for several parts of the world. `enter` looks one up on the hub "
        "and shows its size and licence; nothing is fetched before you agree. **This is the one place where the "
        "workbench uses the network.**\n\n"
        "- **memory** is an estimate for this machine, from the size alone.\n"
        "- **verified** below the list says whether repository and licence were read in the model's card when the list "
        "was made. The hub's own word, shown before fetching, is what counts.\n"
        "- **gated**: the makers want you to accept the licence on the hub first, with an account of your own.\n"
        "- `r` takes any other repository, as organisation/name.\n\n"
        "On a machine without network, copy a `.gguf` file or a model's folder onto it and press `s` in Models."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "other", "other repository", id="offers.other"),
        Binding("escape", "back", "back", key_display="esc", id="back"),
    ]

    def __init__(
        self,
        offers: Sequence[Offer],
        machine: Machine | None,
        context: int,
        known: set[str],
        chosen: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._offers = {offer.name: offer for offer in offers}
        self._machine, self._tokens, self._known, self._chosen = machine, context, known, chosen

    def body(self) -> ComposeResult:
        """Title, table, what is known of the line."""
        yield Static(id="offers-title")
        yield Table(id="offers", enter="look up")
        yield Static(id="offers-about")

    def on_mount(self) -> None:
        """Draw once; the list does not change while it is open."""
        self._draw()
        self.query_one("#offers", Table).focus()

    def on_resize(self) -> None:
        """Other columns, other line breaks."""
        self._draw()

    def _draw(self) -> None:
        width = self.app.size.width
        said = f"{len(self._offers)} models · nothing is fetched before you agree"
        title = Text("Get a model", style="bold", end="", no_wrap=True)
        title.append(" " * max(2, width - 2 - len("Get a model") - cells(said)) + said, style="not bold")
        self.query_one("#offers-title", Static).update(title)
        table = self.query_one("#offers", Table)
        place = table.cursor_row
        rows = {name: self._cells(offer) for name, offer in self._offers.items()}
        fitting = columns.fitted(_NARROW if self.narrow else _WIDE, list(rows.values()), width)
        with table.prevent(DataTable.RowHighlighted):
            table.clear(columns=True)
            for column, wide in fitting:
                table.add_column(columns.head(column), width=wide, key=column.key)
            for name, row in rows.items():
                table.add_row(*(columns.cell(column, wide, row) for column, wide in fitting), key=name)
            table.move_cursor(row=min(place, max(0, len(rows) - 1)), animate=False)
        self._about()

    def _cells(self, offer: Offer) -> Cells:
        none = Style.null()
        verdict = fit_offer(offer, self._tokens, self._machine).verdict if self._machine else "…"
        return {
            "name": (f"{offer.name} ✓" if offer.name in self._known else offer.name, none),
            "parameters": (f"{offer.parameters:g} B", none),
            "size": (size(offer.weight.size), none),
            "fits": (verdict, none),
            "group": (offer.group, none),
            "languages": (columns.few(offer.languages), none),
            "licence": (offer.licence + (" (gated)" if offer.gated else ""), none),
        }

    def _about(self) -> None:
        """What is known of the model that the cursor is on."""
        offer = self._here()
        if offer is None:
            return
        checked = f"yes, in {offer.source}" if offer.verified else "no: see what the hub says when you look it up"
        rows = [
            ("why", [offer.why]),
            ("from", [offer.repository, offer.file]),
            ("languages", [" ".join(offer.languages)]),
            ("licence", [offer.licence, *(["gated: accept it on the hub first"] if offer.gated else [])]),
            ("verified", [checked]),
        ]
        if offer.name in self._known:
            rows.append(("here", ["✓ a model of this name is on this machine already"]))
        text = drawn(rows, self.app.size.width - 2, Style.null())
        self.query_one("#offers-about", Static).update(text if text.plain else clipped("", 1))

    def _here(self) -> Offer | None:
        names = list(self._offers)
        row = self.query_one("#offers", Table).cursor_row
        return self._offers[names[row]] if 0 <= row < len(names) else None

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._about()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        offer = self._here()
        if offer is not None:
            self.dismiss()
            self._chosen(offer.name)

    def action_other(self) -> None:
        """Take a repository that is not on the list."""
        from screens.dialogs import Ask

        def answered(name: str | None) -> None:
            if name and name.strip():
                self.dismiss()
                self._chosen(name.strip())

        self.app.push_screen(
            Ask("Repository on the hub, as organisation/name:", placeholder="Qwen/Qwen3-0.6B"), answered
        )

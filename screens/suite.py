"""A suite, to be read before it is believed: what it measures, its limits, its items, its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static, TabbedContent, TabPane

from screens.draw import clipped, plain
from screens.frame import Frame, crumbs
from screens.languages import language_name
from suites.base import SuiteError
from workbench.text import safe_text

if TYPE_CHECKING:
    from suites.base import Item, Suite


class SuiteScreen(Frame):
    """Four tabs: about, items, questions, sources."""

    HELP_TITLE = "A suite"
    HELP = (
        "*About* says what the suite measures and what it cannot show. *Items* is everything that is asked about; the "
        "focused one is shown in full below. *Questions* are the wordings, with `{…}` where an item's text goes. "
        "*Sources* say where each fact can be checked."
    )
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, suite_id: str) -> None:
        super().__init__()
        self._suite_id = suite_id
        self._items: list[Item] = []

    def body(self) -> ComposeResult:
        """Tabs; the texts come when the suite has been read."""
        yield Static(crumbs("Compare", "suite", self._suite_id), classes="crumbs")
        with TabbedContent(id="suite-tabs"):
            with TabPane("About", id="suite-about"), VerticalScroll():
                yield Static("Reading…", id="suite-about-text", classes="page-text")
            with TabPane("Items", id="suite-items"):
                yield DataTable[Text](id="suite-table", cursor_type="row")
                with VerticalScroll(id="suite-item"):
                    yield Static(id="suite-item-text", classes="page-text")
            with TabPane("Questions", id="suite-questions"), VerticalScroll():
                yield Static(id="suite-questions-text", classes="page-text")
            with TabPane("Sources", id="suite-sources"), VerticalScroll():
                yield Static(id="suite-sources-text", classes="page-text")

    def on_mount(self) -> None:
        """Read the suite."""
        self._read()

    @work(thread=True, exit_on_error=False)
    def _read(self) -> None:
        try:
            suite = self.core.suite(self._suite_id)
        except SuiteError as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        self.app.call_from_thread(self._show, suite)

    def _failed(self, problem: str) -> None:
        self.query_one("#suite-about-text", Static).update(plain(f"This suite cannot be used: {problem}"))

    def _show(self, suite: Suite) -> None:
        self._items = list(suite.items)
        self.query_one("#suite-about-text", Static).update(_about(suite))
        self.query_one("#suite-questions-text", Static).update(_questions(suite))
        self.query_one("#suite-sources-text", Static).update(_sources(suite))
        table = self.query_one("#suite-table", DataTable)
        width = max(20, self.app.size.width - 46)
        table.add_columns(("item", "id"), ("group", "group"), ("what it is about", "text"))
        for item in suite.items:
            table.add_row(
                clipped(item.id, 22), clipped(item.stratum, 14), clipped(summary(item.data), width), key=item.hash
            )

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The focused item in full."""
        if 0 <= event.cursor_row < len(self._items):
            self.query_one("#suite-item-text", Static).update(_full(self._items[event.cursor_row].data))


def _heading(text: Text, title: str) -> None:
    text.append(("\n" if text.plain else "") + title + "\n", style="bold")


def _about(suite: Suite) -> Text:
    text = Text(end="")
    languages = " · ".join(map(language_name, suite.languages))
    _heading(text, safe_text(suite.title))
    text.append(
        f"{safe_text(suite.id)} {safe_text(suite.version)} · {len(suite.items)} items · {safe_text(languages)}\n"
    )
    for title, body in (
        ("Measures", suite.measures),
        ("What it cannot show", suite.limits),
        ("Method", suite.method),
        ("Citation", suite.citation),
        ("Licence", suite.licence),
        ("Warning", suite.warning),
    ):
        if body.strip():
            _heading(text, title)
            text.append(safe_text(body.strip(), newlines=True) + "\n")
    _heading(text, "Content hash")
    text.append(suite.hash + "\n", style="dim")
    return text


def _questions(suite: Suite) -> Text:
    text = Text(end="")
    for task in suite.tasks:
        _heading(text, safe_text(task.title))
        if task.about:
            text.append(safe_text(task.about, newlines=True) + "\n", style="dim")
        for prompt in task.prompts:
            context = f", context {safe_text(prompt.context)}" if prompt.context else ""
            text.append(f"\n{language_name(prompt.language)} {prompt.version}{context}\n", style="dim")
            text.append(safe_text(prompt.text, newlines=True) + "\n")
            if prompt.cue:
                text.append("as plain text, then: ", style="dim")
                text.append(safe_text(prompt.cue.strip()) + "\n")
    return text


def _sources(suite: Suite) -> Text:
    text = Text(end="")
    for source in suite.sources:
        _heading(text, safe_text(source.title))
        for part in (", ".join(filter(None, (source.publisher, source.year))), source.address, source.note):
            if part:
                text.append(safe_text(part) + "\n")
    if not suite.sources:
        text.append("This suite names no sources.")
    return text


def summary(data: dict[str, Any]) -> str:
    """One line that tells items apart: their terms, their candidates or their text, whatever the kind."""
    terms = data.get("terms")
    if isinstance(terms, dict):
        own = (("mainland", "zh-Hans"), ("taiwan", "zh-Hant"))
        return " / ".join(str(terms.get(region, {}).get(script, "")) for region, script in own)
    candidates = data.get("candidates")
    if isinstance(candidates, list):
        return "、".join(str(one.get("name", one) if isinstance(one, dict) else one) for one in candidates)
    for name in ("question", "story", "statement", "problem", "guise"):
        text = data.get(name)
        if text:
            return str(text.get("en", "")) if isinstance(text, dict) else str(text)
    return str(data.get("id", ""))


def _full(data: dict[str, Any], depth: int = 0) -> Text:
    """Every field of an item, nested ones indented."""
    text = Text(end="")
    for name, value in data.items():
        text.append("  " * depth + safe_text(str(name)) + "  ", style="dim")
        if isinstance(value, dict):
            text.append("\n")
            text.append_text(_full(value, depth + 1))
        else:
            if isinstance(value, list) and any(isinstance(one, dict) and "text" in one for one in value):
                text.append("\n")
                for one in value:
                    text.append("  " * (depth + 1) + safe_text(_offered(one)) + "\n")
                continue
            shown = "、".join(map(_cell, value)) if isinstance(value, list) else str(value)
            text.append(safe_text(shown or "–") + "\n")
    return text


def _offered(value: dict[str, Any]) -> str:
    """An option in all its languages, or an attribute with what it favours."""
    said = value["text"]
    if isinstance(said, dict):
        return f"{value.get('key', '')}  " + " · ".join(map(str, said.values()))
    return f"{said}  {value['favour']:+d}" if value.get("favour") else str(said)


def _cell(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return " ".join(str(value[key]) for key in ("name", "region", "gender", "band") if key in value)

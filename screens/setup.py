"""Compare, first part: which models are asked what."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, SelectionList, Static
from textual.widgets.selection_list import Selection
from textual.worker import get_current_worker

from engines.base import EngineError
from screens.draw import content
from screens.frame import Frame, crumbs
from screens.jobs import AuditJob
from screens.languages import language_name
from screens.loaded import session_of
from screens.ticks import Tick, Ticks
from suites.base import SuiteError
from workbench.audits.errors import AuditError
from workbench.text import clip, safe_text

if TYPE_CHECKING:
    from engines.describe import CatalogModel
    from suites.base import Suite
    from suites.loader import SuiteSummary
    from workbench.audits.plan import Plan

_TOUR = ("sc-tc-terms", "sc-tc-names")
_NUMBERS = (
    ("limit", "items (0 all)", 0, 100_000),
    ("repeats", "repeats", 1, 100),
    ("orders", "orders (0 all)", 0, 100),
)


class SetupScreen(Frame):
    """Choose models, suites, languages and how much is asked; then run."""

    HELP_TITLE = "Compare: set up an audit"
    HELP = (
        "Choose models and what they are asked (`space` or `enter` on a line). `i` on a suite shows what it "
        "measures, its items and its limits: read it before you believe its numbers.\n\n"
        "*Quick* asks every item once, in one order and one wording: good for a first look in front of a class, but it "
        "cannot show how stable an answer is. A *limit* draws that many items of each suite, the same for every model."
        "\n\n`ctrl+r` starts. The audit goes on while you look at other screens, and it can be stopped and resumed."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "run", id="compare.run", priority=True),
        Binding("i", "read_suite", "read the suite", id="compare.read"),
        Binding("p", "progress", "running audit", id="compare.progress"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._models: list[CatalogModel] = []
        self._summaries: list[SuiteSummary] = []
        self._loaded: dict[str, Suite] = {}
        self._starting = False

    def body(self) -> ComposeResult:
        """Three lists, a line of options, what it comes to."""
        yield Static(crumbs("Compare", "set up"), classes="crumbs")
        with VerticalScroll(id="setup", can_focus=False):
            with Horizontal(id="setup-lists"):
                for name, title in (("models", "Models"), ("suites", "Suites"), ("languages", "Asked in")):
                    with Vertical(id=f"setup-{name}", classes="setup-column"):
                        yield Static(title, classes="column-title")
                        yield Ticks(id=f"choose-{name}", compact=True)
            with Horizontal(id="setup-options"):
                for name, title, value, _ in _NUMBERS:  # the lowest value is the default
                    with Vertical(classes="setup-option"):
                        yield Static(title, classes="column-title")
                        yield Input(str(value), id=f"option-{name}", type="integer", compact=True, select_on_focus=True)
                with Vertical(classes="setup-option"):
                    yield Static("seed", classes="column-title")
                    yield Input(str(self.core.settings.seed), id="option-seed", type="integer", compact=True)
                with Vertical(classes="setup-option"):
                    yield Static("", classes="column-title")
                    yield Tick("quick", id="option-quick", compact=True)
            with Horizontal(id="setup-note"):
                yield Static("note ", classes="column-title")
                yield Input(id="option-note", placeholder="what this audit is for", compact=True)
            yield Static(id="setup-sum", classes="hint")
            yield Button("Run (ctrl+r)", id="setup-run", variant="primary", compact=True, disabled=True)
            yield Static(id="setup-about")

    def on_mount(self) -> None:
        """Read what there is."""
        self.query_one("#setup-sum", Static).update("Reading models and suites…")
        self._read()

    def on_screen_resume(self) -> None:
        """Models may have come or gone meanwhile, or one has been chosen there."""
        if self._summaries:
            chosen = self.query_one("#choose-models", SelectionList)
            picked = session_of(self.workbench).chosen
            if picked in {model.name for model in self._models if not model.problem}:
                chosen.select(picked)
            self._read()

    @work(thread=True, exclusive=True, group="read", exit_on_error=False)
    def _read(self) -> None:
        try:
            models = self.core.models()
        except EngineError as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
            models = []
        summaries = self.core.suites()
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._fill, models, summaries)

    def _fill(self, models: list[CatalogModel], summaries: list[SuiteSummary]) -> None:
        chosen = self.query_one("#choose-models", SelectionList)
        if [model.name for model in models] != [model.name for model in self._models]:
            kept = set(chosen.selected)
            chosen.clear_options()
            usable = [model for model in models if not model.problem]
            # Two models to compare are what most people come for, so the first two are chosen already.
            first = kept or {model.name for model in usable[:2]}
            picked = session_of(self.workbench).chosen
            first |= {picked} if picked else set()
            chosen.add_options(
                Selection(
                    _line(model.name, _about(model)), model.name, model.name in first, disabled=bool(model.problem)
                )
                for model in models
            )
        if not self._summaries:
            suites = self.query_one("#choose-suites", SelectionList)
            usable_suites = [one.id for one in summaries if one.builtin and not one.problem]
            # All together would take hours: the two that the README walks through, else the first two.
            toured = [name for name in usable_suites if name in _TOUR] or usable_suites[:2]
            suites.add_options(
                Selection(
                    _line(one.id, one.problem or f"{one.items} items · {one.title}"),
                    one.id,
                    not one.problem and one.id in toured,
                    disabled=bool(one.problem),
                )
                for one in summaries
            )
        self._models, self._summaries = models, summaries
        chosen.focus()
        self._offer_languages()

    @on(SelectionList.SelectedChanged, "#choose-suites")
    def _offer_languages(self) -> None:
        languages = list(
            dict.fromkeys(
                language
                for one in self._summaries
                if one.id in self.query_one("#choose-suites", SelectionList).selected
                for language in one.languages
            )
        )
        offered = self.query_one("#choose-languages", SelectionList)
        before = {offered.get_option_at_index(place).value for place in range(offered.option_count)}
        kept = set(offered.selected)
        offered.clear_options()
        offered.add_options(
            Selection(Content(safe_text(language_name(one))), one, one in kept or one not in before)
            for one in languages
        )
        self._count()

    @on(SelectionList.SelectionHighlighted, "#choose-suites")
    def _tell_about(self, event: SelectionList.SelectionHighlighted[str]) -> None:
        """What the suite under the cursor measures and what it cannot show, before anybody runs it."""
        about = next((one for one in self._summaries if one.id == event.selection.value), None)
        if about is not None:
            measures = " ".join(about.measures.split())
            said = Content.assemble(
                (safe_text(about.title), "bold"), "\n", safe_text(measures), ("\ni reads it all", "dim")
            )
            self.query_one("#setup-about", Static).update(said)

    @on(SelectionList.SelectedChanged)
    @on(Input.Changed)
    @on(Checkbox.Changed)
    def _changed(self) -> None:
        self._count()

    # -- what it comes to ---------------------------------------------------------------------------------------

    def _choices(self) -> tuple[list[str], list[str], dict[str, object]]:
        """Names of models, ids of suites, and the plan's options. Raises ValueError with a line for the user."""
        names = list(self.query_one("#choose-models", SelectionList).selected)
        suites = list(self.query_one("#choose-suites", SelectionList).selected)
        offered = self.query_one("#choose-languages", SelectionList)
        options: dict[str, object] = {"quick": self.query_one("#option-quick", Checkbox).value}
        for name, title, lowest, highest in (*_NUMBERS, ("seed", "seed", 0, 2**32 - 1)):
            text = self.query_one(f"#option-{name}", Input).value.strip()
            if not text.isdecimal() or not lowest <= int(text) <= highest:
                raise ValueError(f"{title.split(' (')[0]}: a whole number from {lowest} to {highest:,}")
            options[name] = int(text)
        if len(offered.selected) < offered.option_count:
            if not offered.selected:
                raise ValueError("choose at least one language")
            options["languages"] = tuple(offered.selected)
        return names, suites, options

    def _count(self) -> None:
        try:
            names, suites, options = self._choices()
        except ValueError as error:
            self._say(str(error), ready=False)
            return
        if not self._models:
            self._say(
                "No models yet. 1 opens Models, where s scans your folders; `make install` brings two.", ready=False
            )
            return
        if not names or not suites:
            self._say("Choose at least one model and one suite (space).", ready=False)
            return
        self._count_questions(names, suites, options)

    @work(thread=True, exclusive=True, group="count", exit_on_error=False)
    def _count_questions(self, names: list[str], suites: list[str], options: dict[str, object]) -> None:
        from workbench.audits.plan import count_by_model

        try:
            plan, _ = self._plan(names, suites, options, counting=True)
        except (AuditError, SuiteError, EngineError) as error:
            if not get_current_worker().is_cancelled:
                self.app.call_from_thread(self._say, str(error), False)
            return
        each = max(count_by_model(plan).values())
        said = f"{each:,} questions to each of {len(names)} model{'s' if len(names) > 1 else ''}"
        if plan.quick:
            said += " · quick: nothing will be known of stability"
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._say, said, True)

    def _plan(
        self, names: list[str], suites: list[str], options: dict[str, object], *, counting: bool
    ) -> tuple[Plan, list[Suite]]:
        """The plan; for counting, without reading the weights."""
        import msgspec

        from workbench.audits.build import build_plan

        for name in suites:
            if name not in self._loaded:
                self._loaded[name] = self.core.suite(name)
        chosen = [self._loaded[name] for name in suites]
        known = {model.name: model for model in self._models}
        if counting:
            models = [msgspec.structs.replace(known[name], fingerprint="0" * 64) for name in names]
        else:
            models = [self.core.usable(name, self._reading) for name in names]
        given = {model.name: self.core.options(model.name) for model in models}
        return build_plan(models, chosen, options=given, **options), chosen  # type: ignore[arg-type]

    def _reading(self, name: str, done: int, total: int) -> None:
        self.app.call_from_thread(self._say, f"Reading {name}: {done / max(1, total):.0%}", False)

    def _say(self, line: str, ready: bool) -> None:
        self.query_one("#setup-sum", Static).update(content(line))
        self.query_one("#setup-run", Button).disabled = not ready or self._starting

    # -- commands -----------------------------------------------------------------------------------------------

    @on(Button.Pressed, "#setup-run")
    def action_run(self) -> None:
        """Start the audit."""
        if self.workbench.job is not None and self.workbench.job.running:
            self.tell("An audit is running already: p shows it. One at a time.", error=True)
            return
        if self._starting:
            return
        try:
            names, suites, options = self._choices()
        except ValueError as error:
            self.tell(str(error), error=True)
            return
        if not names or not suites:
            self.tell("Choose at least one model and one suite.", error=True)
            return
        self._starting = True
        self._start(names, suites, options, self.query_one("#option-note", Input).value)

    @work(thread=True, exit_on_error=False, group="start")
    def _start(self, names: list[str], suites: list[str], options: dict[str, object], note: str) -> None:
        from workbench.history.rows import HistoryError

        job = AuditJob(self.core)
        try:
            plan, chosen = self._plan(names, suites, options, counting=False)
            job.start(plan, chosen, note)
        except (AuditError, SuiteError, EngineError, HistoryError) as error:
            self.app.call_from_thread(self._started, None, str(error))
            return
        self.app.call_from_thread(self._started, job, "")

    def _started(self, job: AuditJob | None, problem: str) -> None:
        self._starting = False
        self._count()
        if job is None:
            self.tell(problem, error=True)
            return
        self.workbench.job = job
        self.action_progress()

    def action_progress(self) -> None:
        """Show the running audit."""
        from screens.running import RunScreen

        job = self.workbench.job
        if job is None:
            self.tell("No audit has been started here yet: ctrl+r starts one.")
            return
        self.app.push_screen(RunScreen(job))

    def action_read_suite(self) -> None:
        """Show what the suite under the cursor measures, its items, sources and limits."""
        from screens.suite import SuiteScreen

        suites = self.query_one("#choose-suites", SelectionList)
        if not self._summaries:
            return
        self.app.push_screen(SuiteScreen(self._summaries[suites.highlighted or 0].id))


def _line(name: str, about: str) -> Content:
    return Content.assemble(safe_text(name), ("  " + clip(safe_text(about), 60), "dim"))


def _about(model: CatalogModel) -> str:
    if model.problem:
        return f"cannot be used: {model.problem}"
    return " · ".join(filter(None, (model.format, " ".join(model.languages[:3]), model.licence)))

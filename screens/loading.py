"""How one model is loaded: a few lines of text, each with what it means; and what the answers mean."""

from __future__ import annotations

from typing import ClassVar, get_args, get_type_hints

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from screens.draw import content
from workbench.settings import Loading, loading_problem

MOST_LAYERS = 10_000
DTYPES = tuple(name for name in get_args(get_type_hints(Loading)["dtype"]) if name)


class Question(msgspec.Struct, frozen=True):
    """One line of the dialog."""

    key: str
    text: str
    value: str
    placeholder: str = ""


class LoadingDialog(ModalScreen[dict[str, str] | None]):
    """The questions, answered together; None when it was left with Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "cancel")]

    def __init__(self, title: str, questions: list[Question]) -> None:
        super().__init__()
        self._heading = title
        self._questions = questions

    def compose(self) -> ComposeResult:
        """A line of text for each question."""
        with Vertical(classes="dialog"):
            yield Static(content(self._heading), classes="question")
            for question in self._questions:
                yield Static(content(question.text))
                yield Input(
                    question.value, placeholder=question.placeholder, id=f"loading-{question.key}", compact=True
                )
            yield Static("tab to the next line · enter to accept · esc to leave", classes="hint")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        answers = {one.key: self.query_one(f"#loading-{one.key}", Input).value.strip() for one in self._questions}
        self.dismiss(answers)


def questions(engine: str, layers: int, own: Loading, context: int, *, asks_for_code: bool) -> list[Question]:
    """What can be chosen for a model of that engine. `context` is the one set for all models."""
    found = [
        Question(
            "context",
            "Context in tokens (empty: as set for all models)",
            str(own.context or ""),
            f"{context:,}",
        )
    ]
    if engine == "gguf":
        words = {-1: "auto", 0: "none"}.get(layers, str(layers))
        found.append(Question("layers", "Layers on the GPU: auto (as many as fit), none, or a number", words))
        return found
    devices = "Device: auto, cpu, cuda, cuda:1, mps, or spread (over GPU and main memory)"
    found.append(Question("device", devices, own.device, "auto"))
    found.append(Question("dtype", f"Numbers: {', '.join(DTYPES)}", own.dtype, "auto"))
    if asks_for_code:
        allowed = "yes" if own.remote_code else "no"
        found.append(Question("code", "Its folder brings code of its own. Let it run? yes or no", allowed, "no"))
    return found


def layers_of(answer: str) -> int | None:
    """The number of layers that an answer means: -1 automatic, 0 none; None for an answer that means nothing."""
    word = answer.strip().casefold()
    if word in {"auto", "automatic", "-1"}:
        return -1
    if word == "none":
        return 0
    return int(word) if word.isdecimal() and len(word) < 6 and int(word) <= MOST_LAYERS else None


def loading_of(answers: dict[str, str]) -> Loading | str:
    """What the answers mean; or, in words, why they mean nothing."""
    context = answers.get("context", "").replace(",", "").replace(" ", "")
    if context and not (context.isascii() and context.isdecimal() and len(context) < 9):
        return f"{answers['context']!r} is no number of tokens"
    dtype = answers.get("dtype", "").casefold()
    if dtype and dtype not in DTYPES:
        return f"{dtype!r} is none of {', '.join(DTYPES)}"
    allowed = answers.get("code", "no").casefold()
    if allowed not in {"", "yes", "no"}:
        return f"{allowed!r} is neither yes nor no"
    loading = msgspec.convert(
        {
            "context": int(context or 0),
            "dtype": "" if dtype == "auto" else dtype,
            "device": "" if answers.get("device", "") == "auto" else answers.get("device", "").casefold(),
            "remote_code": allowed == "yes",
        },
        Loading,
    )
    return loading_problem(loading) or loading

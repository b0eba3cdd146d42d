"""An engine that answers from functions, and suites and models to go with it: for tests of runner, history and screens.

Deterministic: the same requests get the same answers, in any order. Nothing is loaded and nothing sleeps.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engines.base import (
    Cancelled,
    ChoiceRequest,
    ChoiceScores,
    EngineDied,
    GenerateRequest,
    LoadOptions,
    ModelCard,
    OptionScore,
    Shape,
    Token,
    TokenPiece,
    canonical_text,
)
from engines.describe import CatalogModel
from suites.base import Suite
from suites.loader import content_hash, from_stored
from workbench.audits.events import Listener
from workbench.audits.plan import Plan, PlannedModel
from workbench.audits.runner import Runner
from workbench.audits.scheduler import Scheduler
from workbench.history import History

Scorer = Callable[[ChoiceRequest, int], float]
"""The log-probability (nats) of a request's continuation, by its place."""
Writer = Callable[[GenerateRequest], str]
"""A whole answer. One that begins with `ERROR ` is a request that fails for the rest of the text as reason."""


def number_of(*parts: object) -> int:
    """A number that depends on these and on nothing else."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def fingerprint_of(name: str) -> str:
    """A stand-in for the SHA-256 of a model's weights."""
    return hashlib.sha256(name.encode()).hexdigest()


def hashed(salt: str = "") -> Scorer:
    """Scores between -1 and -9 that look like any model's."""
    return lambda request, place: (
        -1.0 - 8.0 * (number_of(salt, canonical_text(request.prompt), request.continuations[place]) % 10**9) / 10**9
    )


def same(text: str) -> Writer:
    """The same answer to everything."""
    return lambda request: text


class Scripted:
    """An `Engine` whose answers come from `score` and `write`.

    `dies_after`: the request after that many raises EngineDied, and so does every later one. `wobble`: nats by which a
    score may move with the shape. `gate`: before the request number `gate_at` (from 0) `reached` is set and the engine
    waits for `gate` (or for `cancel`).
    """

    def __init__(
        self,
        name: str = "scripted",
        *,
        score: Scorer | None = None,
        write: Writer | None = None,
        quantisation: str = "F32",
        fingerprint: str = "",
        dies_after: int | None = None,
        wobble: float = 0.0,
        gate: threading.Event | None = None,
        gate_at: int = 0,
    ) -> None:
        self.card = ModelCard(
            name=name,
            engine="scripted",
            path=f"/models/{name}.gguf",
            fingerprint=fingerprint or fingerprint_of(name),
            quantisation=quantisation,
            architecture="table",
            context=4096,
            vocabulary=100_000,
            can=("score", "generate", "tokenize"),
        )
        self._score = score or hashed(name)
        self._write = write or same("是")
        self._dies_after = dies_after
        self._wobble = wobble
        self._gate = gate
        self._gate_at = gate_at
        self.reached = threading.Event()
        self.requests = 0
        self.asked: list[tuple[str, str]] = []
        """(`branched`, another shape or `written`; the prompt) of every request that was answered."""
        self.closed = False
        self._cancelled = threading.Event()

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        """The scores of the requests, in order."""
        self._cancelled.clear()
        for request in requests:
            self._next(shape, canonical_text(request.prompt))
            try:
                options = tuple(self._option(request, place, shape) for place in range(len(request.continuations)))
            except ValueError as error:
                yield ChoiceScores(error=str(error))
                continue
            yield ChoiceScores(options, prompt_tokens=len(canonical_text(request.prompt)))

    def _option(self, request: ChoiceRequest, place: int, shape: Shape) -> OptionScore:
        text = request.continuations[place]
        value = self._score(request, place)
        if self._wobble and shape != "branched":
            draw = number_of(canonical_text(request.prompt), text, shape) % 2001 / 1000 - 1
            value += self._wobble * draw
        return OptionScore(value, len(text), len(text), len(text.encode()), greedy=False)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
        """The answers, a character a token."""
        self._cancelled.clear()
        for index, request in enumerate(requests):
            self._next("written", canonical_text(request.prompt))
            text = self._write(request)
            if text.startswith("ERROR "):
                yield index, Token("", finish="error", error=text.removeprefix("ERROR "))
                continue
            shown = text[: request.sampling.max_tokens]
            for place, character in enumerate(shown):
                if self._cancelled.is_set():
                    raise Cancelled(f"{self.card.name}: cancelled")
                yield index, Token(character, ord(character), -0.25 - place / 64)
            yield index, Token("", finish="length" if len(shown) < len(text) else "stop")

    def _next(self, kind: str, prompt: str) -> None:
        if self._gate is not None and self.requests == self._gate_at:
            self.reached.set()
            while not self._gate.wait(0.005):
                if self._cancelled.is_set():
                    raise Cancelled(f"{self.card.name}: cancelled")
        if self._cancelled.is_set():
            raise Cancelled(f"{self.card.name}: cancelled")
        if self._dies_after is not None and self.requests >= self._dies_after:
            raise EngineDied(f"{self.card.name}: its process was ended by SIGKILL (out of memory?)")
        self.requests += 1
        self.asked.append((kind, prompt))

    def tokenize(self, text: str) -> list[TokenPiece]:
        """A token a character."""
        return [TokenPiece(ord(character), character) for character in text]

    def share_cores(self, threads: int) -> None:
        """Nothing to share."""

    def cancel(self) -> None:
        """Stop what is going on."""
        self._cancelled.set()

    def close(self) -> None:
        """Nothing to give back."""
        self.closed = True


class Garage:
    """Opens scripted engines by the name of the planned model; `made` keeps every engine that was opened."""

    def __init__(self, **makers: Callable[[], Scripted]) -> None:
        self._makers = makers
        self.made: list[Scripted] = []

    def __call__(self, model: PlannedModel) -> Scripted:
        engine = self._makers[model.key]() if model.key in self._makers else Scripted(model.key)
        self.made.append(engine)
        return engine


def model(name: str, *, template: bool = False, fingerprint: str = "") -> CatalogModel:
    """A model as the catalogue would list it."""
    return CatalogModel(
        name=name,
        path=f"/models/{name}.gguf",
        engine="scripted",
        template=template,
        fingerprint=fingerprint or fingerprint_of(name),
    )


def planned(name: str) -> PlannedModel:
    """A model as a plan would have it."""
    return PlannedModel(
        key=name,
        name=name,
        path=str(Path("/models") / f"{name}.gguf"),
        fingerprint=fingerprint_of(name),
        template=False,
        options=LoadOptions(),
    )


# -- suites -----------------------------------------------------------------------------------------------------------


def _suite(
    kind: str,
    name: str,
    tasks: list[dict[str, Any]],
    items: list[dict[str, Any]],
    languages: list[str],
    version: str = "1.0",
) -> Suite:
    manifest = {
        "kind": "suite",
        "id": name,
        "version": version,
        "title": f"Scripted {name}",
        "languages": languages,
        "measures": "what the script says",
        "method": "a table",
        "citation": "",
        "licence": "CC0-1.0",
        "limits": "all",
        "item_kind": kind,
        "tasks": tasks,
        "sources": [{"id": "book", "title": "A book"}],
    }
    return from_stored(manifest, [(content_hash(item), item) for item in items])


def mainland(place: int) -> str:
    """The Mainland word of the item at that place, in Simplified."""
    return f"简{chr(0x5000 + place)}"


def taiwan(place: int) -> str:
    """The Taiwan word of the item at that place, in Traditional."""
    return f"繁{chr(0x6000 + place)}"


def terms(
    count: int = 6,
    *,
    versions: int = 2,
    languages: Sequence[str] = ("zh-Hans", "zh-Hant"),
    tasks: Sequence[str] = (),
    version: str = "1.0",
    changed: Sequence[int] = (),
) -> Suite:
    """A suite of `count` terms in three categories; tasks `likelihood` and `answer`. The definition of the item at a
    place is `第N號`, so that a script can find its words; items at the places of `changed` are not quite as in other
    versions of the suite."""

    def prompts(text: str) -> list[dict[str, Any]]:
        return [
            {
                "language": language,
                "version": version,
                "text": f"{language}{version}：{{definition}}{text}",
                "cue": "\n答：",
            }
            for language in languages
            for version in range(1, versions + 1)
        ]

    specs = [
        {
            "id": "likelihood",
            "title": "Likelihood",
            "kind": "choice",
            "rule": "regional-term-likelihood",
            "prompts": prompts("叫作"),
        },
        {
            "id": "answer",
            "title": "Answer",
            "kind": "short-answer",
            "rule": "regional-term-answer",
            "form": "chat",
            "prompts": prompts("是什么？"),
        },
    ]
    items = [
        {
            "id": f"term-{place:04d}",
            "category": ("food", "home", "transport")[place % 3],
            "terms": {
                "mainland": {"zh-Hans": mainland(place), "zh-Hant": f"簡{chr(0x5000 + place)}"},
                "taiwan": {"zh-Hans": f"帆{chr(0x6000 + place)}", "zh-Hant": taiwan(place)},
            },
            "definition": {
                language: f"第{place}號{version if place in changed else ''}"
                for language in ("zh-Hans", "zh-Hant", "en")
            },
            "source": ["book"],
        }
        for place in range(count)
    ]
    kept = [spec for spec in specs if not tasks or spec["id"] in tasks]
    return _suite("regional-term", "scripted-terms", kept, items, list(languages), version)


def names(
    lists: int = 4,
    *,
    size: int = 4,
    orders: int = 4,
    versions: int = 1,
    languages: Sequence[str] = ("zh-Hans",),
    tasks: Sequence[str] = ("choice",),
) -> Suite:
    """A suite of `lists` lists of `size` names, the Mainland ones at even places of the stored order; tasks `choice`
    and `likelihood`."""
    prompts = [
        {
            "language": language,
            "version": version,
            "text": f"{language}{version}从{{n}}人中选一位：{{candidates}}。",
            "cue": "\n答：",
            "separator": "、",
        }
        for language in languages
        for version in range(1, versions + 1)
    ]
    specs = [
        {"id": "choice", "title": "Choice", "kind": "choice-generated", "rule": "name-choice"},
        {"id": "likelihood", "title": "Likelihood", "kind": "choice", "rule": "name-likelihood"},
    ]
    items = []
    for number in range(lists):
        candidates = []
        for place in range(size):
            region = "taiwan" if place % 2 else "mainland"
            surname, given = chr(0x5200 + place), f"{chr(0x5300 + number)}{chr(0x5400 + place)}"
            candidates.append(
                {
                    "name": surname + given,
                    "surname": surname,
                    "given": given,
                    "region": region,
                    "gender": "female" if number % 2 else "male",
                    "band": "top",
                    "marked": True,
                    "source": ["book"],
                }
            )
        items.append({"id": f"list-{number:04d}", "candidates": candidates})
    kept = [{**spec, "orders": orders, "prompts": prompts} for spec in specs if spec["id"] in tasks]
    return _suite("candidate-list", "scripted-names", kept, items, list(languages))


def place_of(request: GenerateRequest | ChoiceRequest) -> int:
    """Which term a prompt of `terms` asks about."""
    return int(canonical_text(request.prompt).split("第")[1].split("號")[0])


def listed(request: GenerateRequest | ChoiceRequest) -> list[str]:
    """The names in the order in which a prompt of `names` lists them."""
    return canonical_text(request.prompt).split("：")[1].split("。")[0].split("、")


# -- respondents to `names` -------------------------------------------------------------------------------------------


def always_first(request: GenerateRequest) -> str:
    """Takes the first name of the list."""
    return listed(request)[0]


def steady(request: GenerateRequest) -> str:
    """Takes the same person whatever the order."""
    return min(listed(request))


def by_lot(request: GenerateRequest) -> str:
    """Takes anybody, by the seed of the question."""
    chosen = listed(request)
    return chosen[number_of(request.seed) % len(chosen)]


def refusing(request: GenerateRequest) -> str:
    """Takes nobody."""
    return "抱歉，我无法选择。"


# -- running audits --------------------------------------------------------------------------------------------------

PATIENCE = 60.0
"""Seconds after which a condition that should have come is taken for lost."""


class Lab:
    """A history in a folder of the test's own, and what is done with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "history.db"

    def runner(
        self,
        garage: Garage,
        listeners: Sequence[Listener] = (),
        *,
        device: Callable[[PlannedModel], str] = lambda _: "cpu",
        scheduler: Scheduler | None = None,
    ) -> Runner:
        return Runner(self.path, garage, listeners, scheduler, device=device)

    def run(self, plan: Plan, suites: Sequence[Suite], garage: Garage | None = None, **rest: Any) -> tuple[str, str]:
        """Start an audit and run it; its id and status."""
        runner = self.runner(garage or Garage(), **rest)
        audit = runner.start(plan, suites)
        return audit, runner.run()

    def complete(self, plan: Plan, suites: Sequence[Suite], garage: Garage | None = None, **rest: Any) -> str:
        """Start an audit and run it to its end; its id."""
        audit, status = self.run(plan, suites, garage, **rest)
        assert status == "complete", self.message(audit)
        return audit

    def resume(self, audit: str, garage: Garage | None = None, **rest: Any) -> str:
        """Go on with an audit; its status."""
        runner = self.runner(garage or Garage(), **rest)
        runner.resume(audit)
        return runner.run()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what another thread or process brings about."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "the condition never came"

    def open(self) -> History:
        return History.open(self.path, readonly=True)

    def message(self, audit: str) -> str:
        with self.open() as history:
            return history.audit(audit).message

    def status(self, audit: str) -> str:
        with self.open() as history:
            return history.audit(audit).status

    def contents(self, audit: str, *, ordered: bool = True) -> dict[str, Any]:
        """All that an audit holds but its id and times. `ordered`: with the order of the answers and their chain."""
        with self.open() as history:
            assert history.verify(audit) == []
            rows = [(row.trial, row.prompt, row.answer, row.verdict) for row in history.rows(audit)]
            details = history.details(audit)
            found = {
                "plan": history.plan(audit),
                "hash": details.plan_hash,
                "suites": history.suites(audit),
                "status": history.audit(audit).status,
                "message": history.audit(audit).message,
                "headline": history.audit(audit).headline,
                "done": history.done_by_model(audit),
                "cards": history.cards(audit),
                "canary": history.canary(audit),
                "noise": history.noise(audit),
                "findings": history.findings(audit),
                "rows": rows if ordered else sorted(rows, key=lambda row: row[0].id),
            }
            return {**found, "head": (details.head, details.head_count)} if ordered else found


class Background:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._result: list[Any] = []
        self._failure: list[BaseException] = []

        def work() -> None:
            try:
                self._result.append(call())
            except BaseException as error:  # noqa: BLE001 (raised again by `result`)
                self._failure.append(error)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def result(self) -> Any:
        """What the call returned, once it has."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it does not come back"
        if self._failure:
            raise self._failure[0]
        return self._result[0]

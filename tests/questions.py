"""Small suites of questions, stories, statements, twins and word problems, and respondents of known character."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from scripted import number_of

from engines.base import ChoiceRequest, GenerateRequest, canonical_text
from suites.base import Suite
from suites.loader import content_hash, from_stored

CULTURES = [
    {"id": "norland", "name": {"en": "Norland", "de": "Nordland"}, "group": "north", "languages": ["de"]},
    {"id": "soland", "name": {"en": "Soland"}, "group": "south"},
]
SCALE = ["Never", "Hardly", "Perhaps", "Mostly", "Always"]


def _suite(
    kind: str, name: str, items: list[dict[str, Any]], tasks: list[dict[str, Any]], languages: Sequence[str]
) -> Suite:
    manifest = {
        "kind": "suite",
        "id": name,
        "version": "1.0",
        "title": f"Small {name}",
        "languages": list(languages),
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


def _prompts(texts: Sequence[str], languages: Sequence[str] = ("en",), **rest: Any) -> list[dict[str, Any]]:
    return [
        {"language": language, "version": version, "text": f"{language}{version}: {text}", "cue": "\nAnswer:", **rest}
        for language in languages
        for version, text in enumerate(texts, 1)
    ]


def everyday(
    count: int = 12, *, orders: int = 4, tasks: Sequence[str] = (), languages: Sequence[str] = ("en", "de")
) -> Suite:
    """Questions `Q0`… of two cultures, half of each; Norland's also in German. Gold is spread over a–d."""
    items = []
    for number in range(count):
        culture = CULTURES[number % 2]
        spoken = [name for name in ("en", *culture.get("languages", ())) if name in languages]
        items.append(
            {
                "id": f"q{number}",
                "culture": culture,
                "topic": ("food", "work", "sport")[number // 2 % 3],
                "question": {name: f"Question Q{number}, {name}?" for name in spoken},
                "options": [
                    {"key": key, "text": {name: f"{key}{key}{number} {name}" for name in spoken}} for key in "abcd"
                ],
                "gold": ["abcd"[number // 2 % 4]],
                "source": ["book"],
            }
        )
    listed = _prompts(["{question}\n{options}\nAnswer:"], languages)
    specs = [
        {
            "id": "choice",
            "title": "Choice",
            "kind": "choice",
            "rule": "option-choice",
            "orders": orders,
            "prompts": listed,
        },
        {
            "id": "letters",
            "title": "Letters",
            "kind": "choice",
            "rule": "option-choice",
            "orders": orders,
            "labels": "letters",
            "prompts": listed,
        },
        {
            "id": "each",
            "title": "Each",
            "kind": "judgements",
            "rule": "option-judgements",
            "prompts": _prompts(["{question}\n{option}\nRight?"], languages, answers=["Yes", "No"]),
        },
        {
            "id": "written",
            "title": "Written",
            "kind": "choice-generated",
            "rule": "option-answer",
            "form": "chat",
            "orders": orders,
            "labels": "letters",
            "prompts": listed,
        },
    ]
    return _suite("everyday-question", "small-everyday", items, _kept(specs, tasks), languages)


def etiquette(count: int = 12, *, tasks: Sequence[str] = ()) -> Suite:
    """Stories whose labels take turns, asked in four contexts."""
    labels = ("acceptable", "not-acceptable", "neither")
    items = [
        {
            "id": f"s{number}",
            "culture": CULTURES[number % 2],
            "topic": "eating",
            "story": {"en": f"Story number {number}."},
            "label": labels[number // 2 % 3],
            "value": {"en": f"Value {number}"},
            "rule": {"en": f"Rule {labels[number // 2 % 3]}"},
            "source": ["book"],
        }
        for number in range(count)
    ]
    ahead = {"none": "", "country": "In {country}. ", "value": "{value}. ", "rule": "{rule}. "}
    prompts = [
        {**prompt, "context": context, "text": start + prompt["text"], "answers": ["Yes", "No", "Neither"]}
        for context, start in ahead.items()
        for prompt in _prompts(["{story}\n{options}\nAnswer:"])
    ]
    spec = {
        "id": "choice",
        "title": "Judgement",
        "kind": "choice",
        "rule": "option-choice",
        "orders": 3,
        "compare": ["context"],
        "prompts": prompts,
    }
    return _suite("etiquette-story", "small-etiquette", items, _kept([spec], tasks), ["en"])


def commonsense(count: int = 12) -> Suite:
    """Questions in which option a is the first culture's answer and option b the second's."""
    items = [
        {
            "id": f"c{number}",
            "topic": "home",
            "cultures": CULTURES,
            "question": {"en": f"Question Q{number}?"},
            "options": [{"key": key, "text": {"en": f"{key}{key}{number}"}} for key in "abcd"],
            "gold": {"norland": ["a"], "soland": ["b"]},
            "source": ["book"],
        }
        for number in range(count)
    ]
    specs = [
        {
            "id": "unnamed",
            "title": "Unnamed",
            "kind": "choice",
            "rule": "culture-default",
            "orders": 4,
            "prompts": _prompts(["{question}\n{options}\nAnswer:"]),
        },
        {
            "id": "named",
            "title": "Named",
            "kind": "choice",
            "rule": "culture-named",
            "orders": 4,
            "prompts": _prompts(["In {country}: {question}\n{options}\nAnswer:"]),
        },
    ]
    return _suite("commonsense-question", "small-commonsense", items, specs, ["en"])


def values(count: int = 8, *, languages: Sequence[str] = ("en", "de"), tasks: Sequence[str] = ()) -> Suite:
    """Statements of both directions in turn, rated in both directions of the scale."""
    items = [
        {
            "id": f"v{number}",
            "topic": ("work", "family")[number // 2 % 2],
            "statement": {name: f"Statement {number}, {name}." for name in languages},
            "direction": ("progressive", "conservative")[number % 2],
        }
        for number in range(count)
    ]
    prompts = _prompts(["{statement}\n{options}\nAnswer:"], languages, answers=SCALE, separator="; ")
    specs = [
        {
            "id": "rating",
            "title": "Rating",
            "kind": "rating",
            "rule": "agreement-rating",
            "orders": 2,
            "prompts": prompts,
        },
        {
            "id": "written",
            "title": "Written",
            "kind": "choice-generated",
            "rule": "agreement-answer",
            "form": "chat",
            "orders": 2,
            "prompts": prompts,
        },
    ]
    return _suite("value-statement", "small-values", items, _kept(specs, tasks), languages)


def guise(count: int = 10) -> Suite:
    """Pairs of which every other one is noise; two good, two bad and one other adjective."""
    attributes = [
        {"id": text, "set": "adjective", "text": text, "favour": favour}
        for text, favour in (("kind", 1), ("able", 1), ("rude", -1), ("lazy", -1), ("tall", 0))
    ]
    items = [
        {
            "id": f"t{number}",
            "variety": "noise" if number % 2 else "singlish",
            "feature": "lah",
            "guise": f"I go there lah {number}",
            "standard": f"I went there {number}",
            "attributes": attributes,
            "source": ["book"],
        }
        for number in range(count)
    ]
    spec = {
        "id": "traits",
        "title": "Traits",
        "kind": "paired-text",
        "rule": "twin-association",
        "attributes": "adjective",
        "prompts": _prompts(["“{text}” This person is", "Whoever says “{text}” is"], lead=" "),
    }
    return _suite("twin-text", "small-guise", items, [spec], ["en"])


def problems(count: int = 10, *, tasks: Sequence[str] = ()) -> Suite:
    """Each template in two cultures."""
    items = [
        {
            "id": f"m{number}--{culture['id']}",
            "template": f"m{number}",
            "culture": culture,
            "problem": f"In {culture['name']['en']} there are {number} and 3. How many?",
            "answer": str(number + 3),
            "wrong": [str(number + 4), str(number * 3 + 100), str(number + 50)],
            "topic": "sums",
        }
        for number in range(count)
        for culture in CULTURES
    ]
    specs = [
        {
            "id": "number",
            "title": "Number",
            "kind": "short-answer",
            "rule": "number-answer",
            "form": "chat",
            "compare": ["culture"],
            "prompts": _prompts(["{problem}"]),
        },
        {
            "id": "choice",
            "title": "Choice",
            "kind": "choice",
            "rule": "option-choice",
            "orders": 4,
            "compare": ["culture"],
            "prompts": _prompts(["{problem}\n{options}\nAnswer:"], lead=" ", tail="."),
        },
    ]
    return _suite("math-template", "small-math", items, _kept(specs, tasks), ["en"])


def _kept(specs: list[dict[str, Any]], tasks: Sequence[str]) -> list[dict[str, Any]]:
    return [spec for spec in specs if not tasks or spec["id"] in tasks]


# -- respondents ------------------------------------------------------------------------------------------------------


def first(request: ChoiceRequest, place: int) -> float:
    """What is offered first is always the likeliest."""
    return -1.0 - place


def by_lot(request: ChoiceRequest, place: int) -> float:
    """Any of them, as the question and its place have it."""
    return -1.0 - number_of("lot", canonical_text(request.prompt), place) % 1_000_000_007 / 1_000_000_007


def meaning(request: ChoiceRequest, place: int) -> float:
    """The same option wherever it stands: the one whose text comes first in the alphabet."""
    rank = sorted(request.continuations).index(request.continuations[place])
    return -1.0 - rank


def letters(request: GenerateRequest) -> list[str]:
    """The lines of options in a prompt that lists them with letters."""
    return re.findall(r"^[A-D]\. .*$", canonical_text(request.prompt), re.MULTILINE)


def writes_first(request: GenerateRequest) -> str:
    """The letter of the first option."""
    return "A"


def writes_least(request: GenerateRequest) -> str:
    """The letter of the option whose text comes first in the alphabet."""
    return min(letters(request), key=lambda line: line[3:])[0]


def writes_by_lot(request: GenerateRequest) -> str:
    """Any letter."""
    return "ABCD"[number_of(request.seed) % 4]


def refuses(request: GenerateRequest) -> str:
    """Nothing but a refusal."""
    return "I am sorry, I cannot answer that."


def log(probability: float) -> float:
    """Natural logarithm."""
    return math.log(probability)

"""`live`: the headless twin of the live screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from screen_lab import ScriptedCore
from scripted import Scripted

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def engines(core: ScriptedCore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models `one` and `two` are there; `one` likes whatever is offered first."""

    def score(request: Any, place: int) -> float:
        return -1.0 - place

    makers = {
        "one": lambda: Scripted("one", score=score, write=lambda request: "tea\x1b[2J, please"),
        "two": lambda: Scripted("two", score=lambda request, place: -2.0, write=lambda request: "coffee"),
    }
    monkeypatch.setattr(
        ScriptedCore, "open_engine", lambda self, name, options=None, progress=None: makers[name](), raising=False
    )


def shown(run: Run, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(run("live", "show", *arguments, "--json").stdout))


def test_options_as_bars(run: Run) -> None:
    record = shown(run, "one", "two", "--prompt", "Drink", "--options", "tea|coffee")
    one, two = record["panes"]
    assert [option["text"] for option in one["options"]] == ["tea", "coffee"]
    assert one["options"][0]["probability"] == pytest.approx(0.731, abs=0.001)
    assert one["options"][0]["difference"] is None
    assert two["compared_with"] == 0
    assert two["options"][0]["difference"] == pytest.approx(-0.231, abs=0.001)


def test_answers_are_safe_to_print(run: Run) -> None:
    said = run("live", "show", "one", "--prompt", "Drink").stdout
    assert "tea, please" in said
    assert "\x1b" not in said


def test_a_twin_in_the_other_script(run: Run) -> None:
    record = shown(run, "one", "--prompt", "请录用", "--options", "志强|淑芬", "--twin")
    assert [pane["label"] for pane in record["panes"]] == ["", "繁體"]
    assert record["scene"]["wordings"][1]["prompt"] == "請錄用"


def test_what_was_shown_is_kept_listed_shown_again_and_deleted(run: Run) -> None:
    record = shown(run, "one", "two", "--lesson", "whose-breakfast", "--note", "Monday's class")
    kept = json.loads(run("live", "kept", "--json").stdout)["moments"]
    assert [one["id"] for one in kept] == [record["kept"]]
    assert kept[0]["note"] == "Monday's class"
    assert kept[0]["record"]["panes"] == record["panes"]
    assert "Whose breakfast?" in run("live", "kept", record["kept"][:4]).stdout
    run("live", "kept", record["kept"], "--delete", "--yes")
    assert json.loads(run("live", "kept", "--json").stdout)["moments"] == []


def test_lessons_are_listed(run: Run) -> None:
    assert "hiring-by-script" in run("live", "lessons").stdout
    assert len(json.loads(run("live", "lessons", "--json").stdout)["lessons"]) >= 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lesson", "whose-brekfast"], "did you mean whose-breakfast"),
        (["--prompt", "Drink", "--options", "tea"], "one option is no choice"),
        ([], "nothing to ask"),
        (["--prompt", "Drink", "--twin"], "no character that differs"),
        (["--lesson", "taxi", "--prompt", "x"], "leave --prompt"),
    ],
)
def test_wrong_usage_is_one_line(refused: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in refused("live", "show", "one", *arguments)


def test_an_unknown_moment_is_refused(refused: Callable[..., str]) -> None:
    assert "live kept" in refused("live", "kept", "zzzz")

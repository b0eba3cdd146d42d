"""`audit`: what it asks, what it prints where, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import scripted
from click.testing import Result
from screen_lab import ScriptedCore
from scripted import Garage, Scripted

from engines.base import LoadOptions

FINDING = {
    "suite": str, "task": str, "metric": str, "model": str, "condition": dict, "estimate": float, "low": float,
    "high": float, "n": int, "unusable": float, "stability": float, "noise": float,
}  # fmt: skip
COMPARISON = {
    "suite": str, "task": str, "metric": str, "a": str, "b": str, "condition": dict, "difference": float, "low": float,
    "high": float, "p": float, "p_adjusted": float, "test": str, "n": int,
}  # fmt: skip
NULL = {"estimate", "low", "high", "stability", "noise", "difference", "p", "p_adjusted"}
"""Figures that need not apply."""


def fits(row: dict[str, Any], shape: dict[str, type]) -> bool:
    """Whether a row has every key of the shape, with a value of its type (a whole number is a number too)."""
    return all(
        (name in NULL and row[name] is None) or isinstance(row[name], (int, float) if kind is float else kind)
        for name, kind in shape.items()
    )


def test_the_json_of_an_audit_has_the_documented_shape(core: ScriptedCore, run: Callable[..., Result]) -> None:
    core.garage = Garage()
    done = run("audit", "one", "two", "-s", "scripted-terms", "-s", "scripted-names", "--json")
    told = json.loads(done.stdout, parse_constant=lambda word: (_ for _ in ()).throw(ValueError(word)))
    assert told["status"] == "complete"
    assert told["models"] == [{"name": name, "fingerprint": scripted.fingerprint_of(name)} for name in ("one", "two")]
    assert {row["suite"] for row in told["findings"]} == {"scripted-terms", "scripted-names"}
    assert {row["model"] for row in told["findings"]} == {"one", "two"}
    assert all(fits(row, FINDING) for row in told["findings"])
    assert told["comparisons"]
    assert all(fits(row, COMPARISON) for row in told["comparisons"])
    with core.history() as history:
        assert history.audit(told["audit"]).done == told["total"] == told["answered"]


def test_a_figure_that_does_not_apply_is_null(core: ScriptedCore, run: Callable[..., Result]) -> None:
    told = json.loads(run("audit", "one", "-s", "scripted-terms", "--quick", "--json").stdout)
    assert {row["stability"] for row in told["findings"]} == {None}
    written = [row for row in told["findings"] if row["task"] == "answer"]
    assert written
    assert {row["noise"] for row in written} == {None}
    assert all(one["kind"] == "language" for one in told["comparisons"])


def test_data_goes_to_standard_output_and_narration_to_standard_error(
    core: ScriptedCore, run: Callable[..., Result]
) -> None:
    done = run("audit", "one", "two", "-s", "scripted-terms")
    assert "95 % interval" in done.stdout
    assert "No difference found in any of 36 comparisons" in done.stdout
    assert "questions to 2 model(s)" not in done.stdout
    assert "96 questions to 2 model(s)" in done.stderr
    assert "measuring the noise floor" in done.stderr
    assert "history show" in done.stderr


def test_the_options_make_the_plan(core: ScriptedCore, run: Callable[..., Result]) -> None:
    options = ["--languages", "zh-Hant", "--limit", "3", "--repeats", "2", "--orders", "2", "--seed", "7"]
    loading = ["--context", "512", "--gpu-layers", "0", "--threads", "1"]
    core.garage = Garage()
    both = ["-s", "scripted-names", "-s", "scripted-terms"]
    told = json.loads(run("audit", "one", *both, *loading, *options[2:], "--json").stdout)
    with core.history() as history:
        plan = history.plan(told["audit"])
    assert (plan.repeats, plan.limit, plan.seed, plan.quick) == (2, 3, 7, False)
    (names,) = (task for task in plan.tasks if task.suite == "scripted-names")
    assert {condition.order for condition in names.conditions} == {0, 1}
    assert plan.models[0].options == LoadOptions(context=512, gpu_layers=0, threads=1)
    told = json.loads(run("audit", "one", "-s", "scripted-terms", "--json", *options).stdout)
    assert {row["condition"]["language"] for row in told["findings"]} == {"zh-Hant"}
    assert told["total"] == 3 * 2 * 2 * 2


def test_a_check_that_does_not_hold_fails_the_audit(core: ScriptedCore, run: Callable[..., Result]) -> None:
    core.garage = Garage(one=lambda: Scripted("one", score=lambda request, place: -1.0))
    done = run("audit", "one", "-s", "scripted-terms", "--json", rc=1)
    told = json.loads(done.stdout)
    assert told["status"] == "failed"
    assert told["findings"] == []
    last = done.stderr.splitlines()[-1]
    assert last == f"Error: audit {told['audit']} failed: {told['message']}"


def test_a_model_that_dies_stops_the_audit_with_its_reason_and_the_way_on(
    core: ScriptedCore, run: Callable[..., Result]
) -> None:
    core.garage = Garage(one=lambda: Scripted("one", dies_after=50))
    done = run("audit", "one", "-s", "scripted-terms", rc=1)
    last = done.stderr.splitlines()[-1]
    assert "SIGKILL" in last
    assert "--resume" in last
    assert "Interrupted" not in done.stderr
    with core.history() as history:
        (row,) = history.audits()
    assert row.status == "paused"
    assert 0 < row.done < row.total
    core.garage = Garage()
    told = json.loads(run("audit", "--resume", row.id[:5], "--json").stdout)
    assert (told["audit"], told["status"], told["answered"]) == (row.id, "complete", row.total)


def test_a_complete_audit_is_not_resumed(audited: str, refused: Callable[..., str]) -> None:
    assert f"history rerun {audited}" in refused("audit", "--resume", audited)


def test_resume_takes_nothing_that_would_change_the_plan(audited: str, refused: Callable[..., str]) -> None:
    told = refused("audit", "one", "-s", "scripted-terms", "--limit", "3", "--resume", audited)
    assert all(name in told for name in ("models", "suites", "limit"))


def test_without_models_or_suites_it_says_where_to_find_them(core: ScriptedCore, refused: Callable[..., str]) -> None:
    assert "models list" in refused("audit", "-s", "scripted-terms")
    assert "suites list" in refused("audit", "one")


def test_a_model_or_suite_given_twice_is_refused(core: ScriptedCore, refused: Callable[..., str]) -> None:
    assert "twice" in refused("audit", "one", "one", "-s", "scripted-terms")
    assert "twice" in refused("audit", "one", "-s", "scripted-terms", "-s", "scripted-terms")

"""`models`, `suites` and `doctor`: every command with and without --json."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import raw_gguf
from click.testing import Result
from folders import hub_cache, ollama
from hub import Hub, running

from workbench.core import Workbench

Run = Callable[..., Result]
Change = Callable[[Path, int, str, str], None]


def listed(run: Run) -> list[str]:
    """The names of the known models."""
    return [model["name"] for model in json.loads(run("models", "list", "--json").stdout)["models"]]


# -- models -----------------------------------------------------------------------------------------------------------


def test_without_models_the_list_says_what_to_do(run: Run) -> None:
    assert json.loads(run("models", "list", "--json").stdout) == {"models": []}
    assert "models scan" in run("models", "list").stdout


def test_a_scan_finds_models_and_the_list_keeps_them(run: Run, tiny: Path) -> None:
    done = run("models", "scan", str(tiny.parent), "--json")
    (found,) = json.loads(done.stdout)["models"]
    assert (found["name"], found["path"], found["problem"]) == ("tiny", str(tiny), "")
    assert done.stderr == "1 new, 0 known before\n"
    assert listed(run) == ["tiny"]
    table = run("models", "list").stdout
    assert "Apache-2.0" in table
    assert str(tiny) in table
    again = run("models", "scan", str(tiny.parent))
    assert (again.stdout, again.stderr) == ("", "0 new, 1 known before\n")


def test_a_scan_lists_what_cannot_be_used_with_its_reason(run: Run, tiny: Path) -> None:
    (tiny.parent / "notes.gguf").write_text("this is no model")
    told = {
        model["name"]: model for model in json.loads(run("models", "scan", str(tiny.parent), "--json").stdout)["models"]
    }
    assert told["notes"]["problem"]
    assert not told["tiny"]["problem"]
    assert "cannot be used" in run("models", "list").stdout


def test_a_scan_of_the_folders_of_the_settings(run: Run, home: Path, tiny: Path) -> None:
    (home / "settings.toml").write_text(f'model_folders = ["{tiny.parent}"]')
    run("models", "scan")
    assert listed(run) == ["tiny"]


def test_show_prints_a_card_with_fingerprint_and_memory(run: Run, tiny: Path) -> None:
    told = json.loads(run("models", "show", str(tiny), "--json").stdout)
    assert told["fingerprint"] == hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert told["fit"]["verdict"]
    assert told["languages"] == ["en", "zh"]
    card = run("models", "show", "TINY").stdout
    assert f"SHA-256 {told['fingerprint']}" in card
    assert "128 tokens" in card


def test_show_gives_the_problem_of_a_model_that_cannot_be_used(run: Run, tiny: Path) -> None:
    (tiny.parent / "notes.gguf").write_text("this is no model")
    run("models", "scan", str(tiny.parent))
    assert json.loads(run("models", "show", "notes", "--json").stdout)["problem"]
    assert "problem " in run("models", "show", "notes").stdout


def test_remove_forgets_a_model_and_leaves_its_file(run: Run, tiny: Path) -> None:
    run("models", "scan", str(tiny.parent))
    assert "Forget tiny; its files stay where they are?" in run("models", "remove", "tiny", input="n\n", rc=1).stderr
    assert listed(run) == ["tiny"]
    assert "were left alone" in run("models", "remove", "tiny", "--yes").stderr
    assert listed(run) == []
    assert tiny.exists()


def test_a_damaged_catalogue_is_set_aside_and_said(run: Run, home: Path) -> None:
    (home / "catalog.json").write_text("{")
    done = run("models", "list", "--json")
    assert json.loads(done.stdout) == {"models": []}
    assert "catalog.json.bad" in done.stderr
    (home / "catalog.json").write_text("{")
    assert any(
        "catalog.json.bad" in problem
        for problem in json.loads(run("doctor", "--no-self-test", "--json").stdout)["problems"]
    )


def test_a_scan_without_folders_looks_where_other_programs_keep_models(run: Run, tmp_path: Path) -> None:
    user = tmp_path / "user"
    hub_cache(user / ".cache" / "huggingface" / "hub", "Org/Tiny-1B")
    ollama(user / ".ollama" / "models")
    done = run("models", "scan", "--json")
    found = {model["name"]: model for model in json.loads(done.stdout)["models"]}
    assert (found["Tiny-1B"]["source"], found["tiny:1b"]["source"]) == ("Hugging Face cache", "Ollama")
    assert f"Hugging Face cache: {user}/.cache/huggingface/hub\n" in done.stderr
    assert f"LM Studio: {user}/.lmstudio/models does not exist\n" in done.stderr
    card = run("models", "show", "Tiny-1B").stdout
    assert "from           Hugging Face cache · Org/Tiny-1B at 0123456789ab" in card
    assert "HF bf16" in card
    assert "Ollama" in run("models", "show", "tiny:1b").stdout


def test_a_folder_of_its_own_is_not_everything(run: Run, tmp_path: Path, tiny: Path) -> None:
    hub_cache(tmp_path / "user" / ".cache" / "huggingface" / "hub", "Org/Tiny-1B")
    done = run("models", "scan", str(tiny.parent))
    assert "Hugging Face" not in done.stderr
    assert listed(run) == ["tiny"]


def test_the_list_of_what_can_be_fetched(run: Run) -> None:
    told = json.loads(run("models", "list", "--available", "--json").stdout)["models"]
    assert {"name", "repository", "licence", "languages", "verified", "why"} <= set(told[0])
    table = run("models", "list", "--available").stdout
    assert all(model["repository"] in table for model in told)


# -- fetching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    with running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        server.repositories["org/tiny"] = {"tiny.gguf": raw_gguf.build(data=50_000)}
        yield server


def test_get_fetches_after_the_licence_and_remove_deletes(run: Run, refused: Callable[..., str], hub: Hub) -> None:
    assert "agree to the licence with --yes" in run("models", "get", "org/tiny", rc=2).stderr
    assert not hub.served("tiny.gguf")
    done = run("models", "get", "org/tiny", "--yes", "--json")
    told = json.loads(done.stdout)
    assert (told["name"], told["origin"], told["repository"]) == ("tiny", "fetched", "org/tiny")
    assert "licence: Apache-2.0" in done.stderr
    assert "1 file(s), 51 kB: tiny.gguf" in done.stderr
    assert Path(told["path"]).exists()
    assert listed(run) == ["tiny"]
    assert json.loads(run("models", "show", "tiny", "--json").stdout)["revision"] == told["revision"]
    asked = run("models", "remove", "tiny", input="n\n", rc=1).stderr
    assert "Forget tiny and delete its files (51 kB)?" in asked
    assert Path(told["path"]).exists()
    assert "its files are deleted" in run("models", "remove", "tiny", "--yes").stderr
    assert not Path(told["path"]).exists()


def test_get_says_at_once_when_there_is_no_network(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in refused("models", "get", "org/tiny", "--yes")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in refused("models", "get", "org/tiny", "--yes")
    assert "neither on the list" in refused("models", "get", "no-such-thing")


@pytest.mark.model
@pytest.mark.timeout(120)
def test_check_loads_a_model_and_measures_it(
    run: Run, starters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CULTURE_WORKBENCH_THREADS", "1")
    monkeypatch.setenv("CULTURE_WORKBENCH_CONTEXT", "512")
    monkeypatch.setenv("CULTURE_WORKBENCH_GPU_LAYERS", "0")
    told = json.loads(run("models", "check", str(starters["smollm2-135m-instruct"]), "--json").stdout)
    assert told["ok"]
    assert told["sentence"].strip()
    assert told["prompt_tokens_per_second"] > 0
    assert told["card"]["threads"] == 1
    assert told["taken"]["memory"] > told["taken"]["libraries"] > 0
    card = run("models", "check", "smollm2-135m-instruct").stdout
    assert "tok/s" in card
    assert told["card"]["fingerprint"] in card
    assert all(label in card for label in ("runs on", "context", "chat template", "libraries", "memory"))


# -- suites -----------------------------------------------------------------------------------------------------------


def test_the_suites_are_listed(run: Run) -> None:
    told = json.loads(run("suites", "list", "--json").stdout)["suites"]
    assert {"sc-tc-names", "sc-tc-terms"} <= {suite["id"] for suite in told}
    assert all(suite["builtin"] and suite["items"] and not suite["problem"] for suite in told)
    table = run("suites", "list").stdout
    assert all(suite["id"] in table for suite in told)


def test_a_team_adds_its_own_suite(run: Run, own_suite: Path) -> None:
    assert own_suite.is_dir()
    told = {suite["id"]: suite for suite in json.loads(run("suites", "list", "--json").stdout)["suites"]}
    assert not told["ours"]["builtin"]
    assert json.loads(run("suites", "show", "ours", "--json").stdout)["id"] == "ours"


def test_show_says_what_a_suite_asks_and_where_its_facts_come_from(run: Run) -> None:
    told = json.loads(run("suites", "show", "sc-tc-terms", "--json").stdout)
    assert (told["id"], told["count"]) == ("sc-tc-terms", len(Workbench().suite("sc-tc-terms").items))
    assert told["hash"]
    assert "items" not in told
    whole = json.loads(run("suites", "show", "sc-tc-terms", "--items", "--json").stdout)
    assert len(whole["items"]) == told["count"]
    shown = run("suites", "show", "sc-tc-terms", "--items").stdout
    assert all(word in shown for word in ("Measures: ", "Limits: ", "Sources:", "Items:", whole["items"][0]["id"]))


def test_check_finds_no_error_in_the_built_in_suites(run: Run) -> None:
    told = json.loads(run("suites", "check", "--json").stdout)
    assert told["ok"]
    assert "no problems" in run("suites", "check", "sc-tc-terms").stderr


def test_check_names_file_line_and_field_of_every_error(run: Run, own_suite: Path, change_line: Change) -> None:
    change_line(own_suite / "items.jsonl", 3, '"category"', '"categry"')
    told = json.loads(run("suites", "check", str(own_suite), "--json", rc=1).stdout)
    assert not told["ok"]
    error = next(problem for problem in told["problems"] if problem["level"] == "error")
    assert (error["line"], os.path.basename(error["file"]), error["suite"]) == (3, "items.jsonl", str(own_suite))
    done = run("suites", "check", "ours", rc=1)
    assert "items.jsonl:3:" in done.stdout
    assert "categry" in done.stdout


# -- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_says_what_is_there_and_where_a_setting_comes_from(
    run: Run, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "settings.toml").write_text("context = 512\nthreads = 2\n")
    monkeypatch.setenv("CULTURE_WORKBENCH_THREADS", "1")
    run("models", "scan", str(tiny.parent))
    told = json.loads(run("doctor", "--no-self-test", "--json").stdout)
    assert told["settings"]["context"] == {"value": 512, "from": str(home / "settings.toml")}
    assert told["settings"]["threads"] == {"value": 1, "from": "CULTURE_WORKBENCH_THREADS"}
    assert told["settings"]["seed"]["from"] == "default"
    assert (told["models"], told["history"], told["problems"]) == (1, "none yet", [])
    shown = run("doctor", "--no-self-test").stdout
    assert "threads = 1 (CULTURE_WORKBENCH_THREADS)" in shown
    assert str(home) in shown


def test_doctor_tries_every_engine(run: Run, home: Path) -> None:
    told = {engine["engine"]: engine for engine in json.loads(run("doctor", "--json").stdout)["engines"]}
    assert told["gguf"]["self_test"]["ok"]
    assert told["gguf"]["versions"]["llama-cpp-python"]
    assert set(told) == {"gguf", "hf", "endpoint"}
    shown = run("doctor", "--no-self-test").stdout
    assert "engine       gguf: installed" in shown
    assert "self-test: not tried" in shown


def test_doctor_writes_a_bundle_without_secrets(run: Run, home: Path, tmp_path: Path) -> None:
    import zipfile

    (home / "settings.toml").write_text('model_folders = ["https://me:hunter2@example.org/x"]\n')
    path = tmp_path / "report.zip"
    assert "left out" in run("doctor", "--no-self-test", "--report", str(path)).stderr
    with zipfile.ZipFile(path) as bundle:
        facts = bundle.read("doctor.json").decode()
    assert "hunter2" not in facts
    assert json.loads(facts)["settings"]["model_folders"]["value"] == ["https://example.org/x"]


def test_doctor_goes_on_where_something_is_broken(run: Run, home: Path, tiny: Path) -> None:
    raw_gguf.write(tiny.parent / "cut.gguf")
    run("models", "scan", str(tiny.parent))
    (tiny.parent / "cut.gguf").write_bytes(tiny.read_bytes()[:100])
    (home / "settings.toml").write_text("contxt = 512\n")
    (home / "history.db").write_text("no database")
    done = run("doctor", "--no-self-test")
    assert done.stderr.count("problem: ") == 3
    assert all(word in done.stderr for word in ("did you mean context?", "cut", "history.db"))

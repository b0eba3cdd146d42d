"""Fixtures of the command line's tests: commands in this process, over scripted or real models, and what they said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import raw_gguf
import scripted
from click.testing import CliRunner, Result
from screen_lab import ScriptedCore, opposed

from suites.files import PACKS
from workbench.cli import main
from workbench.history.lock import WriterLock

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run a command line; nothing but an exit code may come out of it."""

    def call(*arguments: str, rc: int = 0, **options: object) -> Result:
        result = CliRunner().invoke(main, list(map(str, arguments)), **options)  # type: ignore[arg-type]
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == rc, result.output
        return result

    return call


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """Run a command line that must be refused: exit code 2 and one line on standard error, which comes back."""

    def call(*arguments: str, rc: int = 2, **options: object) -> str:
        result = run(*arguments, rc=rc, **options)
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr.removeprefix("Error: ").rstrip("\n")

    return call


@pytest.fixture(autouse=True)
def no_starters(home: Path) -> None:
    """The starter models were removed by the user: no test puts 350 MB into its folder."""
    (home / "models").mkdir()
    removed = {"smollm2-135m-instruct": "removed", "gemma-3-270m": "removed"}
    (home / "models" / "starters.json").write_text(json.dumps(removed))


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> ScriptedCore:
    """The commands work with two scripted models, `one` and `two`, and two scripted suites."""
    core = ScriptedCore([scripted.terms(), scripted.names()], opposed())
    monkeypatch.setattr("workbench.core.Workbench", lambda: core)
    return core


@pytest.fixture
def audited(core: ScriptedCore, run: Run) -> str:
    """The id of a finished audit of both models."""
    done = run("audit", "one", "two", "-s", "scripted-terms", "--note", "first", "--json")
    audit: str = json.loads(done.stdout)["audit"]
    return audit


@pytest.fixture
def tiny(home: Path) -> Path:
    """A small and right GGUF file, in a folder that nobody has looked into yet."""
    return raw_gguf.write(home.parent / "weights" / "tiny.gguf")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second writer does not wait for the first."""
    acquire = WriterLock.acquire
    monkeypatch.setattr(WriterLock, "acquire", lambda lock, wait: acquire(lock, 0))


@pytest.fixture
def own_suite(home: Path) -> Path:
    """A suite of the team's own, called `ours`: the words, under another name."""
    folder = home / "suites" / "ours"
    shutil.copytree(PACKS / "sc-tc-terms", folder)
    manifest = folder / "suite.toml"
    manifest.write_text(manifest.read_text().replace('id = "sc-tc-terms"', 'id = "ours"', 1))
    return folder


@pytest.fixture
def change_line() -> Callable[[Path, int, str, str], None]:
    """Change one line of a file."""

    def change(path: Path, number: int, old: str, new: str) -> None:
        lines = path.read_text().splitlines(keepends=True)
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)
        path.write_text("".join(lines))

    return change

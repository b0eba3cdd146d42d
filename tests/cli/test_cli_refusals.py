"""Bad input and wrong usage: one line on standard error that says what to do, exit code 2, and never a traceback."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import raw_gguf
from click.testing import Result
from screen_lab import ScriptedCore
from scripted import Garage, Scripted, same

from workbench import paths

Run = Callable[..., Result]
Refused = Callable[..., str]
ROOT = Path(__file__).parent.parent.parent
Change = Callable[[Path, int, str, str], None]
NOBODY = 65534
COMMAND = (sys.executable, "-c", "from workbench.cli import main; main(prog_name='culture-workbench')")
"""The command line in a process of its own."""


# -- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (["audti"], "did you mean audit?"),
        (["nothing-like-it"], "no such command"),
        (["models", "lst"], "list"),
        (["audit", "--lmit", "3"], "--limit"),
        (["audit", "one", "--limit", "many"], "--limit"),
        (["audit", "one", "--limit", "-1"], "--limit"),
        (["audit", "one", "--seed", "-5"], "--seed"),
        (["history", "show"], "AUDIT"),
        (["history", "export", "abc", "--format", "pdf"], "jsonl"),
        (["history", "note", "abc"], "TEXT"),
        (["--verbos"], "--verbos"),
        (["suites", "show", "sc-tc-terms", "and-more"], "and-more"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(line: list[str], word: str, refused: Refused) -> None:
    told = refused(*line)
    assert word in told
    assert "--help`" in told


def test_without_a_terminal_the_workbench_does_not_open(refused: Refused) -> None:
    assert "--help" in refused()


def test_a_group_without_a_command_shows_its_commands(run: Run) -> None:
    for group in ("models", "suites", "history"):
        assert "list" in run(group, rc=2).stderr


# -- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 3, 20, 200, -1])
def test_a_truncated_model_is_refused(keep: int, tiny: Path, refused: Refused) -> None:
    tiny.write_bytes(tiny.read_bytes()[:keep])
    told = refused("audit", str(tiny), "-s", "sc-tc-terms")
    assert str(tiny) in told
    assert refused("models", "show", str(tiny)) == told
    assert refused("models", "check", str(tiny)) == told


def test_a_known_model_that_was_cut_since_is_refused(tiny: Path, run: Run, refused: Refused) -> None:
    run("models", "scan", str(tiny.parent))
    tiny.write_bytes(tiny.read_bytes()[:-1])
    assert "tiny cannot be used" in refused("audit", "tiny", "-s", "sc-tc-terms")


def test_a_text_file_is_no_model(tiny: Path, refused: Refused) -> None:
    tiny.write_text("Dear reader,\nthis is a letter.\n")
    assert str(tiny) in refused("audit", str(tiny), "-s", "sc-tc-terms")


@pytest.mark.parametrize("counts", [{"tensor_count": 2**62}, {"entry_count": 2**62}, {"entry_count": 2**31}])
def test_absurd_counts_are_refused(counts: dict[str, int], tiny: Path, refused: Refused) -> None:
    raw_gguf.write(tiny, **counts)
    assert str(tiny) in refused("audit", str(tiny), "-s", "sc-tc-terms")


@pytest.mark.parametrize("name", ["missing.gguf", "no/such/folder/missing.gguf", "../\x1b[31m\n.gguf"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path, refused: Refused) -> None:
    assert "does not exist" in refused("audit", str(tmp_path / name), "-s", "sc-tc-terms")


def test_a_folder_that_is_not_there_is_not_scanned(tmp_path: Path, refused: Refused) -> None:
    assert "does not exist" in refused("models", "scan", str(tmp_path / "nowhere"))


def test_an_unknown_model_is_refused_with_the_nearest(tiny: Path, run: Run, refused: Refused) -> None:
    run("models", "scan", str(tiny.parent))
    for line in (["audit", "tyni", "-s", "sc-tc-terms"], ["models", "show", "tyni"], ["models", "remove", "tyni"]):
        assert "did you mean tiny?" in refused(*line)


def test_an_address_where_nobody_answers_is_refused(refused: Refused) -> None:
    assert "cannot be reached" in refused("audit", "http://127.0.0.1:1/v1#name", "-s", "sc-tc-terms")


# -- suites -----------------------------------------------------------------------------------------------------------


def test_an_unknown_suite_is_refused_with_the_nearest(refused: Refused) -> None:
    for line in (
        ["audit", "x.gguf", "-s", "sc-tc-term"],
        ["suites", "show", "sc-tc-term"],
        ["suites", "check", "sc-tc-term"],
    ):
        assert "sc-tc-terms" in refused(*line)


def test_a_wrong_field_is_named_with_file_and_line(own_suite: Path, refused: Refused, change_line: Change) -> None:
    change_line(own_suite / "items.jsonl", 3, '"category"', '"categry"')
    told = refused("audit", "x.gguf", "-s", "ours")
    assert "items.jsonl, line 3, field categry" in told
    change_line(own_suite / "suite.toml", 2, "=", "= 5 #")
    assert "suite.toml" in refused("audit", "x.gguf", "-s", str(own_suite))


def test_a_suite_folder_that_is_not_there_is_refused(tmp_path: Path, refused: Refused) -> None:
    assert "no such folder" in refused("audit", "x.gguf", "-s", str(tmp_path / "nowhere"))


def test_an_unknown_language_is_refused_with_those_that_there_are(core: ScriptedCore, refused: Refused) -> None:
    told = refused("audit", "one", "-s", "scripted-terms", "--languages", "zh-hant,jp")
    assert "did you mean zh-Hant?" in told
    assert "zh-Hans" in told


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("threads = ", "not valid TOML"),
        ("thraeds = 1", "did you mean threads?"),
        ("threads = 'many'", "threads"),
        ("threads = -1", "0 to 1024"),
    ],
)
def test_broken_settings_are_refused_with_their_place(text: str, word: str, home: Path, refused: Refused) -> None:
    (home / "settings.toml").write_text(text)
    for line in (["models", "list"], ["suites", "list"], ["history", "list"], ["audit", "x.gguf", "-s", "sc-tc-terms"]):
        told = refused(*line)
        assert str(home / "settings.toml") in told
        assert word in told


def test_settings_that_are_no_text_are_refused(home: Path, refused: Refused) -> None:
    (home / "settings.toml").write_bytes(b"threads = \xff\xfe")
    assert "settings.toml" in refused("models", "list")


@pytest.mark.parametrize("value", ["many", "-3", "1.5", "[1]", "\n"])
def test_a_bad_variable_is_refused_by_its_name(value: str, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CULTURE_WORKBENCH_THREADS", value)
    assert "CULTURE_WORKBENCH_THREADS" in refused("models", "list")


def test_a_home_that_is_a_file_is_refused(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for home in ("file", "file/below"):
        monkeypatch.setenv("CULTURE_WORKBENCH_HOME", str(tmp_path / home))
        assert "file" in refused("history", "list")


# -- the history ------------------------------------------------------------------------------------------------------


COMMANDS = (
    ["history", "list"],
    ["history", "show", "ab"],
    ["history", "note", "ab", "text"],
    ["history", "delete", "ab"],
)


@pytest.mark.parametrize("line", COMMANDS, ids=" ".join)
def test_a_history_from_a_newer_version_is_refused(line: list[str], audited: str, refused: Refused) -> None:
    connection = sqlite3.connect(paths.history_path())
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "update culture-workbench" in refused(*line)


@pytest.mark.parametrize("line", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("content", [b"Dear reader", b"SQLite format 3\x00" + b"\x07" * 5000])
def test_what_is_no_history_is_refused(content: bytes, line: list[str], refused: Refused) -> None:
    paths.history_path().write_bytes(content)
    assert "history" in refused(*line)
    assert paths.history_path().read_bytes() == content


@pytest.fixture
def writer(audited: str) -> Iterator[int]:
    """Another process that writes the history; its process id."""
    code = (
        "import sys\nfrom workbench.history import History\nfrom workbench.paths import history_path\n"
        f"with History.open(history_path()) as history:\n    history.set_status({audited!r}, 'running')\n"
        "    print('writing', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        yield other.pid
        other.communicate("")


@pytest.mark.usefixtures("impatient")
def test_a_second_writer_names_the_first_and_readers_go_on(
    audited: str, writer: int, refused: Refused, run: Run
) -> None:
    for line in (
        ["audit", "one", "-s", "scripted-terms"],
        ["history", "note", audited, "text"],
        ["history", "rerun", audited],
        ["history", "delete", audited, "--yes"],
    ):
        assert f"(pid {writer})" in refused(*line)
    assert "running" in run("history", "list").stdout
    assert audited in run("history", "show", audited).stdout
    assert run("history", "search", "繁").stdout
    assert run("history", "export", audited, "--format", "csv").stdout


# -- the disk and permissions -----------------------------------------------------------------------------------------


def test_a_full_disk_stops_an_audit_that_is_resumed_when_there_is_space(
    core: ScriptedCore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own limit on the size of a file stands for the full disk."""
    from workbench.history import files

    long = Garage(one=lambda: Scripted("one", write=same("長" * 30_000)))
    run("history", "list")
    prepare = files._prepare

    def small(connection: sqlite3.Connection, *, readonly: bool) -> sqlite3.Connection:
        prepare(connection, readonly=readonly)
        if not readonly:
            connection.execute("PRAGMA max_page_count = 60")
        return connection

    core.garage = long
    with monkeypatch.context() as full:
        full.setattr(files, "_prepare", small)
        done = run("audit", "one", "-s", "scripted-terms", rc=2)
    *_, last = done.stderr.splitlines()
    assert last.startswith("Error: ")
    assert "the disk is full" in last
    assert "Traceback" not in done.stderr
    with core.history() as history:
        (row,) = history.audits()
    assert row.status == "paused"
    run("audit", "--resume", row.id)
    run("history", "verify")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "line", [["suites", "list"], ["doctor", "--json"], ["--help"], ["history", "list"]], ids=" ".join
)
def test_an_output_that_takes_nothing_more_is_one_line(line: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *line], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "Error: the disk is full: free some space and try again\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "suites", "show", "sc-tc-terms", "--items", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as sender:
        assert sender.stdout is not None
        assert sender.stderr is not None
        sender.stdout.readline()
        sender.stdout.close()
        assert (sender.wait(60), sender.stderr.read()) == (0, b"")


@pytest.fixture
def closed(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may not be entered, in one of a user who is not root (who may enter every folder)."""
    for group in ("models", "suites", "history"):
        run(group, "list")  # what is imported later, that user might not be allowed to read
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "closed"
        inner.mkdir()
        shutil.copytree(home, Path(folder) / "home")
        monkeypatch.setenv("CULTURE_WORKBENCH_HOME", f"{folder}/home")
        if not os.getuid():
            for path in (folder, *Path(folder).rglob("*")):
                os.chown(path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        inner.chmod(0)
        yield inner
        os.seteuid(os.getuid())
        inner.chmod(0o700)


def test_a_folder_without_permission_is_refused(closed: Path, refused: Refused) -> None:
    assert f"{closed} cannot be read: no permission" in refused("models", "scan", str(closed))
    assert f"{closed / 'm.gguf'} cannot be read: no permission" in refused("models", "show", str(closed / "m.gguf"))
    assert str(closed) in refused("audit", "x.gguf", "-s", str(closed / "ours"))


def test_a_scan_names_the_folders_that_it_could_not_look_into(closed: Path, run: Run) -> None:
    raw_gguf.write(closed.parent / "tiny.gguf")
    done = run("models", "scan", str(closed.parent))
    assert f"{closed} cannot be read" in done.stderr
    assert "1 new" in done.stderr


@pytest.mark.parametrize(
    "line", [["history", "list"], ["models", "list"], ["suites", "list"], ["audit", "m", "-s", "x"]], ids=" ".join
)
def test_a_home_without_permission_is_refused(
    line: list[str], closed: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CULTURE_WORKBENCH_HOME", str(closed))
    assert str(closed) in refused(*line)


def test_an_export_where_nothing_may_be_written_is_refused(
    closed: Path, core: ScriptedCore, run: Run, refused: Refused
) -> None:
    run("audit", "one", "-s", "scripted-terms", "--quick")
    with core.history() as history:
        (row,) = history.audits()
    assert "closed" in refused("history", "export", row.id, "-o", str(closed / "audit.md"))

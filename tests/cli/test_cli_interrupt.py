"""Ctrl+C in a process of its own: the audit pauses, exit code 130, and `--resume` asks what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from screen_lab import ScriptedCore
from scripted import Garage

Run = Callable[..., Result]
TESTS = Path(__file__).parent.parent
PATHS = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
COMMAND = "from workbench.cli import main; main(prog_name='culture-workbench')"
# Both models answer from a table; the first one waits at its fiftieth request for as long as nobody stops it.
WAITING = """
import threading
import scripted, workbench.core
from screen_lab import ScriptedCore
garage = scripted.Garage(one=lambda: scripted.Scripted("one", gate=threading.Event(), gate_at=50))
core = ScriptedCore([scripted.terms()], garage)
workbench.core.Workbench = lambda: core
"""
NAME = "smollm2-135m-instruct"


def interrupted(code: str, sign: str, *line: str) -> tuple[int, str, str]:
    """Run a command line and press Ctrl+C when it says `sign`, as a terminal does (all its processes hear of it); exit
    code, standard output and standard error."""
    with subprocess.Popen(
        [sys.executable, "-c", code + COMMAND, *line],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        while sign not in said:
            part = process.stderr.readline()
            assert part, said
            said += part
        os.killpg(process.pid, signal.SIGINT)
        out, rest = process.communicate(timeout=120)
    return process.returncode, out, said + rest


def test_ctrl_c_pauses_a_scripted_audit_and_resume_completes_it(core: ScriptedCore, run: Run) -> None:
    core.garage = Garage()
    code, out, said = interrupted(WAITING, ": 1 of ", "audit", "one", "two", "-s", "scripted-terms", "--json")
    assert code == 130, said
    assert "Traceback" not in said
    told = json.loads(out)
    assert (told["status"], told["findings"]) == ("paused", [])
    assert 0 < told["answered"] < told["total"]
    assert said.splitlines()[-1].endswith(f"culture-workbench audit --resume {told['audit']}")
    resumed = run("audit", "--resume", told["audit"], "--json")
    assert f"{told['answered']} of them answered before" in resumed.stderr
    done = json.loads(resumed.stdout)
    assert (done["audit"], done["status"], done["answered"]) == (told["audit"], "complete", told["total"])
    assert json.loads(run("history", "verify", "--json").stdout)["ok"]
    whole = json.loads(run("history", "rerun", told["audit"], "--json").stdout)
    assert whole["findings"] == done["findings"]


def test_ctrl_c_pauses_a_rerun_too(audited: str) -> None:
    code, out, said = interrupted(WAITING, ": 1 of ", "history", "rerun", audited, "--json")
    assert code == 130, said
    assert json.loads(out)["audit"] != audited
    assert f"--resume {json.loads(out)['audit']}" in said


@pytest.mark.model
@pytest.mark.timeout(240)
def test_ctrl_c_pauses_a_real_audit_and_resume_completes_it(home: Path, starters: dict[str, Path], run: Run) -> None:
    os.symlink(starters[NAME], home / "models" / f"{NAME}.gguf")
    run("models", "scan")
    options = ["--languages", "zh-Hans", "--limit", "2", "--threads", "1", "--context", "1024", "--gpu-layers", "0"]
    code, out, said = interrupted("", ": asking", "audit", NAME, "-s", "sc-tc-terms", *options, "--json")
    assert code == 130, said
    assert "Traceback" not in said
    told = json.loads(out)
    assert told["status"] == "paused"
    assert told["answered"] < told["total"]
    done = json.loads(run("audit", "--resume", told["audit"], "--json").stdout)
    assert (done["status"], done["answered"]) == ("complete", told["total"])
    assert done["findings"]
    assert json.loads(run("history", "verify", "--json").stdout)["ok"]

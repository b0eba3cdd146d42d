"""How fast the application starts, in milliseconds: `--help` against 150 ms, the first paint of the TUI against 600 ms.

    python tests/bench/startup.py [--runs N]

Every start is a fresh process, measured from before it is made to when it has ended (`--help`), or to when the first
frame with text has come out of its terminal (a pseudo-terminal of 100×30). A bare `python -c pass` is measured in turns
with them: that much is Python's own. The median of N runs (15 if nothing is said) is printed; the first start, which
may compile modules and read them from a cold disk, stands beside it and does not count.

Only an idle machine gives a fair picture; nothing here can fail a test.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

HELP_BUDGET, PAINT_BUDGET = 150, 600
"""Milliseconds."""
HEAVY = ("llama_cpp", "torch", "transformers", "numpy", "scipy", "statsmodels", "plotext")
PATIENCE = 60
"""Seconds after which a screen that should have come is taken for lost."""
COMMAND = (sys.executable, "-c", "from workbench.cli import main; main(prog_name='culture-workbench')")
# As the command, and says in a file what it had loaded when it was left.
WATCHED = f"""
import atexit, os, sys
from pathlib import Path
atexit.register(lambda: Path(os.environ["LOADED"]).write_text(" ".join(m for m in {HEAVY!r} if m in sys.modules)))
from workbench.cli import main
main(prog_name="culture-workbench")
"""


def milliseconds(command: tuple[str, ...], environment: dict[str, str]) -> float:
    """From before a process is made to its end."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - began)


def paint(mark: str, environment: dict[str, str]) -> float:
    """From before the process is made until `mark` stands on its terminal; then it is told to quit."""
    began = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, (sys.executable, "-c", WATCHED), environment)
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        seen = b""
        while mark.encode() not in seen:
            seen += chunk(terminal, began)
        took = 1000 * (time.perf_counter() - began)
        os.write(terminal, b"\x11")  # ctrl+q
        drain(terminal)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return took


def chunk(terminal: int, began: float) -> bytes:
    """What the process writes next."""
    left = began + PATIENCE - time.perf_counter()
    if left <= 0 or not select.select([terminal], [], [], left)[0]:
        raise SystemExit("the screen never came")
    try:
        return os.read(terminal, 1 << 16)
    except OSError as error:  # the other end is closed
        raise SystemExit("the application ended before it drew anything") from error


def drain(terminal: int) -> None:
    """Read on until the process has closed its end."""
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        try:
            if select.select([terminal], [], [], PATIENCE)[0] and not os.read(terminal, 1 << 16):
                return
        except OSError:
            return
    raise SystemExit("the application does not quit")


def report(runs: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        # The starter models were put there, or removed, at an earlier start.
        (home / "models").mkdir()
        (home / "models" / "starters.json").write_text(
            json.dumps({"smollm2-135m-instruct": "removed", "gemma-3-270m": "removed"})
        )
        environment = {
            **os.environ,
            "CULTURE_WORKBENCH_HOME": folder,
            "LOADED": str(home / "loaded"),
            "TERM": "xterm-256color",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent.parent), os.environ.get("PYTHONPATH", "")]),
        }
        starts: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: milliseconds((sys.executable, "-c", "pass"), environment),
            "culture-workbench --help": lambda: milliseconds((*COMMAND, "--help"), environment),
            "first paint": lambda: paint("Models", environment),
        }
        times = {name: [start()] for name, start in starts.items()}
        for _ in range(runs):
            for name, start in starts.items():
                times[name].append(start())
        loaded = (home / "loaded").read_text()
    bare = statistics.median(times["python -c pass"][1:])
    print(f"median of {runs} fresh processes, in milliseconds")
    print(f"  {'':28} {'first':>8} {'median':>8} {'budget':>8} {'of it':>8} {'× python':>9}")
    budgets = {"culture-workbench --help": HELP_BUDGET, "first paint": PAINT_BUDGET}
    for name, (first, *rest) in times.items():
        median, budget = statistics.median(rest), budgets.get(name)
        share = ("", "") if budget is None else (str(budget), f"{100 * median / budget:.0f} %")
        over = "" if budget is None or median <= budget else "   over the budget"
        print(f"  {name:28} {first:8.1f} {median:8.1f} {share[0]:>8} {share[1]:>8} {median / bare:9.1f}{over}")
    print(f"libraries loaded by then: {loaded or 'no model library, no numpy'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    report(max(1, parser.parse_args().runs))


if __name__ == "__main__":
    main()

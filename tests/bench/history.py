"""How fast a large history is read, in milliseconds, against 300 ms.

    python tests/bench/history.py [--answers N] [--keep FILE]

Builds a history of about N answers (a million if nothing is said: several minutes) in audits of two scripted models on
the built-in suites, through the history itself, and prints how long it takes to list the audits, open one, search
and compare two. With --keep the history stays in FILE and is used again when it is there already.

Only an idle machine gives a fair picture; nothing here can fail a test.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import scripted

from engines.base import ChoiceRequest, Generation, canonical_text
from suites.base import Answer, Suite, Verdict
from suites.loader import builtin, load
from workbench.audits.build import build_plan
from workbench.audits.compare import compare_audits
from workbench.audits.plan import Plan, Trial, trials
from workbench.audits.work import Work, conclude
from workbench.history import History

BUDGET = 300
"""Milliseconds."""
VARIANTS = 4
"""Different answers to each question; an audit takes one of them, drawn by its number."""
WORDS = ("因为经验更合适", "因為經驗更合適", "because of the experience", "我无法选择", "土豆", "馬鈴薯")

Given = tuple[Trial, str, tuple[tuple[Answer, Verdict], ...]]


def prepared(plan: Plan, suites: list[Suite]) -> list[Given]:
    """Every trial of the plan with its prompt, and its possible answers with their verdicts."""
    work, found = Work(plan, suites), []
    engines = {
        (model.key, k): scripted.Scripted(model.key, score=scripted.hashed(f"{model.key}{k}"))
        for model in plan.models
        for k in range(VARIANTS)
    }
    for trial in trials(plan):
        request, (task, item) = work.request(trial), work.find(trial)
        options = task.options(item, trial.condition)
        answers = []
        for variant in range(VARIANTS):
            answer: Answer
            if isinstance(request, ChoiceRequest):
                (answer,) = engines[trial.model, variant].score([request])
            else:
                draw = scripted.number_of(trial.id, variant)
                said = options[draw % len(options)] if options else WORDS[draw % 2 + 4]
                text = f"{said}，{WORDS[draw % 4]}。{draw % 9973}"
                answer = Generation(text, "stop", tuple(map(ord, text)), (-0.25,) * len(text))
            answers.append((answer, task.judge(item, trial.condition, answer)))
        found.append((trial, canonical_text(request.prompt), tuple(answers)))
    return found


def build(path: Path, count: int) -> None:
    """A history of about `count` answers."""
    suites = [load(summary.id) for summary in builtin()]
    plan = build_plan([scripted.model("ada"), scripted.model("bo")], suites)
    given = prepared(plan, suites)
    total = max(2, round(count / len(given)))
    began = time.monotonic()
    findings = {}
    with History.open(path) as history:
        for number in range(total):
            audit = history.create_audit(plan, suites, note=f"number {number}")
            for place, (trial, prompt, answers) in enumerate(given):
                answer, verdict = answers[scripted.number_of(number, place // 7) % VARIANTS]
                history.add_answer(audit, trial, prompt, answer, verdict, 0.125)
            history.set_status(audit, "complete")
            # Findings take longer to compute than to read: a few stand for all of them.
            if number < 2:
                conclude(history, audit)
                findings[number] = history.findings(audit)
            elif (known := findings[number % 2]) is not None:
                history.save_findings(audit, known)
            rate = (number + 1) * len(given) / (time.monotonic() - began)
            print(f"\r  {(number + 1) * len(given):,} answers, {rate:,.0f} a second", end="", file=sys.stderr)
    print(file=sys.stderr)


def measure(name: str, call: Callable[[], object], rounds: int) -> None:
    """Print first and median time of a call."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    median = statistics.median(times)
    print(f"  {name:44} {times[0]:8.1f} {median:8.1f}   {'' if median <= BUDGET else 'over the budget'}")


def report(path: Path, rounds: int) -> None:
    """Print the table."""
    history = History.open(path, readonly=True)
    rows = history.audits()
    newest, oldest = rows[0].id, rows[-1].id
    size = sum(file.stat().st_size for file in path.parent.glob(path.name + "*")) / 1e9
    print(f"{sum(row.done for row in rows):,} answers in {len(rows)} audits, {size:.2f} GB; budget {BUDGET} ms")
    print(f"  {'':44} {'first ms':>8} {'median':>8}")

    def reopen() -> None:
        History.open(path, readonly=True).close()

    def open_audit(audit: str) -> None:
        row = history.audit(audit)
        history.plan(row.id), history.findings(row.id), history.cards(row.id), history.noise(row.id)
        list(itertools.islice(history.rows(row.id, task="answer"), 100))

    measure("open the file", reopen, rounds)
    measure("list", history.audits, rounds)
    measure("list, filtered", lambda: history.audits("number 7 ada"), rounds)
    measure("open an audit, first 100 answers", lambda: open_audit(newest), rounds)
    measure("open the oldest", lambda: open_audit(oldest), rounds)
    for text, what in (
        ("experience 9972", "two words, one rare"),
        ("experience", "a word in a quarter of the answers"),
        ("经验", "two characters, as frequent"),
        ("因为经验更合适", "a phrase, as frequent"),
        ("人", "one character, in prompts and answers"),
        ("e", "one letter"),
        ("ex", "beginning of a word"),
        ("9", "one digit"),
        ("99", "two digits, beginning of many numbers"),
        ("没有这个", "what is nowhere"),
        ("no-such-word", "a word that is nowhere"),
    ):
        measure(f"search {text}: {what}", lambda text=text: history.search(text), rounds)  # type: ignore[misc]
    measure("search 经验 in the oldest audit", lambda: history.search("经验", audit=oldest), rounds)
    measure("search experience in the oldest audit", lambda: history.search("experience", audit=oldest), rounds)
    measure("search 人 in the oldest audit", lambda: history.search("人", audit=oldest), rounds)
    measure("search 选择 in the oldest audit", lambda: history.search("选择", audit=oldest), rounds)
    measure("compare the oldest with the newest", lambda: compare_audits(history, oldest, newest), rounds)
    history.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="keep the history in this file, or use the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "history.db"
        if not path.exists():
            build(path, options.answers)
        report(path, options.rounds)


if __name__ == "__main__":
    main()

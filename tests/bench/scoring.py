"""How fast options are scored, as ratios of one run.

    python tests/bench/scoring.py [--items N] [--lm-eval PYTHON]

Prints, for each starter model:
- distinct tokens per second against the model's own raw prompt processing (one batch of the same length, one
  sequence, logits at its end): at least 0.9 is the aim;
- items per second against scoring every option from scratch with `Llama.eval`: at least 3.5;
- where PYTHON (or $LM_EVAL_PYTHON) has lm-evaluation-harness, items per second against its HF backend at its best batch
  size on the same weights dequantised: at least 2.2, and 8 for a five-shot prompt.

Only ratios mean anything, and only on an idle machine; nothing here can fail a test.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines.base import ChoiceRequest, LoadOptions
from engines.gguf import GgufEngine
from engines.starter import ensure_starters

STORY = (
    "{name} is invited to dinner at the home of a colleague in {city}. At the door {name} takes off the shoes, "
    "greets the oldest person in the room first and hands over a box of {gift} with both hands. During the meal {name} "
    "leaves a little food on the plate, praises the cook twice, and refuses the second helping before accepting it. "
    "When the evening ends, {name} thanks everybody, and promises to return the invitation soon."
)
QUESTION = "\nIs what {name} did acceptable there?\nAnswer:"
OPTIONS = (
    " Yes, people there would approve",
    " No, people there would object",
    " It would be neither of them",
    " The story does not say enough",
)
PLACES = ("Osaka", "Lagos", "Lima", "Izmir", "Hanoi", "Tartu", "Accra", "Cebu", "Turin", "Tampere")
NAMES = ("Mika", "Adaeze", "Luz", "Deniz", "Linh", "Maarja", "Kofi", "Jun", "Chiara", "Aino")
GIFTS = ("tea", "oranges", "dates", "biscuits", "honey", "coffee", "chocolate")


def items(count: int, shots: int = 0) -> list[ChoiceRequest]:
    """Prompts of about 130 tokens with four options of about six; with `shots`, behind a shared prefix."""

    def text(index: int) -> str:
        values = {"name": NAMES[index % 10], "city": PLACES[index // 10 % 10], "gift": GIFTS[index % 7]}
        return (STORY + QUESTION).format(**values)

    prefix = "".join(f"{text(100 + shot)}{OPTIONS[shot % 4]}\n\n" for shot in range(shots))
    return [ChoiceRequest(prefix + text(index), OPTIONS, shared=prefix) for index in range(count)]


def ours(engine: GgufEngine, requests: list[ChoiceRequest]) -> tuple[float, int]:
    """(seconds, distinct tokens) of scoring the requests."""
    list(engine.score(requests[:1]))
    tokens, started = 0, time.perf_counter()
    for request, scores in zip(requests, engine.score(requests), strict=True):
        joined = [engine.encoder.encode(request.prompt, option) for option in request.continuations]
        distinct = {tuple(option[: size + 1]) for option in joined for size in range(scores.prompt_tokens, len(option))}
        tokens += scores.prompt_tokens - scores.shared_tokens + len(distinct)
    return time.perf_counter() - started, tokens


def raw(engine: GgufEngine, requests: list[ChoiceRequest], length: int) -> tuple[float, int]:
    """(seconds, tokens) of plain prompt processing in batches of `length` tokens."""
    tokens, started = 0, time.perf_counter()
    for request in requests:
        ids = (engine.encoder.encode(request.prompt) * 3)[:length]
        engine._forget()
        engine._batch.clear()
        for position, token in enumerate(ids):
            engine._batch.add(token, position, (0,), position == len(ids) - 1)
        engine._decode()
        tokens += len(ids)
    return time.perf_counter() - started, tokens


def from_scratch(path: Path, threads: int, requests: list[ChoiceRequest]) -> float:
    """Seconds for scoring every option with `Llama.eval`, prompt and all."""
    import llama_cpp
    import numpy as np

    model = llama_cpp.Llama(
        str(path), n_ctx=1024, n_threads=threads, n_threads_batch=threads, logits_all=True, verbose=False
    )
    started = time.perf_counter()
    for request in requests:
        prompt = model.tokenize(str(request.prompt).encode())
        for option in request.continuations:
            ids = model.tokenize((str(request.prompt) + option).encode())
            model.reset()
            model.eval(ids)
            rows = np.array(model.scores[len(prompt) - 1 : len(ids) - 1])
            top = rows.max(axis=1, keepdims=True)
            totals = np.log(np.exp(rows - top).sum(axis=1)) + top[:, 0]
            float(sum(rows[k, token] - totals[k] for k, token in enumerate(ids[len(prompt) :])))
    seconds = time.perf_counter() - started
    model.close()
    return seconds


LM_EVAL = """
import json, sys, time
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
job = json.load(open(sys.argv[1]))
import torch
torch.set_num_threads(job["threads"])
model = HFLM(pretrained=job["folder"], gguf_file=job["file"], device="cpu", dtype="float32", batch_size=job["batch"])
pairs = [(p, o) for p, options in job["items"] for o in options]
def ask(pairs):
    asked = [Instance("loglikelihood", {}, pair, k) for k, pair in enumerate(pairs)]
    return model.loglikelihood(asked, disable_tqdm=True)
ask(pairs[:4])
started = time.perf_counter()
ask(pairs)
print("seconds:", time.perf_counter() - started)
"""


def lm_eval(python: str, path: Path, threads: int, requests: list[ChoiceRequest], batch: int) -> float | None:
    """Seconds that lm-evaluation-harness needs; None (with its last words) when it does not run."""
    job = {
        "folder": str(path.parent), "file": path.name, "threads": threads, "batch": batch,
        "items": [(str(request.prompt), list(request.continuations)) for request in requests],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job))
        done = subprocess.run([python, "-c", LM_EVAL, str(file)], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        print(f"  lm-evaluation-harness did not run: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return float(done.stdout.rpartition("seconds:")[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: calibrated at load")
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--lm-eval", default=os.environ.get("LM_EVAL_PYTHON", ""))
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4, 16])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for report in ensure_starters(Path(folder)):
            if report.path is None:
                sys.exit(f"{report.name}: {report.message}")
            if not options.models or report.name in options.models:
                measure(report.path, options)


def measure(path: Path, options: argparse.Namespace) -> None:
    """Print the ratios of one model."""
    engine = GgufEngine(path, LoadOptions(context=2048, threads=options.threads))
    threads = engine._threads.count
    requests, behind = items(options.items), items(options.items, shots=5)
    speeds, raws = [], []
    for _ in range(options.rounds):
        seconds, tokens = ours(engine, requests)
        speeds.append(tokens / seconds)
        seconds, tokens = raw(engine, requests, tokens // len(requests))
        raws.append(tokens / seconds)
    zero = ours(engine, requests)[0] / len(requests)
    five = ours(engine, behind)[0] / len(behind)
    engine.close()
    print(f"{path.stem}, {threads} thread(s), {len(requests)} items, {options.rounds} rounds")
    ratio = statistics.median(a / b for a, b in zip(speeds, raws, strict=True))
    print(f"  distinct tokens/s, ours : raw prompt processing   {ratio:.2f}   (aim: at least 0.9)")
    scratch = from_scratch(path, threads, requests[:6]) / 6
    print(f"  items/s, ours : every option from scratch         {scratch / zero:.2f}   (aim: at least 3.5)")
    if not options.lm_eval:
        print("  lm-evaluation-harness: not measured (--lm-eval PYTHON, a Python that has it installed)")
        return
    for name, asked, mine, aim in (("zero-shot", requests, zero, 2.2), ("five-shot", behind, five, 8)):
        found = {b: lm_eval(options.lm_eval, path, max(threads, 2), asked[:12], b) for b in options.batches}
        known = {batch: seconds / min(12, len(asked)) for batch, seconds in found.items() if seconds is not None}
        if known:
            batch = min(known, key=lambda size: known[size])
            print(
                f"  items/s, ours : lm-evaluation-harness, {name}   {known[batch] / mine:.2f}   "
                f"(aim: at least {aim}; it ran best at batch {batch}, {1 / known[batch]:.2f} items/s)"
            )


if __name__ == "__main__":
    main()

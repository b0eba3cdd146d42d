"""How fast the Hugging Face engine scores options, against lm-evaluation-harness, as ratios of one run.

    python tests/bench/scoring_hf.py [--items N] [--lm-eval PYTHON] [--folder FOLDER]

Without FOLDER the starter model SmolLM2 is dequantised into a float32 safetensors folder first. Prints:
- items per second against lm-evaluation-harness's HF backend at its best batch size on the same folder, in float32, on
  the same number of threads: at least 2.2; both score the same texts, and the largest difference of their scores, which
  must be under 1e-3 nats;
- what several items in one batch would gain over one after the other (they are scored one after the other, so that a
  score depends on its item alone);
- memory of the child while it scores, against the child with its libraries and no model + weights + keys and values +
  300 MB.

Where PYTHON (or $LM_EVAL_PYTHON) is, and which versions, stands in `tests/bench/README.md`. Only ratios mean anything,
and only on an idle machine; nothing here can fail a test.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "engines"))

from scoring import items
from tiny_hf import dequantise

from engines.base import ChoiceRequest, LoadOptions
from engines.process import EngineProcess, open_engine
from engines.starter import ensure_starters

MODEL = "smollm2-135m-instruct"

LM_EVAL = """
import json, sys, time
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
job = json.load(open(sys.argv[1]))
import torch
torch.set_num_threads(job["threads"])
model = HFLM(pretrained=job["folder"], device="cpu", dtype="float32", batch_size=job["batch"])
pairs = [(p, o) for p, options in job["items"] for o in options]
def ask(pairs):
    asked = [Instance("loglikelihood", {}, pair, k) for k, pair in enumerate(pairs)]
    return model.loglikelihood(asked, disable_tqdm=True)
ask(pairs[:4])
started = time.perf_counter()
found = ask(pairs)
seconds = time.perf_counter() - started
json.dump({"seconds": seconds, "scores": [score for score, _ in found]}, open(sys.argv[2], "w"))
"""

BASE = """
import os
os.environ.update(HF_HUB_OFFLINE="1")
import accelerate, psutil, safetensors, tokenizers, torch, transformers
from transformers import AutoTokenizer, LlamaForCausalLM
print(psutil.Process().memory_info().rss)
"""


def lm_eval(
    python: str, folder: Path, threads: int, requests: list[ChoiceRequest], batch: int
) -> tuple[float, list[float]] | None:
    """(seconds, scores) of lm-evaluation-harness; None, with its last words printed, when it does not run."""
    job = {
        "folder": str(folder), "threads": threads, "batch": batch,
        "items": [(str(request.prompt), list(request.continuations)) for request in requests],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        asked, answered = Path(scratch) / "job.json", Path(scratch) / "answer.json"
        asked.write_text(json.dumps(job))
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
        done = subprocess.run(
            [python, "-c", LM_EVAL, str(asked), str(answered)],
            capture_output=True,
            text=True,
            cwd=scratch,
            env=environment,
        )
        if done.returncode:
            print(f"  lm-evaluation-harness did not run: {done.stderr.strip().splitlines()[-1:]}")
            return None
        found = json.loads(answered.read_text())
        return float(found["seconds"]), [float(score) for score in found["scores"]]


def ours(engine: EngineProcess, requests: list[ChoiceRequest]) -> tuple[float, list[float]]:
    """(seconds, scores) of the engine."""
    list(engine.score(requests[:1]))
    started = time.perf_counter()
    found = list(engine.score(requests))
    return time.perf_counter() - started, [option.logprob for scores in found for option in scores.options]


def batched(folder: Path, threads: int, requests: list[ChoiceRequest], size: int = 4) -> float:
    """Seconds of the prompts alone, one after the other, against `size` of them padded into one batch."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    tokens = sorted((tokenizer(str(request.prompt))["input_ids"] for request in requests), key=len)
    spent = []
    with torch.inference_mode():
        for together in (1, size, 1, size):
            started = time.perf_counter()
            for first in range(0, len(tokens), together):
                group = tokens[first : first + together]
                longest = max(map(len, group))
                model.model(torch.tensor([row + [0] * (longest - len(row)) for row in group]), use_cache=True)
            spent.append(time.perf_counter() - started)
    return (spent[0] + spent[2]) / (spent[1] + spent[3])


def peak_memory(engine: EngineProcess, requests: list[ChoiceRequest]) -> int:
    """The most bytes that the child has in use while it scores."""
    done = threading.Event()
    seen = [engine.memory()]

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(engine.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    list(engine.score(requests))
    done.set()
    watcher.join()
    return max(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: calibrated at load")
    parser.add_argument("--folder", type=Path, help="a Hugging Face model instead of the dequantised starter")
    parser.add_argument("--lm-eval", default=os.environ.get("LM_EVAL_PYTHON", ""))
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4, 8, 16])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder
        if folder is None:
            reports = {report.name: report for report in ensure_starters(Path(scratch))}
            path = reports[MODEL].path
            if path is None:
                sys.exit(f"{MODEL}: {reports[MODEL].message}")
            folder = dequantise(path, Path(scratch) / f"{MODEL}-f32")
        measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Print the ratios of one model."""
    requests = items(options.items)
    done = subprocess.run([sys.executable, "-c", BASE], capture_output=True, text=True, check=True)
    libraries = int(done.stdout)
    engine = open_engine(str(folder), LoadOptions(context=2048, threads=options.threads, device="cpu", dtype="float32"))
    threads = engine.card.threads
    rounds = [ours(engine, requests) for _ in range(options.rounds)]
    seconds, scores = statistics.median(spent for spent, _ in rounds) / len(requests), rounds[0][1]
    peak = peak_memory(engine, requests)
    engine.close()
    print(f"{folder.name}, {threads} thread(s), {len(requests)} items, {options.rounds} rounds")
    print(f"  the same bits in every round: {all(other == scores for _, other in rounds)}")
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    kept = cache_size(folder, 2048)
    budget = libraries + weights + kept + 300 * 1024**2
    print(
        f"  memory of the child while scoring: {peak / 1024**2:.0f} MB, budget {budget / 1024**2:.0f} MB (libraries "
        f"{libraries / 1024**2:.0f}, weights {weights / 1024**2:.0f}, keys and values {kept / 1024**2:.0f}, 300)"
    )
    print(f"  prompts/s, four in a batch : one by one          {batched(folder, threads, requests):.2f}")
    if not options.lm_eval:
        print("  lm-evaluation-harness: not measured (--lm-eval PYTHON, a Python that has it installed)")
        return
    found = {batch: lm_eval(options.lm_eval, folder, threads, requests, batch) for batch in options.batches}
    known = {batch: answer for batch, answer in found.items() if answer is not None}
    if known:
        batch = min(known, key=lambda size: known[size][0])
        theirs, their_scores = known[batch][0] / len(requests), known[batch][1]
        gap = max(abs(a - b) for a, b in zip(scores, their_scores, strict=True))
        print(
            f"  items/s, ours : lm-evaluation-harness             {theirs / seconds:.2f}   (aim: at least 2.2; it ran "
            f"best at batch {batch})"
        )
        print(f"  largest difference of the scores                  {gap:.1e} nats   (aim: under 1e-3)")


def cache_size(folder: Path, tokens: int) -> int:
    """Bytes of the keys and values of so many tokens in float32."""
    config = json.loads((folder / "config.json").read_text())
    heads = config.get("num_key_value_heads") or config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return int(2 * 4 * config["num_hidden_layers"] * heads * width * tokens)


if __name__ == "__main__":
    main()

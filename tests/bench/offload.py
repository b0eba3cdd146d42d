"""The processor against the GPU: prompt and answer speed of a model, with no layers on the GPU and with all that fit.

    python tests/bench/offload.py [MODEL.gguf]

Without a model it takes the first starter model. Where no GPU can be used it says so, and ends with 0.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from engines.base import LoadOptions
from engines.catalog import Catalog
from engines.hardware import Machine, fits, machine
from engines.process import open_engine
from engines.starter import ensure_starters
from workbench.audits.tryout import Checked, try_out
from workbench.text import size

CONTEXT = 2048
RUNS = 3


def _measured(path: str, layers: int) -> tuple[Checked, int]:
    """The best of a few tries, and the bytes that the process took."""
    engine = open_engine(path, LoadOptions(context=CONTEXT, gpu_layers=layers))
    try:
        tries = [try_out(engine) for _ in range(RUNS)]
        taken = engine.memory()
    finally:
        engine.close()
    best = max(tries, key=lambda one: one.prompt_pace)
    return msgspec.structs.replace(best, answer_pace=max(one.answer_pace for one in tries)), taken


def _told(facts: Machine) -> bool:
    """Say what GPU there is; whether one can be used."""
    if facts.devices and facts.gpu_offload_supported:
        for device in facts.devices:
            print(f"{device.name} ({device.kind}): {size(device.free)} of {size(device.total)} free")
        return True
    print(f"no GPU to measure: {facts.gpu_note or 'this build of llama.cpp computes on the CPU'}")
    print("`culture-workbench doctor` says how to build llama.cpp for one")
    return False


def main(arguments: list[str]) -> int:
    """Measure and print; the exit status is 1 where a check does not hold."""
    facts = machine()
    if not _told(facts):
        return 0
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder))
        if arguments:
            model = catalog.find(arguments[0])
        else:
            ensure_starters(catalog.models_folder)
            model = catalog.list()[0]
        fit = fits(model, CONTEXT, facts)
        layers = -1 if fit.layers == fit.of_layers else fit.layers
        print(f"{model.name}: {size(model.size)}, {fit.layers} of {fit.of_layers} layers fit on {fit.device}; "
              f"{size(fit.on_device)} estimated there")  # fmt: skip
        slow, _ = _measured(model.path, 0)
        fast, taken = _measured(model.path, layers)
    print(f"CPU  prompt {slow.prompt_pace:9.0f} tok/s   answer {slow.answer_pace:7.0f} tok/s   {slow.said}")
    print(f"GPU  prompt {fast.prompt_pace:9.0f} tok/s   answer {fast.answer_pace:7.0f} tok/s   {fast.said}")
    print(f"GPU ÷ CPU: prompt {fast.prompt_pace / slow.prompt_pace:.1f} ×, answer "
          f"{fast.answer_pace / slow.answer_pace:.1f} ×; {fast.card.offload} on {fast.card.device}; "
          f"its process holds {size(taken)} of main memory")  # fmt: skip
    return 0 if slow.ok and fast.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

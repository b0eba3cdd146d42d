"""What this machine has, and whether a model fits in its memory.

The application's process never loads llama.cpp or torch: what they say about GPUs comes from short child processes,
`python -m engines.hardware` and `python -m engines.hardware torch`. llama.cpp is asked once a session, torch only where
there is a model for it.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from engines.cgroups import cpu_limit, memory_limit
from engines.files import printable
from engines.header import MemoryFacts

_CHILD_SECONDS = 20.0
_TORCH_SECONDS = 60.0
"""Importing torch takes seconds, and many of them when its files are not in memory yet."""
_MARK = "culture-workbench-devices:"
_GPU_TYPES = (1, 2)
"""`GGML_BACKEND_DEVICE_TYPE_GPU` and `…_IGPU` (ggml-backend.h)."""
# What the child process and its GPU libraries need; nothing else (no keys, no tokens) is passed on.
_PASSED = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_PATH", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR",
)  # fmt: skip
_BATCH = 512
"""Tokens that llama.cpp evaluates at once (`n_ubatch`)."""
_FIXED = 32 << 20
"""Small buffers that do not depend on the model."""


_SHARING = ("MTL", "Metal")
_USABLE = 0.8
"""How much of a device's free memory a part of a model may take: drivers and other programs take some later."""


class Device(msgspec.Struct, frozen=True):
    """A GPU that a library can use. `total` and `free` are bytes of its memory; `kind` is `CUDA`, `MTL`, `Vulkan`…"""

    name: str
    kind: str
    total: int
    free: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What this process may use: limits of its control group and processor affinity are taken into account."""

    system: str
    cpu: str
    physical_cores: int
    logical_cores: int
    memory_total: int
    """Bytes."""
    memory_free: int
    """Bytes that can be had without swapping."""
    devices: tuple[Device, ...] = ()
    llama_cpp: str = ""
    """Version of llama-cpp-python; "" when it is not installed."""
    gpu_offload_supported: bool = False
    """Whether the installed build of llama.cpp can put layers on a GPU."""
    gpu_note: str = ""
    """Why there is no GPU, or why nothing is known of it; "" where devices are listed."""
    library_memory: int = 0
    """Bytes that a process with llama.cpp and no model takes; 0 where nothing is known."""
    torch: str = ""
    """Version of torch; "" when it is not installed."""
    torch_devices: tuple[Device, ...] = ()
    """What torch can use; () as well where it was not asked."""
    torch_note: str = ""
    """Why torch has no GPU, or why nothing is known of it."""
    torch_memory: int = 0
    """Bytes that a process with torch and no model takes; 0 where it was not asked."""
    limited: bool = False
    """Whether a control group or the affinity leaves this process less than the machine has."""


class Fit(msgspec.Struct, frozen=True):
    """An estimate of the memory that a model takes, in bytes, against what is free where it would run."""

    weights: int
    cache: int
    """Keys and values of the whole context, in 16 bits."""
    buffers: int
    total: int
    """Weights, cache and buffers together."""
    free: int
    verdict: Literal["fits", "tight", "too large"]
    """`fits`: at most 80 % of what is free; `tight`: all of it; `too large`: more."""
    device: str = "CPU"
    note: str = ""
    layers: int = 0
    """Layers that go to the device, as the engine counts them (llama.cpp counts the output layer as one more)."""
    of_layers: int = 0
    """How many layers it has in all; 0 where the file does not show layers."""
    on_device: int = 0
    """Bytes of `total` that go to the device."""

    @property
    def where(self) -> str:
        """Where it would run, in words: `CPU`, `CUDA0 A card`, or in part `CUDA0 12/29 layers`."""
        part = self.device != "CPU" and 0 < self.layers < self.of_layers
        return f"{self.device.split()[0]} {self.layers}/{self.of_layers} layers" if part else self.device


class Weighed(Protocol):
    """A model whose memory can be estimated: a `GgufHeader` or a `CatalogModel`."""

    @property
    def size(self) -> int: ...
    @property
    def memory(self) -> MemoryFacts: ...


class _GpuFacts(msgspec.Struct, frozen=True):
    devices: tuple[Device, ...] = ()
    offload: bool = False
    note: str = ""
    memory: int = 0


def machine(*, refresh: bool = False, torch: bool = False) -> Machine:
    """The machine as this process may use it. What llama.cpp says is asked once a session, or again on `refresh`; torch
    is asked only with `torch` (which takes seconds, the first time)."""
    import psutil

    if refresh:
        _gpu_facts.cache_clear()
        _torch_facts.cache_clear()
    memory = psutil.virtual_memory()
    total, free = int(memory.total), int(memory.available)
    limit = memory_limit()
    if limit is not None:
        total, free = min(total, limit.total), min(free, limit.free)
    logical, physical = _cores()
    facts = _gpu_facts()
    torch_facts = _torch_facts() if torch and torch_version() else _GpuFacts()
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        physical_cores=physical,
        logical_cores=logical,
        memory_total=total,
        memory_free=free,
        devices=facts.devices,
        llama_cpp=llama_cpp_version(),
        gpu_offload_supported=facts.offload,
        gpu_note=facts.note,
        library_memory=facts.memory,
        torch=torch_version(),
        torch_devices=torch_facts.devices,
        torch_note=torch_facts.note,
        torch_memory=torch_facts.memory,
        limited=total < int(memory.total) or logical < (os.cpu_count() or 1),
    )


def fits(model: Weighed, context: int, machine: Machine, *, gpu_layers: int = -1) -> Fit:
    """Estimate the memory of a GGUF model with `context` tokens, and where it goes.

    `gpu_layers` as in `LoadOptions`: 0 means the CPU whatever there is; -1 as many layers as fit on the GPU with the
    most free memory, else that many. llama.cpp puts the last layers on the GPU, the output layer first of all, each
    with its part of the cache; the embeddings stay in main memory. A model that does not show its layers goes to the
    GPU as a whole or not at all.
    Buffers: one batch's logits over the whole vocabulary, or its attention scores and mask, whichever is more, and its
    activations (llama-cpp-python 0.3.36 reserved 99.4 MiB for SmolLM2 at 2,048 tokens, 166.4 at 8,192, and 514.5 for
    Gemma; this says 99.4, 163.4 and 515.8), and 32 MiB for all that is small.
    """
    facts = model.memory
    context = -(-max(1, context) // 256) * 256  # llama.cpp rounds up.
    cache = facts.cache_per_token * context
    buffers = 4 * _BATCH * (max(facts.vocabulary, (facts.heads + 1) * context) + 3 * facts.embedding) + _FIXED
    need = _Need(model.size, cache, buffers, facts.layers, facts.output, counts_output=True)
    devices = machine.devices if machine.gpu_offload_supported and gpu_layers != 0 else ()
    return _placed(need, devices, machine, gpu_layers)


def fits_torch(model: Weighed, context: int, machine: Machine, *, device: str = "auto", width: float = 1.0) -> Fit:
    """Estimate the memory of a safetensors model in torch with `context` tokens, and where it goes.

    `device`: `auto` (the first GPU, else the CPU), `cpu`, what torch calls a device (`cuda`, `cuda:1`, `mps`), or
    `spread`: as many whole layers as fit on the GPU with the most free memory, the rest in main memory, as accelerate
    does it. Otherwise the model runs in one place as a whole. `width`: bytes of a number as it is computed with,
    against those in the file (2 for bf16 weights that are computed with in float32). Buffers are the logits of one
    batch, its activations, and 32 MiB.
    """
    facts = model.memory
    cache = round(facts.cache_per_token * max(1, context) * width)
    buffers = 4 * _BATCH * (facts.vocabulary + 3 * facts.embedding) + _FIXED
    layers = tuple(round(size * width) for size in facts.layers)
    need = _Need(round(model.size * width), cache, buffers, layers, 0, counts_output=False)
    if device == "spread":
        return _placed(need, machine.torch_devices, machine, -1)
    for one in machine.torch_devices:
        if device == "auto" or one.name.split()[0].startswith(device):
            verdict = _verdict(need.total, one.free, one.total, one.name)
            return Fit(need.weights, cache, buffers, need.total, one.free, *verdict, need.count, need.count, need.total)
    return _placed(need, (), machine, 0)


class _Need(msgspec.Struct, frozen=True):
    """What a model takes, in bytes; `layers` and `output` are parts of `weights`."""

    weights: int
    cache: int
    buffers: int
    layers: tuple[int, ...]
    output: int
    counts_output: bool
    """Whether the output layer counts as a layer, the first that goes to the device."""

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.buffers

    @property
    def count(self) -> int:
        return len(self.layers) + self.counts_output if self.layers else 0

    def on_device(self, number: int) -> int:
        """Bytes on the device with that many layers there."""
        if number >= self.count:
            return self.total
        if number <= 0:
            return 0
        layers = number - self.counts_output
        share = self.cache // len(self.layers)
        output = self.output if self.counts_output else 0
        return self.buffers + output + sum(self.layers[len(self.layers) - layers :]) + layers * share


def _placed(need: _Need, devices: tuple[Device, ...], machine: Machine, wanted: int) -> Fit:
    """Where a model goes, and whether it fits there."""
    main = (need.total, machine.memory_free, machine.memory_total)
    if devices:
        device = max(devices, key=lambda device: device.free)
        # Where a GPU shares the main memory nothing is gained by keeping layers off it.
        whole = need.total <= device.free or device.kind in _SHARING or (not need.count and device.free > main[1])
        fitting = max((n for n in range(need.count + 1) if need.on_device(n) <= _USABLE * device.free), default=0)
        layers = (need.count if whole else fitting) if wanted < 0 else min(wanted, need.count)
        if (layers == need.count and (whole or wanted > 0)) or (not need.count and whole):
            verdict = _verdict(need.total, device.free, device.total, device.name)
            return Fit(
                need.weights,
                need.cache,
                need.buffers,
                need.total,
                device.free,
                *verdict,
                need.count,
                need.count,
                need.total,
            )
        if layers:
            there = need.on_device(layers)
            rest = need.total - there
            first, second = (
                _verdict(there, device.free, device.total, device.name),
                _verdict(rest, machine.memory_free, machine.memory_total, device.name),
            )
            order = ("fits", "tight", "too large")
            worse = max(first, second, key=lambda one: order.index(one[0]))
            note = worse[2] or f"{layers} of {need.count} layers fit there; the rest computes on the CPU, slower"
            return Fit(
                need.weights, need.cache, need.buffers, need.total, device.free, worse[0], device.name, note, layers,
                need.count, there,
            )  # fmt: skip
    return Fit(need.weights, need.cache, need.buffers, need.total, main[1], *_verdict(*main, "CPU"), 0, need.count)


def torch_version() -> str:
    """The installed version of torch, without importing it; "" when there is none."""
    from importlib import metadata

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def llama_cpp_version() -> str:
    """The installed version of llama-cpp-python, without importing it; "" when there is none."""
    from importlib import metadata

    try:
        return metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return ""


def _verdict(needed: int, free: int, total: int, device: str) -> tuple[Literal["fits", "tight", "too large"], str, str]:
    if needed <= 0.8 * free:
        return "fits", device, ""
    if needed <= free:
        return "tight", device, "little memory would be left: close other programs, or use a shorter context"
    if needed <= 0.9 * total:
        return "too large", device, "it would fit if other programs gave their memory back"
    return "too large", device, "use a shorter context, a smaller model or a stronger quantisation"


def _cores() -> tuple[int, int]:
    """Logical and physical cores that this process may use, at least one each."""
    import psutil

    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    logical = len(allowed)
    physical = _physical(allowed) or min(psutil.cpu_count(logical=False) or logical, logical)
    quota = cpu_limit()
    if quota is not None:
        whole = max(1, int(quota))
        logical, physical = min(logical, whole), min(physical, whole)
    return max(1, logical), max(1, min(physical, logical))


def _physical(allowed: set[int], root: Path = Path("/sys/devices/system/cpu")) -> int:
    """Distinct cores behind the logical processors; 0 where the system does not say."""
    cores = set()
    for number in allowed:
        folder = root / f"cpu{number}" / "topology"
        try:
            cores.add(((folder / "physical_package_id").read_text(), (folder / "core_id").read_text()))
        except OSError:
            return 0
    return len(cores)


def _cpu_name() -> str:
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return printable(subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout, 80)
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware"):
                return printable(value, 80)
    except (OSError, subprocess.SubprocessError):
        pass  # Other systems have neither: the platform's own word is as good.
    return printable(platform.processor() or platform.machine(), 80)


@functools.lru_cache(maxsize=1)
def _gpu_facts() -> _GpuFacts:
    """What llama.cpp says about GPUs, from a child process; a failure is told in `note`."""
    if not llama_cpp_version():
        return _GpuFacts(note="llama-cpp-python is not installed: run `make install`")
    facts = _ask_child([sys.executable, "-P", "-m", "engines.hardware"], _CHILD_SECONDS)
    return msgspec.structs.replace(facts, note=facts.note or _note(facts))


@functools.lru_cache(maxsize=1)
def _torch_facts() -> _GpuFacts:
    """What torch says about GPUs, from a child process; a failure is told in `note`."""
    facts = _ask_child([sys.executable, "-P", "-m", "engines.hardware", "torch"], _TORCH_SECONDS, "torch")
    if facts.devices or facts.note:
        return facts
    return msgspec.structs.replace(facts, note="torch finds no GPU (CUDA or Metal)")


def _ask_child(command: list[str], seconds: float, library: str = "llama.cpp") -> _GpuFacts:
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    # -P keeps the current folder, which may hold anything, off the path; this is where `engines` lies.
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    try:
        answer = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return _GpuFacts(note=f"nothing is known of GPUs: {library} did not answer within {seconds:g} s")
    except OSError as error:
        return _GpuFacts(note=f"nothing is known of GPUs: the question could not be put ({error.strerror})")
    for line in answer.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith(_MARK):
            try:
                return msgspec.json.decode(line.removeprefix(_MARK), type=_GpuFacts)
            except msgspec.DecodeError:
                break
    said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
    last = f": {printable(said[-1], 160)}" if said else ""
    return _GpuFacts(note=f"nothing is known of GPUs: {library} could not be asked (exit {answer.returncode}){last}")


def _note(facts: _GpuFacts) -> str:
    if facts.devices:
        return ""
    if facts.offload:
        return "this build of llama.cpp can use a GPU, but finds none"
    card = _nvidia()
    if card:
        return f"{card} is there, but this build of llama.cpp has no GPU support"
    return "no GPU in this build of llama.cpp"


def _nvidia(root: Path = Path("/proc/driver/nvidia/gpus")) -> str:
    """The name of an NVIDIA GPU that the driver knows; "" when there is none."""
    for path in sorted(root.glob("*/information")):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("Model:"):
                return printable(line.partition(":")[2], 60)
    return ""


def _child(library: str) -> None:
    """Ask a library for its devices and write them as one line; whatever it prints itself goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)
    facts: dict[str, object]
    if library == "torch":
        import torch

        devices = torch_devices(torch)
        facts = {"devices": devices, "offload": bool(devices)}
    else:
        import llama_cpp
        from llama_cpp import _ggml

        facts = {"devices": _devices(_ggml.libggml), "offload": bool(llama_cpp.llama_supports_gpu_offload())}
    import psutil

    facts["memory"] = psutil.Process().memory_info().rss
    with os.fdopen(out, "w", encoding="utf-8") as stdout:
        stdout.write(f"{_MARK}{json.dumps(facts)}\n")


def _devices(library: Any) -> list[dict[str, object]]:
    """The GPUs in ggml's registry, through its C interface (ggml-backend.h)."""
    import ctypes

    def call(name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(library, f"ggml_backend_{name}")
        function.restype, function.argtypes = result, arguments
        return function

    text, pointer, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    get = call("dev_get", pointer, size)
    name, description = call("dev_name", text, pointer), call("dev_description", text, pointer)
    kind, registry = call("dev_type", ctypes.c_int, pointer), call("dev_backend_reg", pointer, pointer)
    registry_name = call("reg_name", text, pointer)
    memory = call("dev_memory", None, pointer, ctypes.POINTER(size), ctypes.POINTER(size))
    found = []
    for index in range(call("dev_count", size)()):
        device = get(index)
        if kind(device) not in _GPU_TYPES:
            continue
        free, total = size(), size()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        label = " ".join(part.decode("utf-8", "replace") for part in (name(device), description(device)) if part)
        sort = registry_name(registry(device)).decode("utf-8", "replace")
        found.append({"name": label, "kind": sort, "total": total.value, "free": free.value})
    return found


def torch_devices(torch: Any) -> list[dict[str, object]]:
    """The GPUs that torch can use: CUDA (and ROCm, which calls itself so), and Metal."""
    found: list[dict[str, object]] = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = f"cuda:{index} {torch.cuda.get_device_name(index)}"
            found.append({"name": name, "kind": "CUDA", "total": int(total), "free": int(free)})
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        # Metal shares the main memory; this is what the system recommends to take of it at most.
        total = int(torch.mps.recommended_max_memory())
        free = max(0, total - int(torch.mps.driver_allocated_memory()))
        found.append({"name": "mps Apple GPU", "kind": "MTL", "total": total, "free": free})
    return found


if __name__ == "__main__":
    _child(sys.argv[1] if len(sys.argv) > 1 else "llama_cpp")

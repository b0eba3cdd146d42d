"""The machine as a process may use it, and whether a model fits."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest
from raw_gguf import facts, write

from engines import hardware
from engines.cgroups import MemoryLimit, cpu_limit, memory_limit
from engines.hardware import Device, Machine, fits, fits_torch, machine
from engines.header import MemoryFacts, read_header

GIB = 1 << 30
MACHINE = Machine(
    system="Linux x86_64", cpu="A CPU", physical_cores=4, logical_cores=8, memory_total=16 * GIB, memory_free=8 * GIB
)


class Weights(msgspec.Struct):
    """A model of which only the sizes count."""

    size: int
    memory: MemoryFacts = MemoryFacts(cache_per_token=1000, vocabulary=50_000, embedding=1000, heads=10)


def files(root: Path, **contents: str) -> Path:
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_this_machine() -> None:
    found = machine()
    assert 1 <= found.physical_cores <= found.logical_cores <= (os.cpu_count() or 1)
    assert 0 < found.memory_free <= found.memory_total <= psutil.virtual_memory().total
    assert found.cpu
    assert found.llama_cpp
    assert bool(found.devices) != bool(found.gpu_note)
    assert "nothing is known" not in found.gpu_note  # llama.cpp did answer.
    assert "llama_cpp" not in sys.modules


def test_gpu_facts_are_asked_once_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    facts = hardware._GpuFacts(devices=(Device("CUDA0 A card", "CUDA", 80 * GIB, 79 * GIB),), offload=True)

    def ask(*arguments: object) -> hardware._GpuFacts:
        asked.append(arguments)
        return facts

    monkeypatch.setattr(hardware, "_ask_child", ask)
    assert machine(refresh=True).devices == facts.devices
    assert machine().gpu_offload_supported
    assert len(asked) == 1
    hardware._gpu_facts.cache_clear()


def child(code: str, seconds: float = 20) -> hardware._GpuFacts:
    return hardware._ask_child([sys.executable, "-c", code], seconds)


def test_a_child_that_fails_is_told_of() -> None:
    assert (
        "exit 3): out of \N{SNOWMAN}"
        in child("import sys; sys.stderr.buffer.write('x\\nout of ☃'.encode()); sys.exit(3)").note
    )
    assert "did not answer" in child("import time; time.sleep(60)", 0.2).note
    assert "could not be asked" in child(f"print('{hardware._MARK}not json')").note
    assert "could not be put" in hardware._ask_child(["./no-such-program"], 1).note


def test_a_child_that_answers_beside_noise() -> None:
    line = (
        hardware._MARK
        + '{"devices": [{"name": "MTL0 Apple M9", "kind": "MTL", "total": 9, "free": 8}], "offload": true}'
    )
    facts = child(f"print('native noise'); print({line!r})")
    assert facts == hardware._GpuFacts((Device("MTL0 Apple M9", "MTL", 9, 8),), True, "")
    assert "finds none" in hardware._note(child(f"print({hardware._MARK!r} + '{{\"offload\": true}}')"))


def test_the_child_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    code = f"import os; print({hardware._MARK!r} + '{{\"note\": \"%s\"}}' % ' '.join(sorted(os.environ)))"
    names = child(code).note.split()
    assert "HF_TOKEN" not in names
    assert "CUDA_VISIBLE_DEVICES" in names


def test_devices_are_read_through_the_c_interface() -> None:
    """A stand-in for ggml's registry with a CPU, a GPU and an accelerator: only the GPU is a device."""
    size = ctypes.c_size_t

    class Call:
        def __init__(self, run: object) -> None:
            self.run = run

        def __call__(self, *arguments: object) -> object:
            return self.run(*arguments)  # type: ignore[operator]

    def memory(index: int, free: object, total: object) -> None:
        ctypes.cast(free, ctypes.POINTER(size))[0] = size(5)  # type: ignore[arg-type]
        ctypes.cast(total, ctypes.POINTER(size))[0] = size(7)  # type: ignore[arg-type]

    class Registry:
        ggml_backend_dev_count = Call(lambda: 3)
        ggml_backend_dev_get = Call(lambda index: index)
        ggml_backend_dev_type = Call(lambda index: (0, 1, 3)[index])
        ggml_backend_dev_name = Call(lambda index: b"CUDA0")
        ggml_backend_dev_description = Call(lambda index: b"NVIDIA H100")
        ggml_backend_dev_backend_reg = Call(lambda index: index)
        ggml_backend_reg_name = Call(lambda index: b"CUDA")
        ggml_backend_dev_memory = Call(memory)

    found = hardware._devices(Registry())
    assert found == [{"name": "CUDA0 NVIDIA H100", "kind": "CUDA", "total": 7, "free": 5}]


def test_a_card_that_the_build_cannot_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = files(tmp_path, **{"0000:01:00.0__information": "Model: \t NVIDIA RTX 4090\nIRQ: 5\n"})
    assert hardware._nvidia(root) == "NVIDIA RTX 4090"
    monkeypatch.setattr(hardware, "_nvidia", lambda: "NVIDIA RTX 4090")
    assert "NVIDIA RTX 4090 is there" in hardware._note(hardware._GpuFacts())


def test_affinity_and_quota_limit_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):  # Two cores of two threads each.
        files(tmp_path / f"cpu{number}" / "topology", physical_package_id="0\n", core_id=f"{number // 2}\n")
    assert hardware._physical({0, 1}, tmp_path) == 1
    assert hardware._physical({0, 1, 2}, tmp_path) == 2
    assert hardware._physical({9}, tmp_path) == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(hardware, "_physical", lambda allowed: 2)
    monkeypatch.setattr(hardware, "cpu_limit", lambda: None)
    assert hardware._cores() == (4, 2)
    monkeypatch.setattr(hardware, "cpu_limit", lambda: 1.5)
    assert hardware._cores() == (1, 1)
    monkeypatch.setattr(hardware, "cpu_limit", lambda: 0.2)
    assert hardware._cores() == (1, 1)


def test_memory_limit_is_part_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "memory_limit", lambda: MemoryLimit(1 << 20, 1 << 19))
    found = machine()
    assert (found.memory_total, found.memory_free, found.limited) == (1 << 20, 1 << 19, True)


def test_control_groups_version_two(tmp_path: Path) -> None:
    member = tmp_path / "member"
    member.write_text("0::/outer/inner\n")
    root = tmp_path / "cgroup"
    files(root / "outer", memory_DOT_max="4000\n", memory_DOT_current="3000\n", cpu_DOT_max="150000 100000\n")
    files(root / "outer" / "inner", memory_DOT_max="max\n", cpu_DOT_max="max 100000\n")
    files(root / "outer", memory_DOT_stat="anon 1\ninactive_file 500\n")
    assert memory_limit(root, member) == MemoryLimit(4000, 1500)
    assert cpu_limit(root, member) == 1.5
    member.write_text("0::/other\n")
    assert memory_limit(root, member) is None
    assert cpu_limit(root, member) is None


def test_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    member = tmp_path / "member"
    member.write_text("0::/../not/here\n")
    root = files(tmp_path / "cgroup", memory_DOT_max="4000\n", memory_DOT_current="9999\n")
    assert memory_limit(root, member) == MemoryLimit(4000, 0)


def test_control_groups_version_one(tmp_path: Path) -> None:
    member = tmp_path / "member"
    member.write_text("4:memory:/job\n2:cpu,cpuacct:/job\n0::/\nnonsense\n")
    root = tmp_path / "cgroup"
    unlimited = str(9223372036854771712)
    files(root / "memory", memory_DOT_limit_in_bytes=unlimited, memory_DOT_usage_in_bytes="1")
    files(root / "memory" / "job", memory_DOT_limit_in_bytes="8000", memory_DOT_usage_in_bytes="6000")
    files(root / "memory" / "job", memory_DOT_stat="inactive_file 1\ntotal_inactive_file 1000\n")
    files(root / "cpu,cpuacct" / "job", cpu_DOT_cfs_quota_us="200000", cpu_DOT_cfs_period_us="100000")
    files(root / "cpu,cpuacct", cpu_DOT_cfs_quota_us="-1", cpu_DOT_cfs_period_us="100000")
    assert memory_limit(root, member) == MemoryLimit(8000, 3000)
    assert cpu_limit(root, member) == 2.0


def test_no_control_groups(tmp_path: Path) -> None:
    assert memory_limit(tmp_path / "no", tmp_path / "none") is None
    assert cpu_limit(tmp_path / "no", tmp_path / "none") is None


def test_fits_adds_up() -> None:
    fit = fits(Weights(GIB), 1000, MACHINE)
    assert fit.cache == 1024 * 1000  # Rounded up to 256 tokens, as llama.cpp does.
    assert fit.buffers == 4 * 512 * (50_000 + 3000) + (32 << 20)
    assert fit.total == fit.weights + fit.cache + fit.buffers
    assert (fit.free, fit.verdict, fit.device, fit.note) == (8 * GIB, "fits", "CPU", "")
    long = fits(Weights(GIB), 32_768, MACHINE)
    assert long.buffers == 4 * 512 * (11 * 32_768 + 3000) + (32 << 20)


@pytest.mark.parametrize(
    ("size", "verdict", "note"),
    [
        (6 * GIB, "fits", ""),
        (7 * GIB, "tight", "close other programs"),
        (9 * GIB, "too large", "gave their memory back"),
        (40 * GIB, "too large", "smaller model"),
    ],
)
def test_verdicts(size: int, verdict: str, note: str) -> None:
    fit = fits(Weights(size), 2048, MACHINE)
    assert fit.verdict == verdict
    assert note in fit.note


def test_fits_on_a_gpu() -> None:
    cards = (Device("CUDA0 small", "CUDA", 8 * GIB, 4 * GIB), Device("CUDA1 large", "CUDA", 24 * GIB, 20 * GIB))
    with_gpu = msgspec.structs.replace(MACHINE, devices=cards, gpu_offload_supported=True)
    assert fits(Weights(10 * GIB), 2048, with_gpu).device == "CUDA1 large"
    assert fits(Weights(10 * GIB), 2048, with_gpu).verdict == "fits"
    assert fits(Weights(10 * GIB), 2048, with_gpu, gpu_layers=0).verdict == "too large"
    small = msgspec.structs.replace(with_gpu, devices=cards[:1])
    assert fits(Weights(5 * GIB), 2048, small).device == "CPU"  # The card's free memory is too little.
    without = msgspec.structs.replace(with_gpu, gpu_offload_supported=False)
    assert fits(Weights(GIB), 2048, without).device == "CPU"


# -- where layers go --------------------------------------------------------------------------------------------------

# Device lists in the form in which the libraries give them: ggml's registry on a machine with CUDA and on a Mac with
# Metal, torch on both.
CARD = Device("CUDA0 NVIDIA GeForce RTX 4060", "CUDA", 8 * GIB, 7 * GIB)
MAC = Device("MTL0 Apple M2", "MTL", 11 * GIB, 11 * GIB)
LAYERED = MemoryFacts(100_000, 50_000, 1000, 10, layers=(GIB // 4,) * 28, output=GIB // 8)


def with_devices(*devices: Device) -> Machine:
    return msgspec.structs.replace(MACHINE, devices=devices, gpu_offload_supported=True)


def test_as_many_layers_as_fit_go_to_the_gpu() -> None:
    model = Weights(8 * GIB, LAYERED)
    fit = fits(model, 4096, with_devices(CARD))
    assert (fit.device, fit.of_layers) == (CARD.name, 29)  # llama.cpp counts the output layer.
    each = GIB // 4 + 100_000 * 4096 // 28
    need = fit.buffers + GIB // 8 + (fit.layers - 1) * each
    assert fit.on_device == need <= 0.8 * CARD.free < need + each
    assert fit.where == f"CUDA0 {fit.layers}/29 layers"
    assert "the rest computes on the CPU" in fit.note
    fewer = fits(model, 4096, with_devices(CARD), gpu_layers=5)
    assert (fewer.layers, fewer.verdict) == (5, "tight")  # What stays must fit into the main memory.
    assert fits(model, 65_536, with_devices(CARD)).layers < fit.layers  # A longer context leaves less.
    assert fits(model, 4096, with_devices(CARD), gpu_layers=29).verdict == "too large"


def test_a_model_that_fits_goes_there_as_a_whole() -> None:
    fit = fits(Weights(2 * GIB, msgspec.structs.replace(LAYERED, layers=(GIB // 16,) * 28)), 4096, with_devices(CARD))
    assert (fit.layers, fit.of_layers, fit.where, fit.verdict) == (29, 29, CARD.name, "fits")
    assert fit.on_device == fit.total


def test_a_card_that_is_full_leaves_the_cpu() -> None:
    full = msgspec.structs.replace(CARD, free=GIB // 8)
    fit = fits(Weights(2 * GIB, LAYERED), 4096, with_devices(full))
    assert (fit.device, fit.layers, fit.where) == ("CPU", 0, "CPU")


def test_what_fits_nowhere_is_too_large() -> None:
    fit = fits(Weights(40 * GIB, msgspec.structs.replace(LAYERED, layers=(GIB,) * 38)), 4096, with_devices(CARD))
    assert fit.verdict == "too large"
    assert 0 < fit.layers < 39


def test_metal_takes_all_or_nothing() -> None:
    fit = fits(Weights(12 * GIB, LAYERED), 4096, with_devices(MAC))
    assert (fit.device, fit.layers, fit.verdict) == ("MTL0 Apple M2", 29, "too large")
    assert fits(Weights(12 * GIB, LAYERED), 4096, with_devices(MAC), gpu_layers=0).device == "CPU"


def test_torch_has_devices_of_its_own() -> None:
    cards = (
        Device("cuda:0 NVIDIA H100", "CUDA", 80 * GIB, 4 * GIB),
        Device("cuda:1 NVIDIA H100", "CUDA", 80, 70 * GIB),
    )
    model = Weights(8 * GIB, LAYERED)
    two = msgspec.structs.replace(MACHINE, torch="2.13.0", torch_devices=cards)
    assert fits_torch(model, 4096, two).where == "cuda:0 NVIDIA H100"  # As torch itself takes the first.
    assert fits_torch(model, 4096, two).verdict == "too large"
    assert fits_torch(model, 4096, two, device="cuda:1").verdict == "fits"
    assert fits_torch(model, 4096, two, device="spread").where == "cuda:1 NVIDIA H100"
    part = fits_torch(model, 4096, msgspec.structs.replace(two, torch_devices=cards[:1]), device="spread")
    assert part.where == f"cuda:0 {part.layers}/28 layers"
    assert 0 < part.layers < 28
    assert fits_torch(model, 4096, two, device="cpu").device == "CPU"
    assert fits_torch(model, 4096, two, device="mps").device == "CPU"
    exact = fits_torch(model, 4096, two, device="cpu", width=2)
    assert (exact.weights, exact.verdict) == (16 * GIB, "too large")


class Torch:
    """As much of torch as is asked; the answers have the form of a machine with two cards, or of a Mac."""

    def __init__(self, cards: list[tuple[str, int, int]], metal: int = 0) -> None:
        self.cuda = SimpleNamespace(
            is_available=lambda: bool(cards),
            device_count=lambda: len(cards),
            mem_get_info=lambda index: cards[index][1:],
            get_device_name=lambda index: cards[index][0],
        )
        self.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: bool(metal)))
        self.mps = SimpleNamespace(recommended_max_memory=lambda: metal, driver_allocated_memory=lambda: 1)


def test_torch_is_asked_through_its_own_calls() -> None:
    assert hardware.torch_devices(Torch([])) == []
    first, second = hardware.torch_devices(Torch([("A card", 5, 9), ("Another", 6, 9)]))
    assert first == {"name": "cuda:0 A card", "kind": "CUDA", "total": 9, "free": 5}
    assert second["name"] == "cuda:1 Another"
    assert hardware.torch_devices(Torch([], 12)) == [{"name": "mps Apple GPU", "kind": "MTL", "total": 12, "free": 11}]


def test_torch_is_asked_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(command: list[str], *_: object) -> hardware._GpuFacts:
        asked.append(command[-1])
        return hardware._GpuFacts()

    monkeypatch.setattr(hardware, "_ask_child", ask)
    monkeypatch.setattr(hardware, "torch_version", lambda: "2.13.0")
    assert machine(refresh=True).torch_note == ""
    assert "torch" not in asked
    assert machine(torch=True).torch_note == "torch finds no GPU (CUDA or Metal)"
    machine(torch=True)
    assert asked.count("torch") == 1
    hardware._gpu_facts.cache_clear()
    hardware._torch_facts.cache_clear()


def test_the_memory_of_the_libraries_alone_is_known() -> None:
    assert 10_000_000 < machine().library_memory < 1_000_000_000


def test_a_header_shows_its_layers(tmp_path: Path) -> None:
    entries = [
        ("token_embd.weight", (32, 10), 0, 0),
        ("blk.0.attn_q.weight", (32, 2), 0, 1280),
        ("blk.1.attn_q.weight", (32, 3), 0, 1536),
        ("output_norm.weight", (32,), 0, 1920),
    ]
    memory = read_header(write(tmp_path / "a.gguf", None, entries, data=2048)).memory
    assert memory.layers == (256, 384)
    assert memory.output == 128 + 1280  # The embeddings serve as the output, too.


def test_a_layer_that_lies_in_two_files_is_one(tmp_path: Path) -> None:
    tensors = {
        1: [("token_embd.weight", (32, 10), 0, 0), ("blk.0.attn_q.weight", (32,), 0, 1280)],
        2: [("blk.0.attn_k.weight", (32,), 0, 0), ("output.weight", (32, 10), 0, 128)],
    }
    for part, listed in tensors.items():
        marks = [("split.no", 2, struct.pack("<H", part - 1)), ("split.count", 2, struct.pack("<H", 2))]
        write(tmp_path / f"m-{part:05}-of-00002.gguf", [*(facts() if part == 1 else []), *marks], listed, data=1408)
    memory = read_header(tmp_path / "m-00001-of-00002.gguf").memory
    assert (memory.layers, memory.output) == ((256,), 1280)


def test_a_header_can_be_weighed(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "a.gguf"))
    fit = fits(header, 128, MACHINE)
    assert (fit.weights, fit.cache) == (header.size, 256 * header.memory.cache_per_token)

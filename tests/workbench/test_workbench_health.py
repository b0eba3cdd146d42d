"""Whether engines work, how to build them for a GPU, and the bundle for whoever helps."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from engines import hardware, selftest
from engines.folder import describe_folder
from engines.hardware import Device, Machine
from engines.header import read_header
from workbench import bundle, health, logs
from workbench.core import Workbench
from workbench.settings import Settings

MACHINE = Machine(
    system="", cpu="", physical_cores=1, logical_cores=1, memory_total=1, memory_free=1, gpu_note="no GPU"
)


def test_the_tiny_models_are_sound(tmp_path: Path) -> None:
    header = read_header(selftest.write_gguf(tmp_path / "tiny.gguf"))
    assert (header.architecture, header.vocabulary, header.quantisation) == ("llama", 258, "F32")
    assert len(header.memory.layers) == selftest.LAYERS
    model = describe_folder(selftest.write_folder(tmp_path / "tiny"))
    assert (model.problem, model.format, model.parameters) == ("", "HF fp32", header.parameters)


def test_an_engine_that_works_says_so() -> None:
    engines = {one.engine: one for one in health.examine_engines(Workbench(Settings()), MACHINE, [])}
    assert set(engines) == {"gguf", "hf", "endpoint"}
    gguf = engines["gguf"]
    assert gguf.self_test.ok, gguf.self_test.said
    assert 0 < gguf.self_test.loading <= gguf.self_test.seconds
    assert gguf.note == "no GPU"
    assert engines["endpoint"].self_test.said == "no endpoint is known"


@pytest.mark.timeout(180)
def test_the_engine_for_safetensors_is_tried_where_it_is_installed() -> None:
    pytest.importorskip("engines.hf")
    hf = health.examine_engines(Workbench(Settings()), MACHINE, [])[1]
    if not hf.installed:
        pytest.skip("torch and transformers are not installed")
    assert hf.self_test.ok, hf.self_test.said


def test_what_was_not_wanted_is_not_tried() -> None:
    for one in health.examine_engines(Workbench(Settings()), MACHINE, [], test=False):
        assert one.self_test.ok is None


def test_an_engine_that_does_not_work_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> Path:
        path.write_bytes(b"GGUF")
        return path

    monkeypatch.setattr(selftest, "write_gguf", broken)
    test = health.examine_engines(Workbench(Settings()), MACHINE, [])[0].self_test
    assert test.ok is False
    assert "self-test.gguf" in test.said
    assert "\n" not in test.said


def test_the_lines_that_build_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "version", lambda name: "0.3.36")
    assert health.build_lines("linux")["CUDA"].startswith('CMAKE_ARGS="-DGGML_CUDA=on" ')
    assert health.build_lines("linux")["CUDA"].endswith(" llama-cpp-python==0.3.36")
    assert list(health.build_lines("darwin")) == ["Metal"]
    assert "--force-reinstall --no-cache-dir" in health.build_lines("darwin")["Metal"]
    gpu = Device("CUDA0 A card", "CUDA", 2, 1)
    there = Machine(
        system="", cpu="", physical_cores=1, logical_cores=1, memory_total=1, memory_free=1, devices=(gpu,),
        gpu_offload_supported=True,
    )  # fmt: skip
    assert health.examine_engines(Workbench(Settings()), there, [], test=False)[0].install == ()
    assert health.examine_engines(Workbench(Settings()), MACHINE, [], test=False)[0].install


# -- the bundle -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://user:pass@host/v1?key=abc#x", "https://host/v1"),
        ("Authorization: Bearer abc.def", "Authorization: (left out)"),
        ("hf_abcdefgh12345 and sk-proj-12345678", "(left out) and (left out)"),
        ("api_key=12345, then", "(left out) then"),
        ("a token is a word", "a token is a word"),
        ("nothing here", "nothing here"),
    ],
)
def test_secrets_are_left_out_of_texts(text: str, clean: str) -> None:
    assert bundle.without_secrets(text) == clean


def test_secrets_are_left_out_of_values(home: Path) -> None:
    given = {
        "api_key": "12345", "empty_token": "", "keys": {"models.load": "l"}, "endpoints": ["http://u:p@h:1/v1"],
        "folder": str(Path.home() / "x"), "threads": 2, "auth": {"user": "me"},
    }  # fmt: skip
    assert bundle.redacted(given) == {
        "api_key": bundle.LEFT_OUT, "empty_token": "", "keys": {"models.load": "l"}, "endpoints": ["http://h:1/v1"],
        "folder": "~/x", "threads": 2, "auth": bundle.LEFT_OUT,
    }  # fmt: skip


def test_log_lines_keep_no_answers(tmp_path: Path) -> None:
    logger = logs.start(tmp_path / "log.txt")
    logger.info("engine: llama_model_loader: loaded meta data")
    try:
        raise ValueError("could not read the answer: 我的祖母\nsecond line of the answer")
    except ValueError:
        logger.exception("audit 3f2")
    logger.info("x" * 5000)
    kept = bundle.filtered(logs.tail(tmp_path / "log.txt"))
    assert kept[0].endswith("INFO engine: llama_model_loader: loaded meta data")
    assert kept[1].endswith("ERROR audit 3f2")
    assert any("test_workbench_health.py" in line for line in kept)
    assert "ValueError" in kept
    assert not any("祖母" in line or "second line" in line for line in kept)
    assert len(kept[-1]) == 240


def test_the_bundle_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    names = bundle.write_bundle(path, {"settings": {"token": "x"}, "python": "3"}, ["no line of the log"])
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as opened:
        assert opened.namelist() == names == ["doctor.json", "packages.txt", "log.txt"]
        assert json.loads(opened.read("doctor.json")) == {"settings": {"token": bundle.LEFT_OUT}, "python": "3"}
        assert b"msgspec==" in opened.read("packages.txt")
        assert opened.read("log.txt") == b"\n"


def test_what_was_taken_is_measured_against_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    from scripted import Scripted

    class Heavy(Scripted):
        def memory(self) -> int:
            return 300

    def facing(free: int) -> Machine:
        return Machine(
            system="", cpu="", physical_cores=1, logical_cores=1, memory_total=1, memory_free=1, library_memory=100,
            devices=(Device("CUDA0", "CUDA", 1000, free),), gpu_offload_supported=True,
        )  # fmt: skip

    monkeypatch.setattr(hardware, "machine", lambda **_: facing(400))
    taken = Workbench(Settings()).taken(Heavy("one"), facing(900))
    assert (taken.memory, taken.libraries, taken.device) == (300, 100, 500)


def test_automatic_layers_become_a_number_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.base import LoadOptions
    from engines.describe import CatalogModel
    from engines.header import MemoryFacts

    gib = 1 << 30
    core = Workbench(Settings())
    memory = MemoryFacts(1000, 1000, 10, 1, layers=(gib,) * 8, output=1000)
    model = CatalogModel(name="a", path="/a.gguf", size=9 * gib, memory=memory)

    def with_free(free: int) -> None:
        found = Machine(
            system="", cpu="", physical_cores=1, logical_cores=1, memory_total=64 * gib, memory_free=32 * gib,
            devices=(Device("CUDA0", "CUDA", free, free),), gpu_offload_supported=True,
        )  # fmt: skip
        monkeypatch.setattr(hardware, "machine", lambda **_: found)

    with_free(80 * gib)
    assert core.placed(model, LoadOptions()).gpu_layers == -1  # All of them: llama.cpp's own word for it.
    with_free(6 * gib)
    assert core.placed(model, LoadOptions()).gpu_layers == 5  # The output layer and four others.
    assert core.placed(model, LoadOptions(gpu_layers=7)).gpu_layers == 7
    with_free(gib // 100)
    assert core.placed(model, LoadOptions()).gpu_layers == 0
    monkeypatch.setattr(hardware, "machine", lambda **_: MACHINE)
    assert core.placed(model, LoadOptions()).gpu_layers == -1

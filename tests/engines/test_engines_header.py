"""The GGUF header: what it says of good files, and that bad ones give one clear line and nothing else."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_gguf import DATA, TENSORS, build, facts, number, numbers, string, strings, text, write

from engines.base import EngineError
from engines.gguf_format import MAX_STRINGS
from engines.header import ArrayInfo, read_header, split_part

HUGE = (1 << 64) - 1


def refused(path: Path, data: bytes | None = None) -> str:
    """The one line that says why the file is refused."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(EngineError) as caught:
        read_header(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_what_a_good_file_says(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "tiny.gguf"))
    assert (header.version, header.tensor_count, header.architecture, header.name) == (3, 2, "llama", "Tiny")
    assert header.parameters == 32 * 10 + 32
    assert header.quantisation == "Q8_0"  # Nothing is said: the type of most elements.
    assert header.format == "GGUF Q8_0"
    assert (header.context_length, header.vocabulary) == (128, 10)
    assert header.chat_template == "{{ messages[0].content }}"
    assert header.metadata["general.languages"] == ArrayInfo("string", 2, ("en", "zh"))
    # Two layers, two key/value heads, keys and values of 32 / 4 = 8 numbers, two bytes each.
    assert header.memory.cache_per_token == 2 * 2 * (8 + 8) * 2
    assert header.parts == (str(tmp_path / "tiny.gguf"),)


def test_version_two_is_read_the_same_way(tmp_path: Path) -> None:
    assert read_header(write(tmp_path / "a.gguf", version=2)).version == 2


def test_a_file_from_the_gguf_package(tmp_path: Path) -> None:
    path = tmp_path / "made.gguf"
    writer = gguf.GGUFWriter(str(path), "gemma3")
    writer.add_name("Made")
    writer.add_block_count(3)
    writer.add_context_length(2048)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv([1, 2, 4])
    writer.add_key_length(256)
    writer.add_value_length(128)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q4_K_M))
    writer.add_token_list([f"t{index}" for index in range(300)])
    writer.add_token_scores([0.5] * 300)
    writer.add_tensor("token_embd.weight", np.zeros((300, 64), np.float32))
    writer.add_tensor("half", np.zeros((5, 64), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(path)
    assert (header.architecture, header.quantisation, header.vocabulary) == ("gemma3", "Q4_K_M", 300)
    assert header.parameters == 305 * 64
    assert header.memory.cache_per_token == 2 * (1 + 2 + 4) * (256 + 128)
    assert header.metadata["tokenizer.ggml.tokens"] == ArrayInfo("string", 300)
    assert header.chat_template == ""


def test_exact_weights_count_an_exact_cache(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", facts("Tiny", number("general.file_type", 0)))
    assert read_header(path).quantisation == "F32"
    assert read_header(path).memory.cache_per_token == 2 * 2 * (8 + 8) * 4


def test_long_vocabularies_are_skipped_across_windows(tmp_path: Path) -> None:
    tokens = ["x" * (index % 97) for index in range(20_000)]  # About one megabyte: several windows.
    entries = [*facts()[:-2], strings("tokenizer.ggml.tokens", tokens), string("after", "it")]
    header = read_header(write(tmp_path / "a.gguf", entries))
    assert header.vocabulary == 20_000
    assert header.metadata["after"] == "it"


def test_names_are_made_safe_and_long_strings_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", facts("bad\x1b[2J\u202ename\n2", string("general.description", "d" * 100_000)))
    header = read_header(path)
    assert header.name == "bad[2Jname 2"
    assert len(str(header.metadata["general.description"])) == 4096


def test_files_that_are_not_models(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    assert "does not exist" in refused(path)
    assert "does not exist" in refused(tmp_path / "file" / "a.gguf")
    assert "folder" in refused(tmp_path)
    assert "is empty" in refused(path, b"")
    assert "not a GGUF file" in refused(path, b"GG")
    assert "not a GGUF file" in refused(path, b"This is a text file with a wrong name.\n")
    assert "Git LFS" in refused(path, b"version https://git-lfs.github.com/spec/v1\n")
    fifo = tmp_path / "fifo.gguf"
    os.mkfifo(fifo)
    assert "not a regular file" in refused(fifo)
    with pytest.raises(EngineError, match="cannot be read"):
        read_header(Path("a\0b.gguf"))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.gguf")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # Who runs the tests as root may open everything.
    assert "no permission" in refused(path)


def test_versions(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    assert "version 1" in refused(path, build(version=1))
    assert "version 4" in refused(path, build(version=4))
    assert "big-endian" in refused(path, b"GGUF" + struct.pack(">IQQ", 3, 2, 9) + bytes(100))


def test_absurd_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    assert "metadata entries" in refused(path, build(entry_count=HUGE))
    assert "metadata entries" in refused(path, build(entry_count=4000))
    assert "tensors" in refused(path, build(tensor_count=HUGE))
    assert "tensors" in refused(path, build(tensor_count=60_000))
    assert "layers" in refused(path, build([string("general.architecture", "x"), number("x.block_count", 5000)]))
    longest = ("x.context_length", 10, struct.pack("<Q", HUGE))
    assert "makes no sense" in refused(path, build([string("general.architecture", "x"), longest]))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (("k", 8, struct.pack("<Q", HUGE)), "bytes"),
        (("k", 13, b""), "unknown type 13"),
        (("k", 9, struct.pack("<IQ", 4, HUGE)), "elements"),
        (("k", 9, struct.pack("<IQ", 8, HUGE)), "elements"),
        (("k", 9, struct.pack("<IQ", 99, 1)), "unknown type 99"),
        (("k", 9, struct.pack("<IQ", 9, 1 << 40)), "elements"),
        (("k", 9, struct.pack("<IQ", 9, 1) * 5 + struct.pack("<IQ", 4, 0)), "nested too deep"),
        (("k", 9, struct.pack("<IQ", 8, 300) + text("a") * 299 + struct.pack("<Q", HUGE)), "end of the file"),
        (("general.alignment", 4, struct.pack("<I", 0)), "alignment"),
        (("general.alignment", 4, struct.pack("<I", 48)), "alignment"),
        (("general.alignment", 4, struct.pack("<I", 1 << 30)), "alignment"),
        (("general.alignment", 8, text("32")), "alignment"),
        (("general.name", 8, text("again")), "twice"),
        (("k" * 2000, 4, bytes(4)), "more than the 1,024"),
        (("tokenizer.chat_template2", 5, struct.pack("<i", 1)), ""),
    ],
)
def test_bad_metadata(tmp_path: Path, entry: tuple[str, int, bytes], says: str) -> None:
    path = tmp_path / "a.gguf"
    data = build([*facts(), entry])
    if says:
        assert says in refused(path, data)
    else:
        path.write_bytes(data)
        assert read_header(path).metadata[entry[0]] == 1


def test_missing_architecture(tmp_path: Path) -> None:
    assert "architecture" in refused(tmp_path / "a.gguf", build(facts()[1:]))


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (("t" * 64, (32,), 0, 480), "more than the 63"),
        (("token_embd.weight", (32,), 0, 480), "twice"),
        (("t", (1, 1, 1, 1, 1), 0, 480), "5 dimensions"),
        (("t", (0,), 0, 480), "make no sense"),
        (("t", (1 << 40, 1 << 40), 0, 480), "make no sense"),
        (("t", (1 << 62, 2), 0, 480), "make no sense"),
        (("t", (32,), 77, 480), "unknown type 77"),
        (("t", (32,), 31, 480), "no longer reads"),
        (("t", (33,), 8, 480), "multiple of the 32"),
        (("t", (32,), 0, 481), "does not begin at a multiple"),
        (("t", (32,), 0, 480), "cut off"),
        (("t", (32,), 0, HUGE - 31), "cut off"),
        (("t", (32,), 0, 320), "inside another"),
    ],
)
def test_bad_tensors(tmp_path: Path, tensor: tuple[str, tuple[int, ...], int, int], says: str) -> None:
    assert says in refused(tmp_path / "a.gguf", build(tensors=[*TENSORS, tensor]))


def test_truncated_by_one_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    message = refused(path, build(data=DATA - 1))
    assert "cut off" in message
    assert "output_norm.weight" in message
    path.write_bytes(build())
    read_header(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.gguf", build()
    for length in range(0, len(whole), 7):
        refused(path, whole[:length])


def test_a_file_of_empty_strings_ends_soon(tmp_path: Path) -> None:
    """A sparse file whose zeros read as hundreds of millions of empty strings is refused by its count."""
    path = tmp_path / "a.gguf"
    path.write_bytes(build([("k", 9, struct.pack("<IQ", 8, MAX_STRINGS + 1))], ()))
    os.truncate(path, 1 << 31)
    assert "makes no sense" in refused(path)


def test_memory_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(build([("k", 8, struct.pack("<Q", 1 << 30)), ("j", 9, struct.pack("<IQ", 0, 1 << 30))], ()))
    os.truncate(path, 3 << 30)
    tracemalloc.start()
    refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def split(folder: Path, count: int, parts: tuple[int, ...]) -> Path:
    """The parts of a split model that are asked for; returns the path of the first."""
    for part in parts:
        entries = facts() if part == 1 else []
        marks = [("split.no", 2, struct.pack("<H", part - 1)), ("split.count", 2, struct.pack("<H", count))]
        tensors = [(f"part{part}.weight", (32,), 0, 0)]
        write(folder / f"m-{part:05}-of-{count:05}.gguf", [*entries, *marks], tensors, data=128)
    return folder / f"m-00001-of-{count:05}.gguf"


def test_split_models(tmp_path: Path) -> None:
    first = split(tmp_path, 3, (1, 2))
    message = refused(first)
    assert "m-00003-of-00003.gguf is missing" in message
    split(tmp_path, 3, (3,))
    header = read_header(first)
    assert (header.parameters, header.tensor_count, len(header.parts)) == (96, 3, 3)
    assert header.size == sum(Path(part).stat().st_size for part in header.parts)
    second = tmp_path / "m-00002-of-00003.gguf"
    assert "give the first one, m-00001-of-00003.gguf" in refused(second)
    assert split_part(second) == 2
    assert split_part(Path("m.gguf")) == 0
    renamed = first.rename(tmp_path / "other.gguf")
    assert "its name must end in -00001-of-00003.gguf" in refused(renamed)
    renamed.rename(first)
    second.write_bytes((tmp_path / "m-00003-of-00003.gguf").read_bytes())
    with pytest.raises(EngineError, match="not part 2 of 3"):
        read_header(first)


VALID = build(facts("Tiny", numbers("n", range(5)), ("nested", 9, struct.pack("<IQIQi", 9, 1, 5, 1, 7))))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutations_give_nothing_but_engine_errors(tmp_path: Path, data: st.DataObject) -> None:
    mutated = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        piece = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, bytes(8)])))
        mutated[at : at + len(piece)] = piece
    if data.draw(st.booleans()):
        del mutated[data.draw(st.integers(0, len(mutated))) :]
    path = tmp_path / "mutated.gguf"
    path.write_bytes(mutated)
    message = ""
    tracemalloc.start()
    try:
        read_header(path)
    except EngineError as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert "\n" not in message
    assert peak < 4 << 20

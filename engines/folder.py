"""What a folder with a Hugging Face model says about itself: its config, weights, tokenizer and model card.

Everything in it is untrusted: texts are read up to a limit, JSON up to a depth, numbers are checked, names of files may
not lead out of the folder, and no library that could run code is asked. Nothing but `EngineError` comes out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError
from engines.describe import CatalogModel, known_licence
from engines.files import file_error, os_error, printable
from engines.header import MAX_LAYERS, MemoryFacts
from engines.safetensors_format import SafetensorsHeader, read_safetensors, short_type

MAX_CONFIG = 4 << 20
MAX_INDEX = 32 << 20
MAX_TOKENIZER = 32 << 20
MAX_TEMPLATE = 1 << 20
MAX_CARD = 1 << 20
MAX_FRONT = 64 << 10
MAX_JSON_DEPTH = 64
MAX_FILES = 999
_INT32 = (1 << 31) - 1

SAFETENSORS = ".safetensors"
INDEX = "model.safetensors.index.json"
_PICKLE = re.compile(r"(pytorch_model|model|consolidated).*\.(bin|pt|pth|ckpt)", re.IGNORECASE)
_WRITES = re.compile(r"(CausalLM|ForConditionalGeneration|LMHeadModel|ForImageTextToText)$")
_EMBEDS = re.compile(r"(Model|ForMaskedLM|ForSequenceClassification|ForTokenClassification|Encoder)$")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,4})\.")


def is_folder_model(folder: Path, names: set[str]) -> bool:
    """Whether a folder with these files holds a model (usable or not) of the Hugging Face layout."""
    if "model_index.json" in names or "adapter_config.json" in names:
        return True
    return "config.json" in names and any(name.endswith(SAFETENSORS) or _PICKLE.fullmatch(name) for name in names)


def is_whole(names: set[str]) -> bool:
    """Whether folders inside a folder with these files are parts of the model and no models themselves."""
    return bool(names & {"model_index.json", "modules.json"})


def describe_folder(folder: Path) -> CatalogModel:
    """The model in a folder, with its `problem` where it cannot be asked.

    Raises `EngineError` where the folder is none of a model, or its files cannot be read or contradict themselves.
    """
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise os_error(folder, error) from error
    base = CatalogModel(name=folder.name, path=str(folder), engine="hf", format="HF")
    for mark, problem in (
        ("model_index.json", "is a diffusion model, which makes pictures and no text"),
        ("adapter_config.json", "is an adapter (LoRA): it needs its base model, and is not loaded alone"),
        ("modules.json", "is an embedding model (sentence-transformers), which writes no text"),
    ):
        if mark in names:
            return msgspec.structs.replace(base, problem=problem)
    if "config.json" not in names:
        raise file_error(
            folder,
            "is a folder, but not of a model (no config.json): give a .gguf file or the folder of a model, or find "
            "those in it with `models scan`",
        )
    config = read_json(folder / "config.json", MAX_CONFIG)
    card = _front_matter(folder, names)
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else ""
    base = msgspec.structs.replace(
        base,
        architecture=printable(_text(config, "model_type") or (first if isinstance(first, str) else ""), 40),
        context=_number(folder, config, "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"),
        vocabulary=_number(folder, config, "vocab_size"),
        licence=known_licence(_text(card, "license")),
        licence_note=_licence_note(card),
        languages=_languages(card.get("language")),
        template=_has_template(folder, names),
        remote_code=_asks_for_code(config),
    )
    weights = weight_files(folder, names)
    if not weights:
        return msgspec.structs.replace(base, problem=_no_weights(names))
    headers = [read_safetensors(path) for path in weights]
    return _with_weights(folder, base, config, headers, first if isinstance(first, str) else "")


def weight_files(folder: Path, names: set[str]) -> list[Path]:
    """The safetensors files that transformers would load, in the order of their names; [] where there are none.

    Raises `EngineError` for an index that names files which are not there, or that lead elsewhere.
    """
    if INDEX in names:
        index = read_json(folder / INDEX, MAX_INDEX)
        table = index.get("weight_map")
        wanted = sorted({name for name in table.values() if isinstance(name, str)}) if isinstance(table, dict) else []
        if not wanted or len(wanted) > MAX_FILES:
            raise file_error(folder / INDEX, "is damaged: it names no weight files; download it again")
        for name in wanted:
            if not name.endswith(SAFETENSORS) or Path(name).name != name or "\\" in name:
                raise file_error(folder / INDEX, f"names {printable(name)}, which is no safetensors file beside it")
            if name not in names:
                raise file_error(folder, f"needs all its {len(wanted)} files: {printable(name)} is missing")
        return [folder / name for name in wanted]
    return [folder / "model.safetensors"] if "model.safetensors" in names else []


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes. Raises `EngineError`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise os_error(path, error) from error
    if len(data) > limit:
        raise file_error(path, f"has more than the {limit:,} bytes that make sense")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise file_error(
            path, f"is no JSON that can be read ({printable(str(error), 60)}): download it again"
        ) from error
    if not isinstance(value, dict) or _depth(value) > MAX_JSON_DEPTH:
        raise file_error(path, "is no reasonable JSON object: download it again")
    return value


def _depth(value: object) -> int:
    """How deep lists and objects are nested, without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        if depth > MAX_JSON_DEPTH:
            break
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        waiting += [(part, depth + 1) for part in inner if isinstance(part, dict | list)]
    return deepest


def _with_weights(
    folder: Path, base: CatalogModel, config: dict[str, Any], headers: list[SafetensorsHeader], architecture: str
) -> CatalogModel:
    elements: Counter[str] = Counter()
    layers: Counter[int] = Counter()
    for header in headers:
        elements.update(header.elements)
        for name, size in header.sizes.items():
            if "vision" not in name and (found := _LAYER.search(name)):
                layers[int(found[1])] += size
    kind = short_type(dict(elements))
    quantised = _quantised(config)
    size = sum(header.size for header in headers)
    memory = _memory(folder, config, "32" in kind or "64" in kind, base.vocabulary)
    if len(layers) <= MAX_LAYERS:
        memory = msgspec.structs.replace(memory, layers=tuple(layers[number] for number in sorted(layers)))
    return msgspec.structs.replace(
        base,
        format=f"HF {quantised or kind}".rstrip(),
        # Packed weights hold several numbers in one element: their count says nothing.
        parameters=0 if quantised else sum(elements.values()),
        size=size,
        parts=tuple(header.path for header in headers),
        memory=memory,
        problem=_unusable(config, architecture, base.vocabulary),
    )


def _unusable(config: dict[str, Any], architecture: str, vocabulary: int) -> str:
    if config.get("is_encoder_decoder") is True:
        return "is an encoder-decoder model; only models that continue a text can be asked"
    if architecture and not _WRITES.search(architecture) and _EMBEDS.search(architecture):
        return f"is a {printable(architecture, 40)}, which writes no text (an embedding model or classifier)"
    return "" if vocabulary else "does not say its vocabulary (vocab_size in config.json), so it is no language model"


def _no_weights(names: set[str]) -> str:
    if any(name.endswith(SAFETENSORS) for name in names):
        return "its safetensors files are not called model.safetensors, nor is there an index of them"
    return (
        "has its weights as pickle files only, which can run code when they are loaded: safetensors are needed "
        "(get a revision that has them)"
    )


def _inner(config: dict[str, Any]) -> dict[str, Any]:
    """The part that is about text, in models for several kinds of input."""
    found = (config.get(key) for key in ("text_config", "llm_config", "language_config"))
    return next((inner for inner in found if isinstance(inner, dict)), {})


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _number(folder: Path, config: dict[str, Any], *keys: str) -> int:
    """The first of the whole numbers that is there; 0 where none is. Raises `EngineError` for one that cannot be."""
    for values in (config, _inner(config)):
        for key in keys:
            value = values.get(key)
            if isinstance(value, bool) or not isinstance(value, int):
                continue
            if not 0 <= value <= _INT32:
                raise file_error(folder / "config.json", f"says {key} is {str(value)[:20]}, which makes no sense")
            return value
    return 0


def _memory(folder: Path, config: dict[str, Any], exact: bool, vocabulary: int) -> MemoryFacts:
    def number(*keys: str) -> int:
        return _number(folder, config, *keys)

    layers = number("num_hidden_layers", "n_layer")
    if layers > MAX_LAYERS:
        raise file_error(folder / "config.json", f"claims {layers:,} layers: at most {MAX_LAYERS:,} make sense")
    embedding, heads = number("hidden_size", "n_embd"), number("num_attention_heads", "n_head")
    width = number("head_dim") or embedding // max(1, heads)
    cached = (number("num_key_value_heads") or heads) * width * 2 * layers
    return MemoryFacts(cached * (4 if exact else 2), vocabulary, embedding, heads)


def _asks_for_code(config: dict[str, Any]) -> bool:
    """Whether the model brings code of its own that it wants to be run."""
    wanted = config.get("auto_map")
    return isinstance(wanted, dict) and any(str(key).startswith("AutoModel") for key in wanted)


def _quantised(config: dict[str, Any]) -> str:
    """How the weights were quantised: `gptq 4-bit`; "" when they were not."""
    about = config.get("quantization_config")
    if not isinstance(about, dict):
        return ""
    bits = about.get("bits", about.get("w_bit"))
    if about.get("load_in_4bit") is True:
        bits = 4
    elif about.get("load_in_8bit") is True:
        bits = 8
    method = printable(_text(about, "quant_method"), 20) or "quantised"
    return f"{method} {bits}-bit" if isinstance(bits, int) and 0 < bits <= 32 else method


def _has_template(folder: Path, names: set[str]) -> bool:
    if "chat_template.jinja" in names or "chat_template.json" in names:
        return True
    if "tokenizer_config.json" not in names:
        return False
    return bool(read_json(folder / "tokenizer_config.json", MAX_TOKENIZER).get("chat_template"))


def _front_matter(folder: Path, names: set[str]) -> dict[str, Any]:
    """What the model card says between its first two `---` of licence and languages; {} where it says nothing.

    Only those keys are given to the YAML reader: the rest (results, often long) is nobody's business here.
    """
    if "README.md" not in names:
        return {}
    try:
        with (folder / "README.md").open("rb") as file:
            text = file.read(MAX_CARD).decode("utf-8", "replace")
    except OSError:
        return {}  # A card is not needed.
    return front_matter(text)


def front_matter(text: str) -> dict[str, Any]:
    """Licence and languages from the YAML at the beginning of a model card."""
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}
    kept: list[str] = []
    wanted = False
    for line in lines[1:]:
        if line.strip() == "---":
            break
        if line[:1].isalpha():
            wanted = line.startswith(("license:", "license_name:", "license_link:", "language:"))
        if wanted:
            kept.append(line)
    block = "\n".join(kept)
    if not block or len(block) > MAX_FRONT:
        return {}
    import yaml

    try:
        value = yaml.safe_load(block)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _languages(value: object) -> tuple[str, ...]:
    # YAML reads the code of Norwegian as "no", which is False.
    said = value if isinstance(value, list) else [value]
    texts = ("no" if one is False else printable(one, 40) if isinstance(one, str) else "" for one in said[:200])
    return tuple(dict.fromkeys(text for text in texts if text))


def _licence_note(card: dict[str, Any]) -> str:
    notes = (_text(card, "license_name"), _text(card, "license_link"))
    return printable(" · ".join(note for note in notes if note), 200)


def folder_error(folder: Path, error: EngineError) -> CatalogModel:
    """The entry of a folder whose files contradict themselves."""
    return CatalogModel(name=folder.name, path=str(folder), engine="hf", format="HF", problem=str(error))

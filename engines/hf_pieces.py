"""The bytes behind each token of a Hugging Face tokenizer: an answer is shown a whole character at a time."""

from __future__ import annotations

import json
import re
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Pieces:
    """Bytes of tokens. Byte-level vocabularies (GPT-2's kind) write each byte as a letter; SentencePiece's kind writes
    spaces as U+2581 and bytes as `<0x..>`; added tokens are written as they are."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        facts: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
        decoder = json.dumps(facts.get("decoder") or {})
        self._byte_level = "ByteLevel" in decoder
        self._added = {int(token): added for token, added in tokenizer.added_tokens_decoder.items()}
        self._letters = _letters() if self._byte_level else {}

    def bytes_of(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that the token stands for; of control tokens none, unless `special`."""
        if (added := self._added.get(token)) is not None:
            return b"" if added.special and not special else str(added).encode()
        text = self._tokenizer.convert_ids_to_tokens(token)
        if text is None:  # the model's vocabulary is often wider than the tokenizer's
            return b""
        if self._byte_level:
            return bytes(self._letters[letter] for letter in text if letter in self._letters)
        if found := _BYTE.fullmatch(text):
            return bytes([int(found.group(1), 16)])
        return bytes(text.replace("\u2581", " ").encode())


def _letters() -> dict[str, int]:
    """The letter that a byte-level vocabulary writes for each byte: printable ones as they are, the others from
    U+0100 on (Radford et al. 2019, code of GPT-2)."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    letters = {chr(byte): byte for byte in plain}
    letters |= {chr(256 + place): byte for place, byte in enumerate(sorted(set(range(256)) - plain))}
    return letters

"""An answer as it is written: bytes of tokens in, whole characters out."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Writer:
    """Holds back the bytes of an unfinished character, and what may be the beginning of a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [text for text in stop if text]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """Whether a stop string was written; nothing of it, and nothing after it, came out."""

    def add(self, piece: bytes) -> str:
        """The text that can be shown now that these bytes are there."""
        text = self._held + self._decoder.decode(piece)
        ends = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        keep = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), 0, -1):
                if stop.startswith(text[-size:]):
                    keep = max(keep, size)
                    break
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was held back, at the end of the answer."""
        text, self._held = self._held + self._decoder.decode(b"", final=True), ""
        return text

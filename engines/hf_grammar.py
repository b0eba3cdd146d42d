"""JSON schemas as token masks, through llguidance (`engines.sampling.Grammar`)."""

from __future__ import annotations

from typing import Any

import llguidance
import llguidance.hf
import llguidance.numpy as masks
import numpy as np
from numpy.typing import NDArray

from engines.base import EngineError


class Grammars:
    """Makes grammars for one tokenizer. The first costs about a second, for the tokenizer's trie."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: list[int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._ends = ends
        self._known: Any = None

    def of(self, schema: str) -> SchemaGrammar:
        """Raises EngineError for a schema, or a tokenizer, that cannot be used."""
        try:
            if self._known is None:
                self._known = llguidance.hf.from_tokenizer(
                    self._tokenizer, n_vocab=self._vocabulary, eos_token=self._ends or None
                )
            # Between its parts JSON may have any white space, and small models then write nothing else.
            grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
            matcher = llguidance.LLMatcher(self._known, grammar)
        except (RuntimeError, TypeError, ValueError) as error:
            raise EngineError(f"the JSON schema cannot be used: {_line(error)}") from error
        if matcher.is_error():
            raise EngineError(f"the JSON schema cannot be used: {_line(matcher.get_error())}")
        return SchemaGrammar(matcher, self._vocabulary)


class SchemaGrammar:
    """One answer's way through its schema."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher = matcher
        self._bits = masks.allocate_token_bitmask(1, vocabulary)
        self._vocabulary = vocabulary
        self._fresh = False

    def allowed(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `Grammar.allowed`."""
        if not self._fresh:
            masks.fill_next_token_bitmask(self._matcher, self._bits)
            if self._matcher.is_error():
                raise EngineError(f"the JSON schema cannot be kept to: {_line(self._matcher.get_error())}")
            self._fresh = True
        words = self._bits[0].view(np.uint32)
        return np.asarray((words[tokens // 32] >> (tokens % 32).astype(np.uint32)) & 1, dtype=np.bool_)

    def accept(self, token: int) -> None:
        """See `Grammar.accept`."""
        self._matcher.consume_token(token)
        self._fresh = False

    def close(self) -> None:
        """See `Grammar.close`."""


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200]

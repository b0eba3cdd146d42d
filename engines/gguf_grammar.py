"""Grammars of llama.cpp for constrained answers (`engines.sampling.Grammar`)."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from engines.base import EngineError


class LlamaGrammar:
    """A JSON schema as a llama.cpp grammar over the vocabulary `vocab`."""

    def __init__(self, vocab: Any, schema: str) -> None:
        """Raises EngineError for a schema that cannot be used."""
        from llama_cpp.llama_grammar import json_schema_to_gbnf

        try:
            text = json_schema_to_gbnf(schema)
        except (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise EngineError(f"the JSON schema cannot be used: {error}") from error
        self._grammar = llama_cpp.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        if not self._grammar:
            raise EngineError("the JSON schema cannot be used: llama.cpp does not take its grammar")

    def allowed(self, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `Grammar.allowed`."""
        candidates = (llama_cpp.llama_token_data * len(tokens))()
        view = np.ctypeslib.as_array(
            ctypes.cast(candidates, ctypes.POINTER(ctypes.c_uint8)),
            shape=(len(tokens) * ctypes.sizeof(llama_cpp.llama_token_data),),
        ).view(np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)]))
        view["id"] = tokens
        view["logit"] = 0.0
        array = llama_cpp.llama_token_data_array(candidates, len(tokens), -1, False)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return np.asarray(np.isfinite(view["logit"]))

    def accept(self, token: int) -> None:
        """See `Grammar.accept`."""
        llama_cpp.llama_sampler_accept(self._grammar, token)

    def close(self) -> None:
        """See `Grammar.close`."""
        if self._grammar is not None:
            llama_cpp.llama_sampler_free(self._grammar)
            self._grammar = None

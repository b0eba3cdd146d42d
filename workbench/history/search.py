"""Full-text search that knows scripts without spaces, and never sees a user's text as query syntax.

Texts are cut into tokens here and the index (FTS5, which only splits at spaces) sees nothing else. Words are folded
(case, width, accents) and found by their beginning. In scripts written without spaces every pair of neighbouring
characters is a token, and the last character of a run one of its own: a word of two characters is one look-up, longer
ones are phrases of overlapping pairs, and a single character is the beginning of a pair.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from typing import Any

from workbench.history.chain import written_text
from workbench.history.rows import Hit

# Ideographs, kana, bopomofo, Hangul (particles stick to words), Thai, Lao, Khmer, Myanmar: searched by pairs.
_UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u30fa\u30fc-\u318f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f"
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0eff\u1000-\u109f\u1780-\u17d3"
    "\U0001aff0-\U0001b16f\U00020000-\U0003fffd"
)
# Marks that belong to the letter before them, which `\w` leaves out: combining accents, Hebrew and Arabic points, and
# the vowel signs of the Indic scripts.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0963\u0970-\u0df3\u0f18-\u0fbc\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d"
)
_RUNS = re.compile(rf"([{_UNSPACED}]+)|((?:(?![{_UNSPACED}_])[\w{_MARKS}])+)")
_ACCENTS = re.compile("[\u0300-\u036f\u200c\u200d]")
_SNIPPET = 60
"""Characters of a snippet."""
_LONGEST = 64
"""Longer tokens are cut: nobody searches for them, and model output holds them."""


def fold(word: str) -> str:
    """A word as the index knows it: compatibility forms, case and Latin accents removed."""
    if word.isascii():
        return word.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", word))
    return unicodedata.normalize("NFKC", bare.casefold())


def _fold_unspaced(run: str) -> str:
    """Compatibility forms removed character by character, so that positions stay (but for decomposed input)."""
    run = unicodedata.normalize("NFC", run)
    plain = (unicodedata.normalize("NFKC", character) for character in run)
    return "".join(new if len(new) == 1 else old for old, new in zip(run, plain, strict=True))


def _runs(text: str) -> Iterator[tuple[bool, str, int, int]]:
    """The words of a text: (whether its script has no spaces, folded, start, end)."""
    for match in _RUNS.finditer(text):
        if match[1] is not None:
            yield True, _fold_unspaced(match[1]), match.start(), match.end()
        else:
            # Folding may bring spaces or quotes (a letter with a spacing accent): they separate words.
            for part in fold(match[0]).replace('"', " ").split():
                yield False, part, match.start(), match.end()


def index_text(text: str) -> str:
    """The tokens of a text, separated by spaces, for the index."""
    tokens: list[str] = []
    for unspaced, word, _, _ in _runs(text):
        if unspaced:
            tokens += [word[i : i + 2] for i in range(len(word))]
        else:
            tokens.append(word[:_LONGEST])
    return " ".join(tokens)


def _query_words(text: str) -> list[tuple[bool, str]]:
    return list(dict.fromkeys((unspaced, word) for unspaced, word, _, _ in _runs(text)))


def match_expression(text: str) -> str:
    """The FTS5 query for a user's text: all of its words, in any order; "" when it holds none."""
    parts: list[str] = []
    for unspaced, word in _query_words(text):
        if not unspaced:
            parts.append(f'"{word[:_LONGEST]}"' + ("*" if len(word) > 1 else ""))
        elif len(word) == 1:
            parts.append(f'"{word}"*')
        else:
            parts.append('"' + " ".join(word[i : i + 2] for i in range(len(word) - 1)) + '"')
    return " ".join(parts)


def find_spans(text: str, query: str) -> list[tuple[int, int]]:
    """Where the words of `query` stand in `text`: (start, end) in characters, in order, not overlapping."""
    words = _query_words(query)
    spans: list[tuple[int, int]] = []
    for unspaced, found, start, end in _runs(text):
        for wanted_unspaced, wanted in words:
            if unspaced != wanted_unspaced:
                continue
            if not unspaced:
                if found == wanted or (len(wanted) > 1 and found.startswith(wanted[:_LONGEST])):
                    length = len(wanted) if end - start == len(found) else end - start
                    spans.append((start, start + length))
            elif end - start == len(found):
                at = found.find(wanted)
                while at >= 0:
                    spans.append((start + at, start + at + len(wanted)))
                    at = found.find(wanted, at + len(wanted))
            elif wanted in found:
                spans.append((start, end))
    kept: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def snippet(text: str, query: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The part of `text` around the first find, and the places in it; raw text without any mark-up."""
    spans = find_spans(text, query)
    first = spans[0][0] if spans else 0
    begin = max(0, min(first - _SNIPPET // 3, len(text) - _SNIPPET))
    end = min(len(text), begin + _SNIPPET)
    before, after = "…" if begin else "", "…" if end < len(text) else ""
    shift = len(before) - begin
    places = tuple((start + shift, min(stop, end) + shift) for start, stop in spans if begin <= start < end)
    return before + text[begin:end] + after, places


_FOUND = """
SELECT a.name, n.trial, c.model_key, c.suite, c.task, coalesce(i.hash, ''), coalesce(i.name, ''), c.language,
  coalesce(v.kind, ''), {text}
FROM answers n JOIN audits a ON a.id = n.audit JOIN cells c ON c.id = n.cell {more}
LEFT JOIN suite_items i ON i.id = n.item LEFT JOIN verdicts v ON v.answer = n.id
"""
_BY_ANSWER = _FOUND.format(text="n.answer", more="") + "WHERE n.id = ?"
_BY_PROMPT = (
    _FOUND.format(text="p.text", more="JOIN prompts p ON p.id = n.prompt")
    + "WHERE n.id IN (SELECT min(id) FROM answers WHERE prompt = ? AND (?2 IS NULL OR audit = ?2) GROUP BY audit)"
    + " ORDER BY n.id DESC"
)


def search(connection: sqlite3.Connection, text: str, limit: int, audit: int | None) -> list[Hit]:
    """At most `limit` hits, newest first, answers before prompts (each gets half when both have many)."""
    expression = match_expression(text)
    if not expression or limit < 1:
        return []
    answers = _hits(connection, expression, text, limit, audit, "answer")
    prompts = _hits(connection, expression, text, limit, audit, "prompt")
    share = max(limit - len(prompts), (limit + 1) // 2)
    answers = answers[:share]
    return answers + prompts[: limit - len(answers)]


def _hits(
    connection: sqlite3.Connection, expression: str, text: str, limit: int, audit: int | None, where: str
) -> list[Hit]:
    hits: list[Hit] = []
    matches = connection.execute(_MATCHES[where, audit is not None], _arguments(expression, audit, limit)).fetchall()
    for (row,) in matches:
        arguments: tuple[Any, ...] = (row,) if where == "answer" else (row, audit)
        for found in connection.execute(_BY_ANSWER if where == "answer" else _BY_PROMPT, arguments):
            shown, spans = snippet(written_text(found[9]) if where == "answer" else found[9], text)
            hits.append(_hit(found, where, shown, spans))
            if len(hits) == limit:
                return hits
    return hits


# FTS5 walks its lists backwards for this order, so the newest come without reading the rest. The answers of an audit
# lie close together: FTS5 skips what comes before and after them.
_MATCHES: dict[tuple[str, bool], str] = {
    ("answer", False): "SELECT rowid FROM answer_search WHERE answer_search MATCH ? ORDER BY rowid DESC LIMIT ?",
    ("prompt", False): "SELECT rowid FROM prompt_search WHERE prompt_search MATCH ? ORDER BY rowid DESC LIMIT ?",
    ("answer", True): "SELECT s.rowid FROM answer_search s WHERE s.answer_search MATCH ? AND s.rowid BETWEEN "
    "(SELECT id FROM answers WHERE audit = ?2 ORDER BY seq LIMIT 1) AND "
    "(SELECT id FROM answers WHERE audit = ?2 ORDER BY seq DESC LIMIT 1) AND EXISTS "
    "(SELECT 1 FROM answers WHERE id = s.rowid AND audit = ?2) ORDER BY s.rowid DESC LIMIT ?",
    ("prompt", True): "SELECT s.rowid FROM prompt_search s WHERE s.prompt_search MATCH ? AND EXISTS "
    "(SELECT 1 FROM answers WHERE prompt = s.rowid AND audit = ?) ORDER BY s.rowid DESC LIMIT ?",
}


def _arguments(expression: str, audit: int | None, limit: int) -> tuple[Any, ...]:
    return (expression, limit) if audit is None else (expression, audit, limit)


def _hit(found: tuple[Any, ...], where: str, shown: str, spans: tuple[tuple[int, int], ...]) -> Hit:
    names = ("audit", "trial_id", "model", "suite", "task", "item", "item_id", "language", "verdict")
    return Hit(**dict(zip(names, found[:9], strict=True)), where=where, snippet=shown, spans=spans)  # type: ignore[arg-type]


def add_to_index(connection: sqlite3.Connection, table: str, row: int, text: str) -> None:
    """Index a new text; `table` is `prompt_search` or `answer_search`."""
    connection.execute(f"INSERT INTO {table} (rowid, text) VALUES (?, ?)", (row, index_text(text)))


def drop_from_index(connection: sqlite3.Connection, table: str, row: int, text: str) -> None:
    """Take a text out of the index; it must be the text that was indexed."""
    connection.execute(f"INSERT INTO {table} ({table}, rowid, text) VALUES ('delete', ?, ?)", (row, index_text(text)))

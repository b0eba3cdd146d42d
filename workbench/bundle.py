"""A bundle for whoever helps with a problem: what `doctor` says and the last log lines, without secrets or answers."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.text import safe_text

LEFT_OUT = "(left out)"
LINES = 400
_WIDTH = 240
_SECRET_NAME = re.compile(
    r"token|secret|passw|credential|authori[sz]ation|cookie|api_?-?key|(^|_)auth($|_)", re.IGNORECASE
)
_SECRET = re.compile(
    r"\b(hf_|sk-|ghp_|github_pat_|xox[a-z]-|AKIA|eyJ)[\w.-]{6,}"  # The usual beginnings of tokens.
    r"|\b(bearer|basic)\s+\S+|\b(token|api[-_ ]?key|password|passwd|secret)\s*[=:]\s*\S+",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY = re.compile(r"(https?://[^\s?#]+)[?#]\S*")
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ")
_FRAME = re.compile(r'\s+File "[^"]+", line \d+, in \S+')
_RAISED = re.compile(r"[\w.]+(Error|Exception|Interrupt|Died|Cancelled)(?=:|$)")


def redacted(value: Any, name: str = "") -> Any:
    """A value without secrets: those whose name says so, and those that look like one."""
    if _SECRET_NAME.search(name):
        return LEFT_OUT if value else value
    if isinstance(value, Mapping):
        return {str(key): redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return without_secrets(value) if isinstance(value, str) else value


def without_secrets(text: str) -> str:
    """A text without logins, queries of addresses, tokens, and the name of the user's folder."""
    text = _QUERY.sub(r"\1", _LOGIN.sub("", text))
    text = _SECRET.sub(LEFT_OUT, text)
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def filtered(lines: Iterable[str]) -> list[str]:
    """Log lines without secrets, prompts and answers: of tracebacks only the places and the kind of the error (its
    message may quote what a model said), of every line only the beginning, nothing that is no line of the log."""
    kept = []
    for line in lines:
        line = safe_text(line)
        if _FRAME.match(line):
            kept.append(without_secrets(line))
        elif _LINE.match(line):
            clean = without_secrets(line)
            kept.append(clean if len(clean) <= _WIDTH else clean[: _WIDTH - 1] + "…")
        elif raised := _RAISED.match(line):
            kept.append(raised[0])
    return kept


def write_bundle(path: Path, facts: Mapping[str, Any], log: Iterable[str]) -> list[str]:
    """Write the bundle (a zip that its owner alone can read); returns the names in it. Raises `OSError`."""
    packages = sorted(f"{one.metadata['Name']}=={one.version}" for one in metadata.distributions())
    contents = {
        "doctor.json": json.dumps(redacted(facts), ensure_ascii=False, indent=2, default=str),
        "packages.txt": "\n".join(packages),
        "log.txt": "\n".join(filtered(log)[-LINES:]),
    }
    owner_only = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(owner_only, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in contents.items():
            bundle.writestr(name, text + "\n")
    return list(contents)

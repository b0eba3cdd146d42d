"""The report in HTML: one file, nothing from elsewhere, nothing that runs, whatever models and people wrote."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from workbench.history import History
from workbench.history.export import export_audit

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "\x1b]0;title\x07\x1b[31mred\x9b0m",
    "\u202egnp.exe",
    "]]></style><h1>x</h1>",
    "番茄 🍅",
)


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "style" and not self.style:
            self.style = data
        else:
            self.text += data


@pytest.fixture
def page(history: History, recorder: Any) -> str:
    """The report of an audit whose answers and note are hostile."""
    texts = itertools.cycle(HOSTILE)
    audit = recorder.complete(history, note="<b>note</b> {{ x }}", write=lambda place: next(texts))
    target = io.StringIO()
    export_audit(history, audit, "html", target)
    return target.getvalue()


def test_nothing_comes_from_elsewhere_and_nothing_runs(page: str) -> None:
    seen = Page(page)
    assert {tag for tag, _ in seen.elements} <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "h1",
            "h2",
            "h3",
            "p",
            "strong",
            "span",
            "div",
            "pre",
            "br",
        ),
        *("table", "tr", "th", "td", "meter", "svg", "line", "text", "g", "polygon", "circle"),
    }
    for _, attributes in seen.elements:
        assert not {"src", "href", "style", "srcdoc", "action", "data"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)


def test_the_policy_names_the_one_style_sheet_by_its_hash(page: str) -> None:
    seen = Page(page)
    (policy,) = [one["content"] for tag, one in seen.elements if tag == "meta" and one.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(seen.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_what_was_written_is_shown_and_does_nothing(page: str) -> None:
    seen = Page(page)
    assert "<b>note</b> {{ x }}" in seen.text
    assert any(text in seen.text for text in HOSTILE[:4])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_figures_intervals_method_and_manifest_are_there(page: str, recorder: Any) -> None:
    seen = Page(page)
    for said in ("Findings", "95 % interval", "stability", "noise (nats)", "Cannot show.", recorder.plan.hash):
        assert said in seen.text
    pictures = [one for tag, one in seen.elements if tag == "svg"]
    assert pictures
    assert sum(tag == "polygon" for tag, _ in seen.elements) >= 2 * len(pictures)


def test_an_audit_without_findings_says_so(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    target = io.StringIO()
    export_audit(history, audit, "html", target)
    assert "There are no findings yet" in target.getvalue()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
@pytest.mark.timeout(120)
def test_a_browser_shows_it_and_asks_for_nothing_else(page: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert "<h2>Findings</h2>" in done.stdout
    # A policy that the page itself breaks would be said here.
    assert "Content Security Policy" not in done.stderr

"""Servers for tests, all on loopback: a real one (`python -m llama_cpp.server`), and one whose every answer a test can
spoil."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LETTERS = "etaoin shrdlu"
Trouble = Callable[["Handler", dict[str, Any]], bool]
"""Given a request and its body: answers it in some wrong way and returns True, or leaves it to the server."""


# -- a real server ----------------------------------------------------------------------------------------------------


@contextmanager
def llama_server(model: Path, *more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A llama_cpp.server with a model that is called `served`; its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "served", "--host",
        "127.0.0.1", "--port", str(port), "--n_threads", "1", "--n_threads_batch", "1", "--n_ctx", "256",
        "--logits_all", "true", "--interrupt_requests", "false", "--type_k", "0", "--type_v", "0", *more,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "running on" in line:
                    break
            else:
                raise AssertionError("the server did not start:\n" + "".join(lines[-20:]))
            rest = process.stderr
            drain = threading.Thread(target=lambda: [None for _ in rest], daemon=True)
            drain.start()
            yield f"http://127.0.0.1:{port}/v1", process
        finally:
            process.kill()
            process.wait()
            drain.join(10)


# -- a server of our own ----------------------------------------------------------------------------------------------


def nats(before: str, letter: str) -> float:
    """How likely the model of this server finds a letter after a text."""
    digest = hashlib.sha256(f"{before}|{letter}".encode()).digest()
    return -0.5 - int.from_bytes(digest[:2], "big") / 6000


def best(before: str) -> str:
    """The letter that it writes after a text."""
    return max(LETTERS, key=lambda letter: nats(before, letter))


class Handler(BaseHTTPRequestHandler):
    """One request to `Served`."""

    protocol_version = "HTTP/1.1"
    server: Served

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: dict[str, Any]) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, body, dict(self.headers)))
        if any(trouble(self, body) for trouble in self.server.troubles):
            return
        if self.path == "/v1/models":
            self.reply({"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.models]})
        elif self.path == "/v1/completions":
            self._complete(body)
        elif self.path == "/v1/chat/completions" and self.server.chats:
            text = "\n".join(message["content"] for message in body["messages"])
            self._chat(body, text)
        else:
            self.reply({"error": {"message": "there is nothing here"}}, 404)

    def _written(self, before: str, count: int) -> str:
        text = ""
        for _ in range(count):
            text += best(self.server.salt + before + text)
        return text

    def _complete(self, body: dict[str, Any]) -> None:
        prompt, count = body["prompt"], body["max_tokens"]
        text = self._written(prompt, count)
        if body.get("stream"):
            self.stream([{"choices": [{"text": letter, "finish_reason": None}]} for letter in text]
                        + [{"choices": [{"text": "", "finish_reason": "length"}]}])  # fmt: skip
            return
        choice: dict[str, Any] = {"text": text, "index": 0, "finish_reason": "length"}
        if body.get("logprobs") is not None:
            shown = prompt + text if body.get("echo") else text
            first = len(prompt + text) - len(shown)
            values = [
                nats((prompt + text)[:place], (prompt + text)[place]) for place in range(first, first + len(shown))
            ]
            if body.get("echo"):
                values = [None, *values[1:]]
            tops = [None if value is None else {letter: value} for letter, value in zip(shown, values, strict=True)]
            choice["logprobs"] = {
                "tokens": list(shown),
                "token_logprobs": values,
                "top_logprobs": tops,
                "text_offset": list(range(first, first + len(shown))),
            }
            if body.get("echo"):
                choice["text"] = shown
        usage = {"prompt_tokens": len(prompt), "completion_tokens": count}
        self.reply({"choices": [choice], "usage": usage})

    def _chat(self, body: dict[str, Any], prompt: str) -> None:
        text = self._written(prompt, body["max_tokens"])
        if body.get("stream"):
            self.stream([{"choices": [{"delta": {"content": letter}, "finish_reason": None}]} for letter in text]
                        + [{"choices": [{"delta": {}, "finish_reason": "length"}]}])  # fmt: skip
            return
        self.reply({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "length"}]})

    def reply(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with JSON."""
        self.raw(json.dumps(value).encode(), status, **headers)

    def raw(self, data: bytes, status: int = 200, **headers: str) -> None:
        """Answer with these bytes."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: list[dict[str, Any]], *, end: bool = True) -> None:
        """Answer with events; without an `end` the stream breaks off."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in events:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        if end:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


class Served(ThreadingHTTPServer):
    """A server with a small model of letters. `asked`: path, body and headers of every request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, *troubles: Trouble, models: tuple[str, ...] = ("letters",), chats: bool = True, salt: str = ""
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.troubles = list(troubles)
        self.models = models
        self.chats = chats
        self.salt = salt
        self.lock = threading.Lock()
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Its base address."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/v1"

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        with self.lock:
            return sum(asked == path for asked, _, _ in self.asked)

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no matter."""

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS."""
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https"


@contextmanager
def served(*troubles: Trouble, tls: ssl.SSLContext | None = None, **rest: Any) -> Iterator[Served]:
    """A running server."""
    server = Served(*troubles, **rest)
    if tls is not None:
        server.encrypt(tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

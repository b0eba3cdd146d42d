"""A small hub on loopback: as much of a model hub's HTTP interface as fetching a model uses, and its mishaps."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
LARGE = 1000
"""Bytes from which on a file is announced with its SHA-256, as with Git LFS."""


class Hub:
    """Repositories by name, each with its files. Mishaps are set before something is fetched."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.card: dict[str, Any] = {"license": "apache-2.0", "language": ["zh", "en"]}
        self.gated: set[str] = set()
        self.cut: list[int] = []
        """The next answers with a large body end after that many of its bytes."""
        self.announced: dict[str, str] = {}
        """SHA-256 that is said of a file, true or not."""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers of what was asked."""
        self.address = ""

    def served(self, name: str) -> list[str]:
        """The ranges in which a file's bytes were asked for; "" for all of it."""
        return [
            headers.get("range", "")
            for method, path, headers in self.requests
            if method == "GET" and path.endswith(f"/{name}")
        ]


@contextmanager
def running() -> Iterator[Hub]:
    """The hub, on a free port of loopback."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(True)

        def do_HEAD(self) -> None:
            self._answer(False)

        def _answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, {key.lower(): value for key, value in self.headers.items()}))
            api = path.startswith("/api/models/")
            parts = path.removeprefix("/api/models/").strip("/").split("/")
            repository = "/".join(parts[:2])
            if repository not in hub.repositories:
                # What a hub answers to somebody who is not logged in.
                return self._error(401, "RepoNotFound", "Repository Not Found")
            if repository in hub.gated and (not api):
                return self._error(403, "GatedRepo", "Access to this model is restricted")
            revision = parts[3] if len(parts) > 3 else "main"
            if revision not in ("main", COMMIT):
                return self._error(404, "RevisionNotFound", "Invalid rev id")
            files = hub.repositories[repository]
            if api:
                return self._send(200, json.dumps(self._facts(repository, files)).encode(), {}, body)
            name = "/".join(parts[4:])
            if name not in files:
                return self._error(404, "EntryNotFound", "Entry not found")
            return self._file(name, files[name], body)

        def _facts(self, repository: str, files: dict[str, bytes]) -> dict[str, Any]:
            listed = []
            for name, data in files.items():
                about: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": _blob(data)}
                if len(data) >= LARGE:
                    about["lfs"] = {"sha256": self._sha256(name, data), "size": len(data), "pointerSize": 134}
                listed.append(about)
            return {
                "id": repository, "modelId": repository, "sha": COMMIT, "siblings": listed, "cardData": hub.card,
                "gated": "auto" if repository in hub.gated else False, "private": False, "tags": [], "downloads": 0,
            }  # fmt: skip

        @staticmethod
        def _sha256(name: str, data: bytes) -> str:
            return hub.announced.get(name, hashlib.sha256(data).hexdigest())

        def _file(self, name: str, data: bytes, body: bool) -> None:
            large = len(data) >= LARGE
            headers = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            headers["ETag"] = f'"{self._sha256(name, data) if large else _blob(data)}"'
            status, start = 200, 0
            wanted = self.headers.get("Range")
            if wanted:
                start = int(wanted.removeprefix("bytes=").split("-")[0])
                status = 206
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(status, data[start:], headers, body)

        def _error(self, status: int, code: str, message: str) -> None:
            self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": message}, self.command == "GET")

        def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not body:
                return
            if hub.cut and len(data) >= LARGE:
                self.wfile.write(data[: hub.cut.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

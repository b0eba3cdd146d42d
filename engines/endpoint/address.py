"""How a model on a server is named: `http://host:port/v1#name`; several hosts of the same model, with commas between:
`http://a:8000/v1,http://b:8000/v1#name`. Without `#name` the server's only model is meant."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import msgspec

from engines.base import EngineError
from engines.files import printable

MAX_URLS = 64
_BAD = re.compile(r"[\x00-\x20\x7f\\]")


class Address(msgspec.Struct, frozen=True):
    """The replicas of one model (base addresses that end in `/v1` or the like), and its name on them ("": their only
    one)."""

    urls: tuple[str, ...]
    model: str = ""

    @property
    def text(self) -> str:
        """As a user writes it."""
        return ",".join(self.urls) + (f"#{self.model}" if self.model else "")


def is_address(text: str) -> bool:
    """Whether a model is meant that is on a server, not in a file."""
    return "://" in text


def parse_address(text: str) -> Address:
    """The address that a user wrote. Raises EngineError; what could be a secret is not repeated in its message."""
    places, _, model = text.partition("#")
    return make_address(places.split(","), model)


def make_address(urls: list[str] | tuple[str, ...], model: str = "") -> Address:
    """An address of these URLs, each in one form whatever way it was written. Raises EngineError."""
    if not urls:
        raise EngineError("an endpoint needs at least one URL, for instance http://127.0.0.1:8000/v1")
    if len(urls) > MAX_URLS:
        raise EngineError(f"{len(urls)} URLs are too many for one model: at most {MAX_URLS}")
    if len(model) > 300 or printable(model, 300) != model:
        raise EngineError("the name after # is not a model's name: leave spaces and control characters out")
    places = tuple(dict.fromkeys(_place(url.strip()) for url in urls))
    return Address(places, model)


def _place(url: str) -> str:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise EngineError("an endpoint's URL cannot be read: write it like http://127.0.0.1:8000/v1") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        # Not repeated: what stands before the @ is a secret.
        raise EngineError(
            "a URL with user and password in it is refused: they would end up in the history; "
            "name the key's variable in settings.toml ([endpoints.NAME] key_env)"
        )
    if parts.query:
        raise EngineError("an endpoint's URL with ? in it is refused: a key in it would end up in the history")
    if parts.scheme not in {"http", "https"} or not host or _BAD.search(url):
        raise EngineError(f"{printable(url)} is no address of a server: write it like http://127.0.0.1:8000/v1")
    return _written(parts, host.lower(), port)


def _written(parts: SplitResult, host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    where = shown if port in (None, usual) else f"{shown}:{port}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/') or '/v1'}"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """Scheme, host and port of a URL: how a replica is called in messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

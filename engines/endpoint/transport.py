"""One server over HTTP: JSON there and back, and streams of events; with caps on size and time, and errors in one line.

Three kinds of failure come out of here: `Retry` (ask again, perhaps elsewhere), `Refused` (this one request is not
taken; asking again would not help), and EngineError (this server cannot be used as it stands: its certificate, its key,
a redirect).
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec

from engines.base import EngineError
from engines.endpoint.address import host_of, is_loopback
from engines.endpoint.keys import Key
from engines.files import printable

_TRY_AGAIN = {408, 409, 425, 429}


MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a reply raises that is not of the form that it should have."""


class Limits(msgspec.Struct, frozen=True):
    """How long (seconds) and how big (bytes) a reply may be."""

    connect: float = 10.0
    silence: float = 300.0
    """Between two pieces of a reply, and before its first."""
    total: float = 900.0
    size: int = 16 * 1024**2
    retry_after: float = 120.0
    """The longest wait that a server may ask for."""


class Retry(Exception):
    """It did not work this time. `after`: seconds that the server asks to wait; `busy`: it is well, but has enough to
    do; `status`: its HTTP status, 0 where none came."""

    def __init__(self, message: str, *, after: float | None = None, busy: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.after = after
        self.busy = busy
        self.status = status


class Refused(Exception):
    """The server does not take this request, and would not take it another time."""


def tls_context() -> ssl.SSLContext:
    """Certificates are always verified, against the system's authorities or those of SSL_CERT_FILE and SSL_CERT_DIR."""
    return httpx2.create_ssl_context()


class Connection:
    """A server at one base address. Belongs to one event loop."""

    def __init__(self, url: str, key: Key | None, limits: Limits, tls: ssl.SSLContext) -> None:
        self.url = url
        self.host = host_of(url)
        self._key = key
        self._limits = limits
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "culture-workbench"}
        if key is not None:
            headers["Authorization"] = key.header()
        self._client = httpx2.AsyncClient(
            headers=headers,
            verify=tls,
            # A proxy from the environment must never see what is meant for this machine.
            trust_env=not is_loopback(url),
            follow_redirects=False,
            timeout=httpx2.Timeout(limits.silence, connect=limits.connect),
            limits=httpx2.Limits(max_connections=None),
        )

    def __repr__(self) -> str:
        return f"Connection({self.url})"

    async def close(self) -> None:
        """Close its sockets."""
        await self._client.aclose()

    async def get(self, path: str, *, root: bool = False) -> Any:
        """What lies at a path under the base address (`root`: under the host). Raises Retry, Refused, EngineError."""
        async with self._reply("GET", (self.host if root else self.url) + path, None) as response:
            return self._decoded(b"".join([piece async for piece in self._pieces(response)]))

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises Retry, Refused, EngineError."""
        async with self._reply("POST", self.url + path, body) as response:
            value = self._decoded(b"".join([piece async for piece in self._pieces(response)]))
        return self._object(value)

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a streamed answer, until the server says that it is through or ends it. Raises like `post`."""
        async with self._reply("POST", self.url + path, body) as response:
            rest = b""
            async for piece in self._pieces(response):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    name, _, data = line.strip().partition(b":")
                    if name != b"data":
                        continue  # comments keep the line open; other fields are not used
                    if data.strip() == b"[DONE]":
                        return
                    yield self._object(self._decoded(data))

    # -- what may go wrong --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _reply(self, method: str, url: str, body: dict[str, Any] | None) -> AsyncIterator[httpx2.Response]:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(self._limits.total),
                self._client.stream(method, url, content=content, headers=headers) as response,
            ):
                await self._check(response)
                yield response
        except TimeoutError as error:
            raise Retry(f"{self.host} was not through after {self._limits.total:g} s") from error
        except httpx2.ConnectTimeout as error:
            raise Retry(f"{self.host} did not answer within {self._limits.connect:g} s") from error
        except httpx2.TimeoutException as error:
            raise Retry(f"{self.host} said nothing for {self._limits.silence:g} s") from error
        except httpx2.ConnectError as error:
            raise self._unconnected(error) from error
        except httpx2.HTTPError as error:
            raise Retry(f"{self.host} broke off: {self._said(str(error)) or type(error).__name__}") from error
        except httpx2.InvalidURL as error:
            raise EngineError(f"{printable(self.url)} is no address of a server") from error

    def _unconnected(self, error: Exception) -> Exception:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return EngineError(
                    f"{self.host}: its certificate does not verify ({self._said(cause.verify_message)}): name the file "
                    "of its authority in SSL_CERT_FILE, or give the address that the certificate is for"
                )
            if isinstance(cause, ssl.SSLError):
                return EngineError(
                    f"{self.host}: no TLS connection comes about ({self._said(cause.reason or '')}): is it http "
                    "instead of https?"
                )
            cause = cause.__cause__ or cause.__context__
        return Retry(f"{self.host} cannot be reached: {self._said(str(error)) or 'no connection'}")

    async def _check(self, response: httpx2.Response) -> None:
        status = response.status_code
        if response.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
            raise Retry(f"{self.host} compresses its replies although it was asked not to")
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise EngineError(
                f"{self.host} sends on to another address ({status}), and redirects are not followed: give the address "
                "where the model really is"
            )
        said = await self._error_text(response)
        if status in {401, 403}:
            raise EngineError(
                f"{self.host} wants another key ({status}): name the variable that holds it in settings.toml, "
                f"[endpoints.NAME] with urls and key_env{said}"
            )
        if status in _TRY_AGAIN or status >= 500:
            after = self._retry_after(response.headers.get("retry-after", ""))
            busy = status == 429 or (status == 503 and after is not None)
            raise Retry(f"{self.host} answered with status {status}{said}", after=after, busy=busy, status=status)
        raise Refused(f"{self.host} refuses the request with status {status}{said}")

    def _retry_after(self, text: str) -> float | None:
        """Seconds to wait, at most `Limits.retry_after`; None where the server does not say."""
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, OverflowError):
                return None
        return min(max(0.0, seconds), self._limits.retry_after) if seconds == seconds else None

    async def _error_text(self, response: httpx2.Response) -> str:
        """What the server says of an error, as an end of a sentence; "" where it says nothing that can be read."""
        data = b""
        async for piece in self._pieces(response):
            data += piece
            if len(data) > 65_536:
                break
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return ""
        found = value.get("error", value) if isinstance(value, dict) else value
        message = found.get("message", found.get("detail")) if isinstance(found, dict) else found
        return f": {self._said(message)}" if isinstance(message, str) and message.strip() else ""

    def _said(self, text: str) -> str:
        return printable(self._key.removed_from(text) if self._key is not None else text, 200)

    async def _pieces(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > self._limits.size:
                raise Retry(f"{self.host} sends more than {self._limits.size:,} bytes")
            yield piece

    def _decoded(self, data: bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Retry(f"{self.host} answered with something that is not JSON") from error

    def _object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Retry(f"{self.host} answered with JSON of another form")
        if value.get("error"):
            found = value["error"]
            message = found.get("message", "") if isinstance(found, dict) else found
            raise Retry(f"{self.host} reports an error: {self._said(str(message))}", status=500)
        return value

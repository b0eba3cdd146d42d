"""The engine: `engines.base.Engine` over a pool of servers, on a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from engines.base import (
    Cancelled,
    ChoiceRequest,
    ChoiceScores,
    EngineDied,
    EngineError,
    GenerateRequest,
    LayerReadout,
    LayerRequest,
    ModelCard,
    Shape,
    Token,
    TokenPiece,
)
from engines.endpoint.address import Address, host_of
from engines.endpoint.generating import streamed, whole
from engines.endpoint.keys import Key, KeySource, read_key
from engines.endpoint.probing import Seen, agree, identity, look
from engines.endpoint.replicas import Patience, Pool, Replica
from engines.endpoint.scoring import score
from engines.endpoint.transport import Connection, Limits, Refused, Retry, tls_context
from engines.files import printable

T = TypeVar("T")
SLOTS = 4
"""Trials at a time for each server."""
AHEAD = 3
"""Trials that are given out for each one that can be worked on: one slow answer must not keep the others waiting."""


class EndpointEngine:
    """A model on one or several servers. See `engines.base.Engine`.

    `parallel` is how many requests it works on at once: it should be given several. `live`: answers stream, and one
    that breaks off ends with an error; else an answer counts only when it is whole, and is asked again until it is.
    """

    def __init__(
        self,
        address: Address,
        *,
        name: str = "",
        keys: Mapping[str, KeySource] | None = None,
        slots: int = SLOTS,
        live: bool = False,
        log: Callable[[str], None] | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Connect, and find out what the servers can do. Raises EngineError."""
        self._address = address
        self._name = name or host_of(address.urls[0])
        self._named = bool(name)
        self._log = log
        self._said: list[str] = []
        self._hear: Callable[[str], None] | None = None
        self._live = live
        self._going: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._closed = False
        self._seen: Seen | None = None
        sources = keys or {}
        secrets = {url: read_key(sources[url], url) for url in address.urls if url in sources}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"servers of {self._name}", daemon=True)
        self._thread.start()
        try:
            self._pool = self._wait(self._open(secrets, slots, limits or Limits(), patience or Patience()))
            self.card = self._describe()
        except BaseException:
            self.close()
            raise
        self.parallel = self._pool.slots

    # -- the protocol -------------------------------------------------------------------------------------------

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        """See `Engine.score`. Layouts are the server's: any shape but `branched` is scored by the server's other way
        where it has two, else the same way again."""
        seen = self._known
        if not seen.ways:
            raise EngineError(f"{self._name} gives no likelihoods: {seen.why_not}")
        way = seen.ways[0] if shape == "branched" else seen.ways[-1]

        async def work(request: ChoiceRequest) -> ChoiceScores:
            try:
                return await self._pool.do(lambda replica: score(replica.connection, seen.model, request, way))
            except Refused as error:
                return ChoiceScores(error=str(error))

        with self._turn:
            yield from self._in_order(work, requests)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
        """See `Engine.generate`."""
        with self._turn:
            if self._live:
                for index, request in enumerate(requests):
                    for token in self._streamed(request):
                        yield index, token
                return
            for index, tokens in enumerate(self._in_order(self._whole, requests)):
                for token in tokens:
                    yield index, token

    def tokenize(self, text: str) -> list[TokenPiece]:
        """Servers do not show their tokens in a common way."""
        raise EngineError(f"{self._name}: a model on a server does not show its tokens")

    def layers(self, request: LayerRequest) -> LayerReadout:
        """Servers show no layers. Raises EngineError."""
        raise EngineError(f"{self._name}: a model on a server does not show its layers")

    def share_cores(self, threads: int) -> None:
        """Nothing to share: it computes elsewhere."""

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        with self._lock:
            going = list(self._going)
        for future in going:
            future.cancel()

    def listen(self, hear: Callable[[str], None]) -> None:
        """Tell what a user should know of (a server put aside), from now on and up to now; from a thread of the
        engine's own."""
        with self._lock:
            self._hear, said = hear, list(self._said)
        for text in said:
            hear(text)

    def close(self) -> None:
        """See `Engine.close`."""
        if self._closed:
            return
        self._closed = True
        self.cancel()
        pool: Pool | None = getattr(self, "_pool", None)
        if pool is not None:
            asyncio.run_coroutine_threadsafe(_shut(pool), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # -- work ---------------------------------------------------------------------------------------------------

    async def _whole(self, request: GenerateRequest) -> list[Token]:
        seen = self._known
        try:
            return await self._pool.do(lambda replica: whole(replica.connection, seen.model, request, seen.can))
        except Refused as error:
            return [Token("", finish="error", error=str(error))]

    def _in_order(self, work: Callable[[Any], Awaitable[T]], requests: Sequence[Any]) -> Iterator[T]:
        """Several at once, and the results in the order of the requests. Leaving early takes the others back."""
        ahead = AHEAD * self._pool.slots
        futures: collections.deque[Future[T]] = collections.deque()
        given = 0
        try:
            while given < len(requests) or futures:
                while given < len(requests) and len(futures) < ahead:
                    futures.append(self._submit(work(requests[given])))
                    given += 1
                yield self._result(futures.popleft())
        finally:
            for future in futures:
                future.cancel()

    def _streamed(self, request: GenerateRequest) -> Iterator[Token]:
        """A live answer. A server that fails before the first token is replaced by another."""
        seen = self._known
        told: queue.SimpleQueue[Token | None] = queue.SimpleQueue()

        async def work(replica: Replica) -> None:
            begun = False
            try:
                async with aclosing(streamed(replica.connection, seen.model, request, seen.can)) as tokens:
                    async for token in tokens:
                        begun = True
                        told.put(token)
            except Retry as error:
                if not begun:
                    raise
                told.put(Token("", finish="error", error=str(error)))

        future = self._submit(self._pool.do(work))
        future.add_done_callback(lambda _: told.put(None))
        try:
            while (token := told.get()) is not None:
                yield token
            try:
                self._result(future)
            except Refused as error:
                yield Token("", finish="error", error=str(error))
        finally:
            future.cancel()

    def _submit(self, work: Awaitable[T]) -> Future[T]:
        async def run() -> T:
            return await work

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        with self._lock:
            self._going.add(future)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._going.discard(future)

    def _result(self, future: Future[T]) -> T:
        try:
            return future.result()
        except CancelledError as error:
            raise Cancelled(f"{self._name}: cancelled") from error

    def _wait(self, work: Awaitable[T]) -> T:
        return self._result(self._submit(work))

    @property
    def _known(self) -> Seen:
        assert self._seen is not None
        return self._seen

    # -- connecting ---------------------------------------------------------------------------------------------

    async def _open(self, keys: Mapping[str, Key | None], slots: int, limits: Limits, patience: Patience) -> Pool:
        tls = tls_context()
        replicas = [Replica(Connection(url, keys.get(url), limits, tls), slots) for url in self._address.urls]
        pool = Pool(self._name, replicas, self._probe, self._say, patience)
        try:
            found = await asyncio.gather(*(self._first(replica) for replica in replicas), return_exceptions=True)
            for error in found:
                if isinstance(error, BaseException) and not isinstance(error, Retry):
                    raise error
            if not any(replica.probed for replica in replicas):
                failures = [error for error in found if isinstance(error, Retry)]
                if not any(error.status for error in failures):
                    # Nobody is there: no server that only has enough to do, for which it would be worth to wait.
                    raise EngineError(f"{failures[0]}: is the server running?")
                await pool.do(_nothing)
            for replica in replicas:
                if not replica.probed:
                    pool.put_aside(replica)
        except Refused as error:
            await _shut(pool)
            raise EngineError(str(error)) from error
        except EngineDied as error:
            await _shut(pool)
            raise EngineError(str(error)) from error
        except BaseException:
            await _shut(pool)
            raise
        return pool

    async def _first(self, replica: Replica) -> None:
        try:
            await self._probe(replica)
        except Retry as error:
            replica.last = str(error)
            raise
        replica.probed = True

    async def _probe(self, replica: Replica) -> None:
        """Look at a server before it is asked. The first one says what is to be had, the others must agree with it."""
        seen = await look(replica.connection, self._address.model or (self._seen.model if self._seen else ""))
        if self._seen is None:
            self._seen = seen
            return
        problem = agree(self._seen, seen)
        if problem:
            raise EngineError(f"{replica.connection.host} is not the same model as the other servers: {problem}")

    def _say(self, text: str) -> None:
        with self._lock:
            self._said.append(text)
            del self._said[:-20]
            hear = self._hear
        for told in (self._log, hear):
            if told is not None:
                told(text)

    def _describe(self) -> ModelCard:
        seen = self._known
        if not self._named:
            self._name = _named(seen.model, self._address.urls[0])
        meta = seen.entry.get("meta")
        facts = meta if isinstance(meta, dict) else {}
        context = _count(seen.entry.get("max_model_len")) or _count(facts.get("n_ctx"))
        found = {"score": seen.ways, "generate": True, "chat": seen.can.chat, "schema": seen.can.schema}
        cannot = {} if seen.ways else {"score": seen.why_not}
        owner = printable(str(seen.entry.get("owned_by", "")), 60)
        server = {f"server ({owner or 'unnamed'})": seen.version} if seen.version else {}
        count = len(self._address.urls)
        return ModelCard(
            name=self._name,
            engine="endpoint",
            path=msgspec.structs.replace(self._address, model=seen.model).text,
            fingerprint=identity(seen),
            parameters=_count(facts.get("n_params")),
            size=_count(facts.get("size")),
            context=context,
            trained_context=_count(facts.get("n_ctx_train")),
            vocabulary=_count(facts.get("n_vocab")),
            can=tuple(word for word, holds in found.items() if holds),
            cannot=cannot,
            branching=False,
            device=f"{count} servers" if count > 1 else "server",
            offload="the server's own",
            libraries={"httpx2": _version()} | server,
        )


def _named(model: str, url: str) -> str:
    """What a model is called when the user gave it no name: one word, with the host that it is on."""
    word = "-".join(printable(model.rstrip("/").rpartition("/")[2], 80).split()) or "model"
    return f"{word}@{host_of(url).partition('://')[2]}"


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**62 else 0


def _version() -> str:
    from importlib import metadata

    return metadata.version("httpx2")


async def _nothing(_: Replica) -> None:
    """Work that only asks for a server that answers."""


async def _shut(pool: Pool) -> None:
    """End all work and close all connections."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for replica in pool.replicas:
        with contextlib.suppress(OSError, RuntimeError):
            await replica.connection.close()

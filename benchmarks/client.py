"""Loads a service over HTTP/1.1 and notes when each answer came: a closed loop of clients, or arrivals at a rate."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httptools

from artifact.errors import HangtagError

CONNECTIONS = 256  # of an open loop; where all of them wait for an answer, arrivals wait for them, and that counts
_PATIENCE = 20.0  # seconds after the last request, until what was not answered counts as lost
_OK = 200


@dataclass(frozen=True)
class Target:
    """Where the requests go, and the requests, which take turns."""

    host: str
    port: int
    requests: tuple[bytes, ...]

    @classmethod
    def of(
        cls, url: str, bodies: list[bytes], headers: str = "", content_type: str = "application/octet-stream"
    ) -> "Target":
        """Requests that POST each body to the URL; more `headers` are lines, each with its end."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
        requests = (f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies)
        return cls(parts.hostname or "", parts.port or 80, tuple(requests))


@dataclass
class Seen:
    """What came of the requests: seconds from when each good one was due to its answer, and the other statuses.

    Status 0 stands for a request whose connection ended, or that was never answered; `cached` are those that the
    service knew the answer of.
    """

    latencies: list[float] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)
    cached: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies) / self.seconds


async def closed_loop(target: Target, clients: int, seconds: float) -> Seen:
    """Clients that each send their next request when the last one was answered."""
    return await _Load(target).closed(clients, seconds)


async def open_loop(target: Target, rate: float, seconds: float) -> Seen:
    """Requests that come when they come, as a Poisson process does, whatever became of those before."""
    return await _Load(target).open(rate, seconds)


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way; `done` hears the status of its answer, 0 when it was lost."""

    def __init__(self, done: Callable[["Connection", int], None]) -> None:
        self._done = done
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._busy = False
        self.due = 0.0
        self.cached = False

    def connection_made(self, transport: Any) -> None:
        """Called by the loop."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name == b"cache-status" and value.endswith(b"; hit"):
            self.cached = True

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._busy = False
        self._done(self, self._parser.get_status_code())

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the loop."""
        if self._busy:
            self._busy = False
            self._done(self, 0)

    def send(self, request: bytes, due: float) -> None:
        """Send one request, which should have been sent at `due`."""
        self.due, self.cached, self._busy = due, False, True
        if self._transport.is_closing():
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
        else:
            self._transport.write(request)

    def close(self) -> None:
        """End it, whatever is on its way."""
        self._busy = False
        self._transport.close()


class _Load:
    """One measurement."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._requests = cycle(target.requests)
        self._loop = asyncio.get_running_loop()
        self._seen = Seen()
        self._on_way = 0
        self._quiet = asyncio.Event()
        self._end = 0.0
        self._connections: list[Connection] = []
        self._idle: deque[Connection] = deque()
        self._late: deque[float] = deque()

    async def closed(self, clients: int, seconds: float) -> Seen:
        await self._connect(clients, self._next_of_closed)
        started = perf_counter()
        self._end = started + seconds
        for connection in self._connections:
            self._send(connection, started)
        return await self._rest(started, seconds)

    def _next_of_closed(self, connection: Connection, status: int) -> None:
        now = self._note(connection, status)
        if status and now < self._end:
            self._send(connection, now)
        self._say_when_quiet()

    async def open(self, rate: float, seconds: float) -> Seen:
        await self._connect(CONNECTIONS, self._next_of_open)
        self._idle.extend(self._connections)
        due = started = perf_counter()
        while (due := due + random.expovariate(rate)) < started + seconds:
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            if self._idle:
                self._send(self._idle.popleft(), due)
            else:
                self._late.append(due)
        return await self._rest(started, seconds)

    def _next_of_open(self, connection: Connection, status: int) -> None:
        self._note(connection, status)
        if status and self._late:
            self._send(connection, self._late.popleft())
        elif status:
            self._idle.append(connection)
        self._say_when_quiet()

    async def _connect(self, count: int, done: Callable[[Connection, int], None]) -> None:
        for _ in range(count):
            try:
                _, connection = await self._loop.create_connection(
                    lambda: Connection(done), self._target.host, self._target.port
                )
            except OSError as error:
                raise HangtagError(
                    f"{self._target.host} port {self._target.port} does not answer ({error}); is the service running?"
                ) from error
            self._connections.append(connection)

    def _send(self, connection: Connection, due: float) -> None:
        self._on_way += 1
        self._quiet.clear()
        connection.send(next(self._requests), due)

    def _note(self, connection: Connection, status: int) -> float:
        now = perf_counter()
        self._on_way -= 1
        if status == _OK:
            self._seen.latencies.append(now - connection.due)
            self._seen.cached += connection.cached
        else:
            self._seen.others[status] += 1
        return now

    def _say_when_quiet(self) -> None:
        if not self._on_way:
            self._quiet.set()

    async def _rest(self, started: float, seconds: float) -> Seen:
        """Wait for what is still on its way; what is not answered by then was lost."""
        self._say_when_quiet()
        with suppress(TimeoutError):
            async with asyncio.timeout(started + seconds + _PATIENCE - perf_counter()):
                await self._quiet.wait()
        self._seen.seconds = perf_counter() - started
        for connection in self._connections:
            connection.close()
        if unanswered := self._on_way + len(self._late):
            self._seen.others[0] += unanswered
        return self._seen

"""Clients by the thousand, in a process of their own: what each of their requests was answered, when, and how fast."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import uniform
from time import monotonic, process_time
from typing import Literal, NamedTuple

import uvloop

from artifact.errors import ProblemAnswered
from benchmarks.client import Connection, Target
from service.call import pause_after

_LOST, _OK, _REFUSED = 0, 200, 429
_PATIENCE = 20.0  # seconds after the last request, until what was not answered counts as lost


ComesBack = Literal["told", "at once"]


@dataclass(frozen=True)
class Flood:
    """So many clients, from one moment of the monotonic clock to another; each asks again when it was answered.

    Who is refused waits as he is `told`, and as much longer as our Python client would, or comes back `at once`. They
    do not come all in one moment, but within the first `joining` seconds.
    """

    target: Target
    clients: int
    start: float
    end: float
    comes_back: ComesBack = "told"
    joining: float = 0.0


class Answer(NamedTuple):
    """When an answer came, and how many seconds it took."""

    moment: float
    seconds: float


@dataclass
class Answers:
    """What came of a flood: good answers, refusals that say when to come back, and how often each other status.

    Status 0 is a request whose connection failed or that nobody answered; `cpu_seconds` is what the clients took.
    """

    good: list[Answer] = field(default_factory=list)
    refused: list[Answer] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)
    cpu_seconds: float = 0.0


def answers_to(flood: Flood) -> Answers:
    """Let it flow; returns when every request was answered."""
    return uvloop.run(_Clients(flood).run())


class _Client(Connection):
    """One of them; `retry_after` is what it was told last, and `tries` how often it was refused on end."""

    retry_after = 0.0
    tries = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name == b"retry-after":
            self.retry_after = float(value)

    def pause(self) -> float:
        """Seconds until it asks again, when it was refused and does as it was told."""
        refusal = ProblemAnswered(_REFUSED, "", "", retry_after=self.retry_after)
        self.tries += 1
        return pause_after(refusal, self.tries - 1) or 0.0


class _Clients:
    """All of them."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._requests = cycle(flood.target.requests)
        self._answers = Answers()
        self._on_way = 0
        self._is_over = False
        self._quiet = asyncio.Event()

    async def run(self) -> Answers:
        await asyncio.sleep(self._flood.start - monotonic())
        used = process_time()
        clients = await asyncio.gather(*(self._join() for _ in range(self._flood.clients)))
        await asyncio.sleep(self._flood.end - monotonic())
        self._is_over = True
        self._say_when_quiet()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._quiet.wait()
        self._answers.others[_LOST] += self._on_way
        self._answers.cpu_seconds = process_time() - used
        for client in clients:
            if client:
                client.close()
        return self._answers

    async def _join(self) -> _Client | None:
        """Connect, sooner or later, and ask for the first time; None where that is not possible."""
        target, loop = self._flood.target, asyncio.get_running_loop()
        await asyncio.sleep(uniform(0, self._flood.joining))  # noqa: S311 - no secret
        try:
            _, client = await loop.create_connection(lambda: _Client(self._answered), target.host, target.port)
        except OSError:
            self._answers.others[_LOST] += 1
            return None
        self._ask(client)
        return client

    def _ask(self, client: _Client) -> None:
        if not self._is_over:
            self._on_way += 1
            client.retry_after = 0.0
            client.send(next(self._requests), monotonic())

    def _answered(self, connection: Connection, status: int) -> None:
        assert isinstance(connection, _Client)  # noqa: S101  (the type that it was made of)
        now = monotonic()
        self._on_way -= 1
        answer, pause = Answer(now, now - connection.due), 0.0
        if status == _OK:
            self._answers.good.append(answer)
            connection.tries = 0
        elif status == _REFUSED and connection.retry_after:
            self._answers.refused.append(answer)
            pause = connection.pause() if self._flood.comes_back == "told" else 0.0
        else:
            self._answers.others[status] += 1
        if status:
            asyncio.get_running_loop().call_later(pause, self._ask, connection)
        self._say_when_quiet()

    def _say_when_quiet(self) -> None:
        if self._is_over and not self._on_way:
            self._quiet.set()

"""The client of a Hangtag service, for Python programs: with asyncio, and without.

No call outlives its deadline, whatever the service or the network does; within it, what is refused or lost is sent
again. It comes with hangtag[client].
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, Self, TypeVar, Unpack

import httpx

from artifact.errors import AnswerLate, ClientError, PhotoUnreadable, ServiceUnreachable
from service.call import MODELS, READINESS, Call, How, HowOnce, classification, detail, pause_after
from service.many import Meter, Outcome, Photo, Progress, abreast
from service.schemas import Classification, Health, ModelDetail, ModelSummary

DEADLINE = 30.0  # seconds, as the service's own
CONCURRENCY = 8
MANY_URGENCY = 5  # as the service has it for batches: single photos go first

T = TypeVar("T")
_Loop = tuple[asyncio.AbstractEventLoop, asyncio.Event]  # and what ends it


class AsyncClient:
    """A service and the connections to it, for programs with asyncio. Close it, or use it as a context.

    `api_key` is what the service asks for, where it does; `deadline` is how many seconds a call may take where it does
    not say itself; `http` is whatever else httpx.AsyncClient takes, such as `headers`, `verify` or `proxy`.
    """

    def __init__(self, url: str, *, api_key: str | None = None, deadline: float = DEADLINE, **http: Any) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=None, **http)  # noqa: S113 - each call has its deadline
        if api_key is not None:
            self._http.headers["Authorization"] = f"Bearer {api_key}"
        self._deadline = deadline

    async def classify(self, photo: Photo, model: str, **how: Unpack[HowOnce]) -> Classification:
        """What a model says of one photo, asked as HowOnce has it; raises a ClientError."""
        async with self._until(how.get("deadline")) as by:
            return await self._ask(classification(model, await _bytes_of(photo), how), by)

    async def classify_many(
        self,
        photos: Iterable[Photo],
        model: str,
        *,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], None] | None = None,
        **how: Unpack[How],
    ) -> AsyncGenerator[Outcome, None]:
        """The outcome of each photo, in order, so many on their way at once; photos are taken as they are needed.

        Their urgency is MANY_URGENCY unless said otherwise. `progress` is told how far they are: once a second at most,
        and when all are done.
        """
        many, meter = _of_many(how), Meter(photos, progress)
        started = (asyncio.ensure_future(_outcome(self, photo, model, many)) for photo in photos)
        with closing(abreast(started, concurrency)) as tasks:
            for task in tasks:
                yield meter.count(await task)
        meter.tell()

    async def models(self) -> list[ModelSummary]:
        """All models, and whether each is ready; raises a ClientError."""
        async with self._until() as by:
            return (await self._ask(MODELS, by)).models

    async def model(self, name: str) -> ModelDetail:
        """One model and its card; raises a ClientError."""
        async with self._until() as by:
            return await self._ask(detail(name), by)

    async def readiness(self) -> Health:
        """Whether the service may have traffic, and how each model is; raises a ClientError."""
        async with self._until() as by:
            return await self._ask(READINESS, by)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def _until(self, seconds: float | None = None) -> AsyncIterator[float]:
        """Break off what is inside at the deadline, which is given by the loop's clock; raises AnswerLate."""
        seconds = self._deadline if seconds is None else seconds
        by = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(by):
                yield by
        except TimeoutError as error:
            raise AnswerLate(f"{self._http.base_url} did not answer within {seconds:g} seconds.") from error

    async def _ask(self, call: Call[T], by: float) -> T:
        """The answer to a call, which is sent again while that is of use, and while there is time for the pause."""
        now = asyncio.get_running_loop().time
        for tries in count():
            try:
                return call.understand(await self._exchange(call, by - now()))
            except ClientError as error:
                pause = pause_after(error, tries)
                if pause is None or now() + pause >= by:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError  # for the type: counting has no end

    async def _exchange(self, call: Call[T], seconds: float) -> httpx.Response:
        try:
            return await self._http.request(
                call.method, call.path, params=call.query, headers=call.headers_within(seconds), content=call.body
            )
        except (httpx.NetworkError, httpx.ProxyError, httpx.RemoteProtocolError) as error:
            raise ServiceUnreachable(
                f"{self._http.base_url} does not answer ({str(error) or type(error).__name__}); is the service running?"
            ) from error


class Client:
    """The same for programs without asyncio. It has an event loop of its own, in a thread; many threads may share it.

    A process that forks needs a client of its own in each child.
    """

    def __init__(self, url: str, *, api_key: str | None = None, deadline: float = DEADLINE, **http: Any) -> None:
        self._client = AsyncClient(url, api_key=api_key, deadline=deadline, **http)
        self._calls: set[asyncio.Task[Any]] = set()
        started: Future[_Loop] = Future()
        self._thread = Thread(target=asyncio.run, args=(_stay(self._client, self._calls, started),), daemon=True)
        self._thread.start()
        self._loop, self._over = started.result()

    def classify(self, photo: Photo, model: str, **how: Unpack[HowOnce]) -> Classification:
        """What a model says of one photo, asked as HowOnce has it; raises a ClientError."""
        return self._start(self._client.classify(photo, model, **how)).result()

    def classify_many(
        self,
        photos: Iterable[Photo],
        model: str,
        *,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], None] | None = None,
        **how: Unpack[How],
    ) -> Iterator[Outcome]:
        """The outcome of each photo, in order, so many on their way at once; photos are taken as they are needed.

        Their urgency is MANY_URGENCY unless said otherwise. `progress` is told how far they are: once a second at most,
        and when all are done.
        """
        many, meter = _of_many(how), Meter(photos, progress)
        started = (self._start(_outcome(self._client, photo, model, many)) for photo in photos)
        with closing(abreast(started, concurrency)) as futures:
            for future in futures:
                yield meter.count(future.result())
        meter.tell()

    def models(self) -> list[ModelSummary]:
        """All models, and whether each is ready; raises a ClientError."""
        return self._start(self._client.models()).result()

    def model(self, name: str) -> ModelDetail:
        """One model and its card; raises a ClientError."""
        return self._start(self._client.model(name)).result()

    def readiness(self) -> Health:
        """Whether the service may have traffic, and how each model is; raises a ClientError."""
        return self._start(self._client.readiness()).result()

    def close(self) -> None:
        """Break off what is asked, close the connections, and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, call: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(_noted(call, self._calls), self._loop)


async def _stay(client: AsyncClient, calls: set[asyncio.Task[Any]], started: Future[_Loop]) -> None:
    """Keep a loop going for a client until its event is set; then break off the calls, and close the client."""
    over = asyncio.Event()
    async with client:
        started.set_result((asyncio.get_running_loop(), over))
        await over.wait()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def _noted(call: Coroutine[Any, Any, T], calls: set[asyncio.Task[Any]]) -> T:
    """The answer to a call, which is among the calls until then."""
    task = asyncio.current_task()
    assert task  # noqa: S101  (the type: a coroutine runs in a task)
    calls.add(task)
    try:
        return await call
    finally:
        calls.discard(task)


def _of_many(how: How) -> How:
    return {"urgency": MANY_URGENCY, **how}


async def _outcome(client: AsyncClient, photo: Photo, model: str, how: How) -> Outcome:
    try:
        return Outcome(photo, answer=await client.classify(photo, model, **how))
    except ClientError as error:
        return Outcome(photo, error=error)


async def _bytes_of(photo: Photo) -> bytes:
    """The photo; a file is read in a thread."""
    if isinstance(photo, bytes):
        return photo
    try:
        return await asyncio.to_thread(Path(photo).read_bytes)
    except OSError as error:
        raise PhotoUnreadable(f"{photo} cannot be read ({error.strerror}).") from error

"""The client's way with many photos: in order, few at a time, less urgent than single ones, and with their progress."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from weakref import WeakSet

import pytest

from answering import ANSWER, OK, answering, takes
from artifact.errors import PhotoUnreadable
from service.client import AsyncClient, Client
from service.many import Meter, Outcome, Progress
from support import PATIENCE, ROOT, Service, png


def mixed(count: int) -> Iterator[bytes]:
    """Dark and light photos in turn, and each fifth one broken."""
    for number in range(count):
        yield b"no photo" if number % 5 == 4 else png(255 * (number % 2))


def said(outcome: Outcome) -> str:
    return outcome.answer["predictions"][0]["label"] if outcome.answer else outcome.error.code


EXPECTED = ["dark", "light", "dark", "light", "image_type_unsupported", "light", "dark", "light", "dark"]


def test_many_photos_are_answered_in_order_and_a_broken_one_stops_no_other(service: Service, tmp_path: Path):
    photos = [*mixed(9), tmp_path / "missing.png"]
    with Client(service.url) as client:
        outcomes = list(client.classify_many(photos, "tiny", concurrency=4, urgency=7, top_k=1))
    assert [said(outcome) for outcome in outcomes] == [*EXPECTED, "photo_unreadable"]
    assert [outcome.photo for outcome in outcomes] == photos


async def test_many_photos_with_asyncio(service: Service):
    async with AsyncClient(service.url) as client:
        outcomes = [outcome async for outcome in client.classify_many(mixed(9), "tiny", concurrency=4)]
    assert [said(outcome) for outcome in outcomes] == EXPECTED


def test_as_many_photos_are_on_their_way_as_asked_for_and_no_more_are_taken():
    taken = 0

    def photos() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            yield png(0)

    with answering(OK, together=4) as (url, seen), Client(url) as client:
        for given, outcome in enumerate(client.classify_many(photos(), "tiny", concurrency=4)):
            assert outcome.answer == ANSWER
            assert taken <= given + 4
            assert len(seen) <= given + 4
    assert len(seen) == 12


def test_more_photos_than_places_are_all_answered(narrow: Service):
    with Client(narrow.url) as client:
        outcomes = list(client.classify_many([png(shade) for shade in range(0, 60, 10)], "tiny", concurrency=3))
    assert [said(outcome) for outcome in outcomes] == ["dark"] * 6


async def test_who_stops_in_the_middle_of_many_leaves_nothing_running(silent: str):
    begun = asyncio.Event()

    def photos() -> Iterator[bytes]:
        yield from [png(0)] * 3
        begun.set()
        yield png(0)

    async with AsyncClient(silent) as client:
        first = asyncio.ensure_future(anext(client.classify_many(photos(), "tiny", concurrency=4)))
        await begun.wait()
        running = asyncio.all_tasks() - {first, asyncio.current_task()}
        first.cancel()
        await asyncio.wait(running, timeout=PATIENCE)
        assert len(running) == 4
        assert all(task.cancelled() for task in running)


def test_who_stops_in_the_middle_of_many_without_asyncio_is_not_held_up(silent: str):
    def interrupted() -> Iterator[bytes]:
        yield png(0)
        raise KeyboardInterrupt

    with takes(0, 5), pytest.raises(KeyboardInterrupt), Client(silent) as client:
        list(client.classify_many(interrupted(), "tiny"))


class Named(type(Path())):  # type: ignore[misc]  # whichever kind of path this system has
    """A path that can be seen to be let go."""


CLIENTS = 4
MANY = 60


def named(path: Path, alive: WeakSet[Named]) -> Iterator[Named]:
    """The same photo many times, each by a path of its own, of which no more may be alive than are on their way."""
    for _ in range(MANY):
        photo = Named(path)
        alive.add(photo)
        assert len(alive) <= CLIENTS + 2  # the one that comes, and the one that was given last
        yield photo


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(png(0))
    return path


def test_photos_that_were_answered_are_let_go_however_many_come(photo: Path):
    with answering(OK) as (url, _), Client(url) as client:
        outcomes = client.classify_many(named(photo, WeakSet()), "tiny", concurrency=CLIENTS)
        assert sum(outcome.answer == ANSWER for outcome in outcomes) == MANY


async def test_photos_that_were_answered_are_let_go_with_asyncio_too(photo: Path):
    with answering(OK) as (url, _):
        async with AsyncClient(url) as client:
            outcomes = client.classify_many(named(photo, WeakSet()), "tiny", concurrency=CLIENTS)
            assert [outcome.answer async for outcome in outcomes] == [ANSWER] * MANY


def test_many_photos_are_less_urgent_than_single_ones_unless_said_otherwise():
    with answering(OK) as (url, seen), Client(url) as client:
        for how in ({}, {"urgency": 1}, {"urgency": None}):
            [*client.classify_many([png(0)], "tiny", **how)]
    assert [request.headers["Priority"] for request in seen] == ["u=5", "u=1", None]


async def test_progress_is_told_when_all_are_done_and_a_generator_has_no_total(service: Service):
    told: list[Progress] = []
    with Client(service.url) as client:
        [*client.classify_many([*mixed(9)], "tiny", progress=told.append)]
    async with AsyncClient(service.url) as client:
        [outcome async for outcome in client.classify_many(mixed(9), "tiny", progress=told.append)]
    known, unknown = (progress for progress in told if progress.done == 9)
    assert (known.failed, known.total) == (1, 9)
    assert (unknown.failed, unknown.total) == (1, None)


def test_the_bar_in_the_docs_is_drawn():
    lines = (ROOT / "docs" / "clients.md").read_text().split("<!-- a test runs this program -->")[1].splitlines()
    program = dedent("\n".join(takewhile(lambda line: not line or line.startswith(" "), lines)))
    with Service(ROOT / "models") as running:
        program = program.replace("http://127.0.0.1:8000", running.url)
        ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "docs/boot.png {'model': 'fashion-mnist'" in ran.stdout
    assert "100%" in ran.stderr
    assert "1/1" in ran.stderr


def test_progress_is_told_once_a_second_and_reads_as_a_line():
    told: list[str] = []
    clock = [0.0]
    meter = Meter([b""] * 5, lambda progress: told.append(str(progress)), lambda: clock[0])
    answered, failed = Outcome(b""), Outcome(b"", error=PhotoUnreadable("gone"))
    for seconds, outcome in ((0.5, answered), (1.0, failed), (1.5, answered), (1.9, answered), (2.0, answered)):
        clock[0] = seconds
        assert meter.count(outcome) is outcome
    meter.tell()
    assert told == ["2 of 5 photos, 1 failed, 2/s, 2 s left", "5 of 5 photos, 1 failed, 2/s"]
    assert str(Progress(1200, 0, None, 3.0)) == "1200 photos, 400/s"

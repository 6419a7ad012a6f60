"""More clients than there are places: what they are told, how it is measured, and how new ones get in."""

import asyncio
import socket
import time
from collections import Counter
from pathlib import Path

import uvloop

from benchmarks import overload
from benchmarks.client import Target
from benchmarks.flood import Answer, Answers, Flood, answers_to
from benchmarks.overload import Found, OverloadOptions, Times
from benchmarks.serving import serving
from graphs import graph, slow
from service.server import BACKLOG, doors
from support import CLASSIFY, Service, png, publish

TIMES = Times(start=0, few=0, flood=10, few_again=20, end=30)


def answers(rate: int, begin: float, end: float, took: float = 0.01) -> list[Answer]:
    """So many a second."""
    return [Answer(begin + number / rate, took) for number in range(int((end - begin) * rate))]


def found(goodput: int = 100, refusal: float = 0.01, recovered: float = 20.5, **changes: object) -> Found:
    """What a measurement found whose peak is 100 a second; by default it is all as claimed."""
    parts = {
        "few": Answers(answers(100, 0, 10)),
        "flood": Answers(answers(goodput, 10, 20), answers(500, 10, 20, refusal)),
        "few_again": Answers(answers(100, recovered, 30)),
        "aside": Answers(refused=answers(10, 10, 20, refusal)),
        "memory": [(moment, 10**8) for moment in range(30)],
    }
    return Found(TIMES, **(parts | changes))  # type: ignore[arg-type]


def holds(measured: Found) -> list[bool]:
    """Of goodput, refusals, recovery, other answers and memory."""
    return [finding.holds for finding in overload._findings(measured)]


def test_each_bound_that_is_missed_is_found():
    growing = [(moment, 10**8 + moment * 2 * 10**6) for moment in range(30)]
    assert holds(found()) == [True] * 5
    assert holds(found(goodput=80)) == [False, True, True, True, True]
    assert holds(found(refusal=0.1)) == [True, False, True, True, True]
    assert holds(found(recovered=23)) == [True, True, False, True, True]
    assert holds(found(few=Answers(answers(100, 0, 10), others=Counter({500: 1})))) == [True, True, True, False, True]
    assert holds(found(memory=growing)) == [True, True, True, True, False]


def test_every_client_of_a_flood_is_answered_or_told_when_to_come_back(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=1)))
    with Service(tmp_path, "--max-items", "2", "--cache-bytes", "0") as running:
        now = time.monotonic()
        seen = answers_to(Flood(Target.of(running.url + CLASSIFY, [png(255)]), 50, now, now + 1, "at once"))
        assert running.metric("hangtag_items_total", outcome="ok") == len(seen.good) > 0
        assert running.metric("hangtag_items_total", outcome="rejected") == len(seen.refused) > 48
        assert seen.others.total() == 0


def test_a_service_that_is_gone_loses_every_client_of_a_flood():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    now = time.monotonic()
    seen = answers_to(Flood(Target("127.0.0.1", port, (b"",)), 3, now, now + 0.1))
    assert seen.others == {0: 3}


def test_peak_flood_and_peak_are_measured_in_turn(models: Path, capsys):
    options = OverloadOptions(models=models, clients=300, few=4, seconds=1, peak_seconds=0.5)
    with serving(models, ["--max-items", "8"]) as service:
        measured = overload._measure(options, service, service.url + CLASSIFY, [png(255)], "told")
    overload._show(measured, options.seconds)
    assert measured.few.good
    assert measured.flood.good
    assert measured.flood.refused
    assert measured.flood.others.total() == 0
    assert "the flood's own clients, refused" in capsys.readouterr().out


def test_connections_that_wait_are_taken_several_in_a_turn_of_the_loop():
    """libuv takes one from each socket; a new client would wait for as many turns as others came before it."""
    taken, turns, came = [], [0], 160

    class Note(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taken.append(turns[0])
            transport.abort()

    async def take() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(BACKLOG)
            clients = [socket.create_connection(listener.getsockname()) for _ in range(came)]
            servers = [await loop.create_server(Note, sock=door, backlog=BACKLOG) for door in doors(listener)]
            while len(taken) < came:
                turns[0] += 1
                await asyncio.sleep(0)
            for each in (*servers, *clients):
                each.close()

    uvloop.run(take())
    assert len({*taken}) <= came / 3

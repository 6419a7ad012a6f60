"""Those who have a seat and send slowly make room for those who need it."""

import pytest

from artifact.errors import QueueFull
from scheduled import Gate, build
from service.bounds import Load


class Client:
    """One who sends, as fast or as slowly as it is told."""

    def __init__(self, *, slow: bool, soon: bool = False) -> None:
        self.slow = slow
        self.soon = soon
        self.is_out = False

    def is_slow(self) -> bool:
        return self.slow

    def will_soon_send(self, missing: int) -> bool:
        assert missing > 0
        return self.soon

    def put_out(self) -> None:
        self.is_out = True


async def test_who_sends_slowly_gives_its_seat_to_one_who_needs_it_longest_first_and_never_who_is_alone():
    scheduler = build(Gate().run, max_items=3)
    clients = [Client(slow=False), Client(slow=True), Client(slow=True)]
    with scheduler.seat() as first, scheduler.seat() as second, scheduler.seat() as third:
        for seat, client in zip((first, second, third), clients, strict=True):
            seat.begin_arriving(client)
        with scheduler.seat():
            assert [client.is_out for client in clients] == [False, True, False]
            third.end_arriving()  # all of it is here
            with pytest.raises(QueueFull), scheduler.seat():
                pass
            clients[0].slow = True
            with pytest.raises(QueueFull), scheduler.seat():
                pass
        assert [client.is_out for client in clients] == [False, True, False]
    await scheduler.close()  # would wait for ever if a seat were given back once too few


async def test_nobody_makes_room_for_one_who_is_less_urgent():
    scheduler = build(Gate().run)
    tardy, slow = Client(slow=False), Client(slow=True)
    with scheduler.seat(size=700) as first, scheduler.seat(size=300) as second:
        first.begin_arriving(tardy)
        second.begin_arriving(slow)
        with pytest.raises(QueueFull, match="bytes"), scheduler.seat(size=1, urgency=5):
            pass
        assert (first.held.bytes, second.held.bytes, slow.is_out) == (700, 300, False)
        with scheduler.seat(size=1):
            assert first.held.bytes == 0


async def test_who_sends_slowly_keeps_its_seat_and_holds_only_the_bytes_that_are_there_when_others_need_more():
    scheduler = build(Gate().run)
    quick, tardy = Client(slow=False, soon=True), Client(slow=False)
    with scheduler.seat(size=400) as first, scheduler.seat(size=600) as second:
        first.begin_arriving(quick)
        second.begin_arriving(tardy)
        first.receive(100)
        second.receive(100)
        with scheduler.seat(size=500):
            assert (first.held.bytes, second.held.bytes) == (400, 100)
            with pytest.raises(QueueFull, match="bytes"):
                second.receive(1)
            first.receive(300)
        second.receive(500)
        assert (first.held.bytes, second.held.bytes) == (400, 600)
    assert [quick.is_out, tardy.is_out] == [False, False]
    await scheduler.close()  # would wait for ever if a seat were given back once too few
    assert scheduler._bounds.taken == Load()

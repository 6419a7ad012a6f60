"""What is done for a client breaks off when the client hangs up."""

import asyncio

import pytest

from artifact.errors import ClientGone
from service.line import Line


async def test_what_was_attended_twice_is_still_attended_when_the_inner_one_has_ended():
    line, begun = Line(), asyncio.Event()

    async def work() -> None:
        with line.attended():
            with line.attended():
                begun.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await begun.wait()
    line.cut()
    with pytest.raises(ClientGone):
        await working


async def test_nothing_is_begun_for_a_client_that_has_hung_up():
    line = Line()
    line.cut()
    with pytest.raises(ClientGone), line.attended():
        pytest.fail("it was begun")

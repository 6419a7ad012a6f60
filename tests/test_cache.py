"""Scores kept by content: when an image is computed, and when it is known."""

import asyncio
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from artifact.errors import DeadlineExceeded, HangtagError, ImageError, InferenceFailed, InferenceStuck
from service import cache as cache_module
from service.cache import ScoreCache, Source
from service.runner import Scores
from service.terms import Terms
from support import LABELS, Service, png

PATIENCE = 10
MODEL = "sha256:" + "0" * 64
SCORES = np.array([0.75, 0.25], np.float32)


def terms(urgency: int = 3, seconds: float = PATIENCE) -> Terms:
    return Terms(urgency, monotonic() + seconds)


class Computer:
    """Computes when it is told to, and counts how often it was asked."""

    def __init__(self, outcome: Scores | Exception = SCORES) -> None:
        self.asked = 0
        self._outcome = outcome
        self.open = asyncio.Event()

    async def __call__(self) -> Scores:
        self.asked += 1
        await self.open.wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


async def begun(cache: ScoreCache, computer: Computer, image: bytes = b"image", asked: Terms | None = None):
    """A caller who is as far as it gets before somebody else does something."""
    caller = asyncio.create_task(cache.scores(MODEL, image, asked or terms(), computer))
    for _ in range(5):
        await asyncio.sleep(0)
    return caller


async def known(cache: ScoreCache, image: bytes = b"image", model: str = MODEL) -> Source:
    """Where the scores of an image come from that is computed at once."""
    computer = Computer()
    computer.open.set()
    scores, source = await cache.scores(model, image, terms(), computer)
    assert scores.tolist() == SCORES.tolist()
    return source


async def test_an_image_is_computed_once_and_then_known_by_its_bytes_and_the_model():
    cache = ScoreCache(10_000)
    assert await known(cache) == "miss"
    assert await known(cache) == "hit"
    assert await known(cache, b"imagf") == "miss"
    assert await known(cache, model="sha256:" + "1" * 64) == "miss"
    assert await known(cache, b"x" * 2**20) == "miss"
    assert await known(cache, b"x" * 2**20) == "hit"


async def test_what_was_asked_for_least_recently_is_dropped_first_and_memory_is_bounded():
    cache = ScoreCache(1000)
    for image in (b"1", b"2"):
        assert await known(cache, image) == "miss"
    assert await known(cache, b"1") == "hit"
    for image in (b"3", b"4"):
        assert await known(cache, image) == "miss"
        assert 0 < cache.size <= 1000
    assert await known(cache, b"2") == "miss"
    assert await known(ScoreCache(1)) == "miss"


async def test_a_kept_row_does_not_hold_its_batch():
    cache, computer = ScoreCache(10_000), Computer(np.tile(SCORES, (64, 1))[5])
    computer.open.set()
    scores, _ = await cache.scores(MODEL, b"image", terms(), computer)
    assert scores.base is None


async def test_callers_who_ask_for_the_same_at_once_share_one_computation():
    cache, first, second = ScoreCache(10_000), Computer(), Computer()
    callers = [await begun(cache, first), await begun(cache, second), await begun(cache, second)]
    first.open.set()
    assert [source for _, source in await asyncio.gather(*callers)] == ["miss", "collapsed", "collapsed"]
    assert (first.asked, second.asked) == (1, 0)


@pytest.mark.parametrize("end", ["hangs up", "fails"])
async def test_a_computation_that_comes_to_nothing_is_taken_over_by_one_who_waits(end: str):
    cache, first, second = ScoreCache(10_000), Computer(InferenceFailed("no")), Computer()
    leader = await begun(cache, first)
    followers = [await begun(cache, second), await begun(cache, second)]
    if end == "hangs up":
        leader.cancel()
    first.open.set()
    second.open.set()
    assert [source for _, source in await asyncio.gather(*followers)] == ["miss", "hit"]
    assert second.asked == 1
    with pytest.raises((asyncio.CancelledError, InferenceFailed)):
        await leader


@pytest.mark.parametrize("error", [ImageError("torn"), InferenceStuck("gone")])
async def test_an_image_that_is_broken_or_hangs_does_so_for_all_who_wait(error: HangtagError):
    cache, first, second = ScoreCache(10_000), Computer(error), Computer()
    callers = [await begun(cache, first), await begun(cache, second)]
    first.open.set()
    for caller in callers:
        with pytest.raises(type(error), match=str(error)):
            await caller
    assert second.asked == 0


async def test_an_image_that_is_broken_is_not_kept():
    cache, broken = ScoreCache(10_000), Computer(ImageError("torn"))
    broken.open.set()
    with pytest.raises(ImageError):
        await cache.scores(MODEL, b"image", terms(), broken)
    assert await known(cache) == "miss"


async def test_an_image_that_hung_is_not_tried_again_with_the_same_model_and_only_so_many_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(cache_module, "_MOST_HUNG", 2)
    cache, stuck, again = ScoreCache(10_000), Computer(InferenceStuck("gone")), Computer()
    stuck.open.set()
    for image in (b"1", b"2"):
        for computer in (stuck, again):
            with pytest.raises(InferenceStuck):
                await cache.scores(MODEL, image, terms(), computer)
    assert (stuck.asked, again.asked) == (2, 0)
    assert await known(cache, b"1", model="sha256:" + "1" * 64) == "miss"
    with pytest.raises(InferenceStuck):
        await cache.scores(MODEL, b"3", terms(), stuck)
    assert await known(cache, b"1") == "miss"


async def test_one_who_hangs_up_does_not_disturb_those_who_wait_with_him():
    cache, first = ScoreCache(10_000), Computer()
    leader, gone, patient = [await begun(cache, first) for _ in range(3)]
    gone.cancel()
    first.open.set()
    assert [source for _, source in await asyncio.gather(leader, patient)] == ["miss", "collapsed"]


async def test_nobody_waits_for_what_is_less_urgent_and_the_more_urgent_is_shared():
    cache, slow_one, urgent, unused = ScoreCache(10_000), Computer(), Computer(), Computer()
    leader = await begun(cache, slow_one, asked=terms(5))
    overtaking = await begun(cache, urgent, asked=terms(3))
    follower = await begun(cache, unused, asked=terms(5))
    urgent.open.set()
    assert [source for _, source in await asyncio.gather(overtaking, follower)] == ["miss", "collapsed"]
    slow_one.open.set()
    assert (await leader)[1] == "miss"
    assert (slow_one.asked, urgent.asked, unused.asked) == (1, 1, 0)


async def test_a_caller_waits_for_another_until_its_own_deadline():
    cache, first = ScoreCache(10_000), Computer()
    leader = await begun(cache, first)
    hurried = await begun(cache, first, asked=terms(seconds=0.01))
    with pytest.raises(DeadlineExceeded):
        await hurried
    first.open.set()
    assert (await leader)[1] == "miss"


def test_the_header_and_the_metrics_say_where_an_answer_came_from(models: Path):
    with Service(models) as running:
        first, second = running.classify(png(10)), running.classify(png(10), top_k="1")
        assert first.headers["cache-status"] == "hangtag; fwd=miss; stored"
        assert second.headers["cache-status"] == "hangtag; hit"
        assert second.json()["predictions"] == first.json()["predictions"][:1]
        assert first.json()["id"] != second.json()["id"]
        assert len(first.json()["predictions"]) == len(LABELS)
        assert running.metric("hangtag_cache_requests_total", source="hit") == 1
        assert running.metric("hangtag_cache_requests_total", source="miss") == 1
        assert running.metric("hangtag_cache_bytes") > 0
        assert running.metric("hangtag_items_total", outcome="ok") == 2
        assert running.metric("hangtag_stage_duration_seconds_count", stage="decode") == 1


def test_without_memory_for_it_there_is_no_cache(models: Path):
    with Service(models, "--cache-bytes", "0") as running:
        for _ in range(2):
            assert "cache-status" not in running.classify(png(10)).headers
        assert running.metric("hangtag_stage_duration_seconds_count", stage="decode") == 2
        assert running.metric("hangtag_cache_requests_total", source="miss") == 0

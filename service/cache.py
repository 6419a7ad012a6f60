"""Scores that are known already, found by what they depend on alone: the model, and the bytes of the image."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import blake2b
from time import monotonic
from typing import Literal

from cachetools import LRUCache, TTLCache

from artifact.errors import DeadlineExceeded, ImageError, InferenceStuck
from service.runner import Scores
from service.terms import Terms

Source = Literal["hit", "collapsed", "miss"]
FARTHEST_LAST: tuple[Source | None, ...] = (None, "hit", "collapsed", "miss")

# What the dictionaries, the key and the array's object take beside the scores themselves; measured.
_ENTRY_BYTES = 330

# Longer images are digested in a thread, since the event loop would stand still for over a quarter of a millisecond.
_LONG = 256 * 1024


# Images from which a runner did not come back, and for how many seconds they are remembered.
_MOST_HUNG = 1000
_HUNG_SECONDS = 3600


class _Computation:
    """Scores that are being computed, and in the end what came of it: None if they were not."""

    def __init__(self, urgency: int) -> None:
        self.urgency = urgency
        self.ended = asyncio.Event()
        self.outcome: Scores | ImageError | InferenceStuck | None = None


class ScoreCache:
    """Keeps scores up to a number of bytes, and drops first what was not asked for the longest.

    Who asks for what is being computed waits for it, and computes it himself if that came to nothing. But an image from
    which a runner did not come back is not tried by each of them, nor by who asks for it again soon.
    """

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[bytes, Scores] = LRUCache(max_bytes, getsizeof=_size)
        self._hung: TTLCache[bytes, bool] = TTLCache(_MOST_HUNG, _HUNG_SECONDS)
        self._underway: dict[bytes, _Computation] = {}

    @property
    def size(self) -> int:
        """Bytes that the kept scores take."""
        return int(self._kept.currsize)

    async def scores(
        self, model_digest: str, image: bytes, terms: Terms, compute: Callable[[], Awaitable[Scores]]
    ) -> tuple[Scores, Source]:
        """The scores of an image, and where they came from; raises what `compute` does, or did, or DeadlineExceeded.

        Nobody waits for a computation that is less urgent than himself.
        """
        key = await _key(model_digest, image)
        while (kept := self._kept.get(key)) is None:
            if key in self._hung:
                raise InferenceStuck("The model did not come back from this image before; it is not tried again yet.")
            other = self._underway.get(key)
            if other is None or other.urgency > terms.urgency:
                return await self._compute(key, terms.urgency, compute), "miss"
            await _end_of(other, terms.deadline)
            if isinstance(other.outcome, ImageError | InferenceStuck):
                raise _alone(other.outcome)
            if other.outcome is not None:
                return other.outcome, "collapsed"
        return kept, "hit"

    async def _compute(self, key: bytes, urgency: int, compute: Callable[[], Awaitable[Scores]]) -> Scores:
        ours = self._underway[key] = _Computation(urgency)
        try:
            ours.outcome = scores = (await compute()).copy()  # not a row that keeps its whole batch
            with suppress(ValueError):  # larger than all that may be kept
                self._kept[key] = scores
        except (ImageError, InferenceStuck) as error:
            ours.outcome = _alone(error)
            if isinstance(error, InferenceStuck):
                self._hung[key] = True
            raise
        finally:
            if self._underway.get(key) is ours:
                del self._underway[key]
            ours.ended.set()
        return scores


async def _key(model_digest: str, image: bytes) -> bytes:
    """128 bits that stand for a model and an image; nobody can make two images that share them."""
    if len(image) > _LONG:
        return await asyncio.to_thread(_digest, model_digest, image)
    return _digest(model_digest, image)


def _digest(model_digest: str, image: bytes) -> bytes:
    return blake2b(image, digest_size=16, key=model_digest.removeprefix("sha256:").encode()).digest()


def _alone(error: ImageError | InferenceStuck) -> ImageError | InferenceStuck:
    """The same error without its traceback, which holds the image."""
    return type(error)(*error.args)


async def _end_of(computation: _Computation, deadline: float) -> None:
    try:
        async with asyncio.timeout(deadline - monotonic()):
            await computation.ended.wait()
    except TimeoutError as error:
        raise DeadlineExceeded("The same image was being computed until the deadline.") from error


def _size(scores: Scores) -> int:
    return scores.nbytes + _ENTRY_BYTES

"""What waits in a scheduler, and the outcomes that it may have; these are set on the event loop alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from artifact.errors import DeadlineExceeded, InferenceFailed, InferenceStuck

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class Entry(Generic[Item, Result]):
    """An item that somebody waits for; it may be run with up to `company` items, itself among them."""

    item: Item
    outcome: asyncio.Future[Result]
    since: float
    urgency: int
    deadline: float
    company: int


Batch = list[Entry[Item, Result]]


def settle(batch: Batch[Item, Result], results: Sequence[Result | Exception]) -> None:
    """Let each have its result, or the error in its place."""
    for entry, result in zip(batch, results, strict=True):
        if entry.outcome.done():  # its caller hung up
            continue
        if isinstance(result, Exception):
            entry.outcome.set_exception(result)
        else:
            entry.outcome.set_result(result)


def fail(batch: Batch[Item, Result], error: BaseException) -> None:
    """Whoever ran them raised an error."""
    for entry in batch:
        failure = InferenceFailed("The model failed on this image.")
        failure.__cause__ = error
        settle([entry], [failure])


def give_up(batch: Batch[Item, Result]) -> None:
    """Whoever ran them did not come back."""
    settle(batch, [InferenceStuck("The model did not come back from this image, and was given up.") for _ in batch])


def expire(batch: Batch[Item, Result]) -> None:
    """Nobody ran them in time."""
    late = "The image waited until its deadline; send it again, or allow it more time."
    settle(batch, [DeadlineExceeded(late) for _ in batch])

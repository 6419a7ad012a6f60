"""Copies of a share of the traffic for a version on trial, whose answers are compared and never returned."""

import asyncio
from collections.abc import Awaitable, Callable
from random import random
from time import monotonic

from artifact.answer import Answer, answer
from artifact.card import ModelCard
from artifact.errors import HangtagError, Refused
from service.lanes import LANES
from service.model_metrics import ModelMetrics
from service.runner import Photo, Scores
from service.terms import Terms

_LEAST_URGENT = LANES - 1

# Copies that wait or run at once; when the shadow falls behind, the rest of the traffic is not copied.
_MOST_AT_ONCE = 16


class Shadow:
    """Asks a version a `share` of what another one was asked, least urgently, after that one has answered."""

    def __init__(
        self, ask: Callable[[Photo, Terms], Awaitable[Scores]], card: ModelCard, share: float, metrics: ModelMetrics
    ) -> None:
        self._ask = ask
        self._card = card
        self._share = share
        self._metrics = metrics
        self._copies: set[asyncio.Task[None]] = set()

    def copy(self, photo: Photo, served: Answer, terms: Terms) -> None:
        """Let the shadow look at what was answered, perhaps; nobody waits for it."""
        if random() >= self._share:  # noqa: S311 - a sample, no secret
            return
        if len(self._copies) >= _MOST_AT_ONCE:
            self._metrics.compared("skipped")
            return
        own = photo if isinstance(photo, bytes) else photo.copy()  # not a part of a body, which it would keep whole
        copy = asyncio.create_task(self._compare(own, served, terms.deadline))
        self._copies.add(copy)
        copy.add_done_callback(self._copies.discard)

    def close(self) -> None:
        """Break off what is not compared yet."""
        for copy in self._copies:
            copy.cancel()

    async def _compare(self, photo: Photo, served: Answer, deadline: float) -> None:
        started = monotonic()
        try:
            scores = await self._ask(photo, Terms(_LEAST_URGENT, deadline))
        except HangtagError as error:
            self._metrics.compared("skipped" if isinstance(error, Refused) else "failed")
            return
        comparison = _comparison(served, answer(scores, self._card, 1))
        self._metrics.compared(comparison, monotonic() - started)


def _comparison(served: Answer, ours: Answer) -> str:
    if served.predictions[0][0] != ours.predictions[0][0]:
        return "other_label"
    return "same" if served.decision == ours.decision else "other_decision"

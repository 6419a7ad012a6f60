"""One version of a model in service, and the way of photos through it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from artifact.answer import Answer, answer
from artifact.card import ModelCard
from artifact.containers import declared_pixels
from artifact.errors import ArchiveError, ClientGone, DeadlineExceeded, ImageError, Refused, RequestError
from artifact.expectation import Expectation
from artifact.golden import GoldenSamples
from artifact.repository import MODEL_FILE
from artifact.session import Session
from service.bounds import Load
from service.cache import FARTHEST_LAST, ScoreCache, Source
from service.company import Company
from service.decoders import Decoders
from service.intake import Caller
from service.model_metrics import ModelMetrics
from service.pulse import Pulse
from service.record import Record
from service.recovery import Recovery
from service.runner import Job, Photo, Runner, Scores
from service.scheduler import Scheduler
from service.seat import Seat
from service.settings import Settings
from service.shadow import Shadow
from service.stages import Stages
from service.terms import Terms
from service.way import Way


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that has answered its golden samples, and how it is run: `decoders` where its runners do not decode."""

    card: ModelCard
    golden: GoldenSamples
    expectation: Expectation | None
    session: Session
    way: Way
    decoders: Decoders | None


class HostedModel:
    """A loaded version; `shadow` is who gets copies of what it answers. `give_up` is told why it cannot go on."""

    def __init__(
        self,
        loaded: Loaded,
        settings: Settings,
        metrics: ModelMetrics,
        cache: ScoreCache | None,
        pulse: Pulse,
        give_up: Callable[[str], None],
    ) -> None:
        card, way = loaded.card, loaded.way
        self.name = card.name
        self.version = card.version
        self.card = card
        self.shadow: Shadow | None = None
        self._digest = card.files[MODEL_FILE]
        self._max_pixels = settings.max_pixels
        self._cache = cache
        self._metrics = metrics
        self._scheduler: Scheduler[Job, Scores] = Scheduler(
            Runner(loaded.session, card.input, settings.max_pixels, metrics, loaded.decoders).run,
            runners=way.runners,
            company=Company(way.max_batch, way.max_beside, way.background),
            limits=Load(settings.max_items, settings.max_held_bytes, settings.max_held_pixels),
            observer=metrics,
        )
        self.abreast = 2 * way.runners * way.max_batch  # photos of one request: as many wait as are run
        self._recovery = Recovery(self._scheduler, card, loaded.golden, metrics, give_up)
        self._pulse = pulse
        pulse.join(self._recovery.look)
        metrics.loaded(self._digest, card.labels)

    @property
    def is_stuck(self) -> bool:
        """Whether a runner does not come back, or did not, and the version has not proved since that it answers."""
        return self._recovery.is_stuck

    @contextmanager
    def admitted(self, caller: Caller) -> Iterator["Place"]:
        """Take a place for one request before its body is read; raises RequestError and QueueFull.

        What becomes of its photos is counted, whatever is raised within.
        """
        place = Place(self, caller.record)
        try:
            terms, size = caller.terms(), caller.declared_bytes()
            with self._scheduler.seat(size, terms.urgency, terms.deadline) as seat:
                place.take(seat, terms)
                yield place
        except BaseException as error:
            self.ended(error, place.photos)
            raise
        self.ended(None, place.photos)

    @contextmanager
    def joined(self, terms: Terms) -> Iterator[Seat[Job, Scores]]:
        """Begin a request of many photos, each of which gets a seat beside this one."""
        with self._scheduler.seat(0, terms.urgency, terms.deadline, items=0) as seat:
            yield seat

    def ended(self, error: BaseException | None, photos: int = 1) -> None:
        """Count what became of photos."""
        outcome = "ok" if error is None else _outcome(error)
        if isinstance(error, Refused) and outcome == "rejected":
            self._metrics.rejected(error.code, photos)
        self._metrics.outcome(outcome, photos)

    def pixels_of(self, photo: Photo) -> int:
        """How many pixels of it may be decoded; raises UndecodableImage."""
        return min(_pixels(photo), self._max_pixels)  # what declares more will not be decoded

    async def scores_of(
        self, photo: Photo, terms: Terms, seat: Seat[Job, Scores], stages: Stages
    ) -> tuple[Scores, Source | None]:
        """The scores of one photo that has a seat, and where they came from: None where no cache is kept."""

        async def run() -> Scores:
            if not seat.is_measured:
                seat.hold(Load(pixels=self.pixels_of(photo)))
            job = Job(photo, stages)
            try:
                return await seat.run(job)
            finally:
                job.end()

        if self._cache is None or not isinstance(photo, bytes):
            return await run(), None
        scores, source = await self._cache.scores(self._digest, photo, terms, run)
        self._metrics.sourced(source, self._cache.size)
        return scores, source

    def answer(self, photo: Photo, scores: Scores, terms: Terms, top_k: int = 1) -> Answer:
        """What the scores of a photo mean; it is counted, and the shadow may look at it."""
        found = answer(scores, self.card, top_k)
        self._metrics.answered(found)
        if self.shadow:
            self.shadow.copy(photo, found, terms)
        return found

    def as_shadow(self, share: float) -> Shadow:
        """Who asks this version for comparison, with copies of what another one answers."""
        return Shadow(self._ask, self.card, share, self._metrics)

    async def _ask(self, photo: Photo, terms: Terms) -> Scores:
        with self._scheduler.seat(_bytes(photo), terms.urgency, terms.deadline) as seat:
            scores, _ = await self.scores_of(photo, terms, seat, Stages())
        return scores

    def end_shadow(self) -> None:
        """Let nobody look at what is answered any more."""
        if self.shadow:
            self.shadow.close()
            self.shadow = None

    async def close(self) -> None:
        """Wait until all accepted photos are answered, and take no more."""
        self._recovery.close()
        self._metrics.retired(self._digest)
        await self._scheduler.close()
        self._pulse.leave(self._recovery.look)


class Place:
    """The place of one request in a model, from before its body is read until it is answered."""

    def __init__(self, model: HostedModel, record: Record) -> None:
        self.model = model
        self._record = record
        record.model, record.version, record.images = model.name, model.version, 1

    @property
    def photos(self) -> int:
        """How many the request has, as far as is known."""
        return self._record.images

    def take(self, seat: Seat[Job, Scores], terms: Terms) -> None:
        """Be let in; the seat holds the bytes of the body already where it is known how many will come."""
        self._seat = seat
        self.terms = terms

    def begin(self, sender: Caller) -> None:
        """The body is on its way; a slow one loses the place to those who need it."""
        self._seat.begin_arriving(sender)

    def receive(self, size: int) -> None:
        """So many more bytes of the body are here; raises QueueFull."""
        self._seat.receive(size)

    def end(self) -> None:
        """All of the body is here, or no more of it will come."""
        self._seat.end_arriving()

    async def answer(self, photo: bytes, top_k: int) -> tuple[Answer, Source | None]:
        """What the model says of the request's one photo, and where its scores came from."""
        scores, source = await self.model.scores_of(photo, self.terms, self._seat, self._record.stages)
        self._record.cache = source
        return self.model.answer(photo, scores, self.terms, top_k), source

    async def scores(self, photos: Sequence[Photo], terms: Terms) -> Scores:
        """The scores of all photos of the request, float32 [N, K], on other terms than it was let in on.

        Raises the error of the first photo that has one.
        """
        self._record.images = len(photos)
        self._seat.urgency, self._seat.deadline = terms.urgency, terms.deadline
        self._seat.hold(Load(items=len(photos) - 1))
        each = (self.model.scores_of(photo, terms, self._seat, self._record.stages) for photo in photos)
        found: list[Scores] = []
        sources: list[Source | None] = []
        for outcome in await asyncio.gather(*each, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            found.append(outcome[0])
            sources.append(outcome[1])
        self._record.cache = max(sources, key=FARTHEST_LAST.index)
        for photo, scores in zip(photos, found, strict=True):
            self.model.answer(photo, scores, terms)
        return np.stack(found)


def _outcome(error: BaseException) -> str:
    """What became of a photo that ended in an error."""
    match error:
        case ClientGone() | asyncio.CancelledError():
            return "cancelled"
        case ImageError() | RequestError() | ArchiveError():
            return "invalid"
        case DeadlineExceeded():
            return "expired"
        case Refused():
            return "rejected"
    return "failed"


def _bytes(photo: Photo) -> int:
    return len(photo) if isinstance(photo, bytes) else photo.nbytes


def _pixels(photo: Photo) -> int:
    return declared_pixels(photo) if isinstance(photo, bytes) else photo.shape[0] * photo.shape[1]

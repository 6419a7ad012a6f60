"""The place of a request of many photos in a model: a table, at which each photo gets a seat when there is room."""

import asyncio
from dataclasses import dataclass
from time import monotonic

from artifact.answer import Answer
from artifact.errors import DeadlineExceeded, HangtagError, InternalError
from service.bounds import Load
from service.cache import FARTHEST_LAST
from service.intake import Caller
from service.model import HostedModel
from service.record import Record
from service.runner import Job, Scores
from service.seat import Seat
from service.terms import Terms


@dataclass(slots=True, eq=False)
class Photo:
    """One of many, which may have a name; once it has come, `data` are its bytes, or `error` says what is wrong."""

    name: str | None
    seat: Seat[Job, Scores]
    has_come: bool = False
    data: bytes = b""
    error: HangtagError | None = None

    def refuse(self, error: HangtagError) -> None:
        """It is no good, or not now; nothing of it is kept."""
        self.error = error.with_traceback(None)  # which would hold us, and the data
        self.data = b""
        self.seat.leave()


class Table:
    """Lets photos in one after the other, and answers each; each that has come is counted once.

    A photo has so many `seconds` from when it is let in, within the deadline of the whole.
    """

    def __init__(
        self, model: HostedModel, seat: Seat[Job, Scores], terms: Terms, seconds: float, record: Record
    ) -> None:
        self.model = model
        self._own = seat
        self._terms = terms
        self._seconds = seconds
        self._record = record
        self._photos: dict[Photo, None] = {}

    async def make_room(self, size: int) -> None:
        """Wait until there is room for a body that is held whole; raises QueueFull when that takes too long.

        It is so large that photos which need little go by.
        """
        self._own.deadline = self._deadline()
        await self._own.hold_in_turn(Load(bytes=size), Load(), is_aside=True)

    def begin(self, sender: Caller) -> None:
        """A body that is held whole is on its way; a slow one loses its room to those who need it."""
        self._own.begin_arriving(sender)

    def receive(self, size: int) -> None:
        """So many more bytes of that body are here; raises QueueFull."""
        self._own.receive(size)

    def end(self) -> None:
        """All of that body is here, or no more of it will come."""
        self._own.end_arriving()

    def expect(self, name: str | None) -> Photo:
        """A photo that holds nothing yet."""
        photo = Photo(name, self._own.beside(self._deadline()))
        self._photos[photo] = None
        return photo

    async def hold(self, photo: Photo, size: int) -> None:
        """Wait until there is room for so many more bytes of a photo; raises QueueFull at its deadline."""
        await photo.seat.hold_in_turn(Load(bytes=size), self._own.held)

    async def let_in(self, photo: Photo) -> None:
        """Wait until there is room to run a photo that has come; it has an error where there never is."""
        if photo.error:
            return
        seat = photo.seat
        seat.deadline = self._deadline()
        try:
            if seat.deadline <= monotonic():
                raise DeadlineExceeded("The request's deadline passed before the image had its turn.")
            await seat.hold_in_turn(Load(items=1, pixels=self.model.pixels_of(photo.data)), self._own.held)
        except HangtagError as error:
            photo.refuse(error)
        seat.is_measured = True

    async def answer(self, photo: Photo, top_k: int) -> Answer:
        """What the model says of a photo that was let in; raises a HangtagError, whatever is wrong."""
        try:
            answer = await self._classify(photo, top_k)
        except HangtagError as error:
            self._leave(photo, error)
            raise
        except Exception as error:
            self._leave(photo, error)
            raise InternalError("The service failed on this image; its log says why.") from error
        self._leave(photo, None)
        return answer

    def close(self) -> None:
        """Let nobody sit here any more; the photos that have come, and were not answered, are given up."""
        for photo in [*self._photos]:
            self._leave(photo, asyncio.CancelledError())

    async def _classify(self, photo: Photo, top_k: int) -> Answer:
        if photo.error:
            raise photo.error
        seat = photo.seat
        terms = Terms(seat.urgency, seat.deadline)
        scores, source = await self.model.scores_of(photo.data, terms, seat, self._record.stages)
        self._record.cache = max(self._record.cache, source, key=FARTHEST_LAST.index)
        return self.model.answer(photo.data, scores, terms, top_k)

    def _leave(self, photo: Photo, error: BaseException | None) -> None:
        """Count what became of a photo, if it has come; it needs nothing any more."""
        del self._photos[photo]
        photo.seat.leave()
        if photo.has_come:
            self.model.ended(error)

    def _deadline(self) -> float:
        return min(self._terms.deadline, monotonic() + self._seconds)

"""On what terms a caller asks: how urgent it is, and until when an answer is of use."""

import re
from dataclasses import dataclass
from time import monotonic

from starlette.datastructures import Headers

from artifact.errors import MalformedRequest
from service.lanes import DEFAULT_URGENCY

PRIORITY = "Priority"  # RFC 9218
DEADLINE = "X-Request-Deadline-Ms"

_URGENCY = re.compile(r"(?:^|,)\s*u=([0-7])\s*(?:[;,]|$)")
_MILLISECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """Urgency from 0, the most, to 7; and the deadline in seconds of the monotonic clock."""

    urgency: int
    deadline: float


def terms_of(headers: Headers, most_seconds: float) -> Terms:
    """What the headers ask for, within what the server allows; raises MalformedRequest for a deadline that is none.

    A priority that makes no sense is taken for none, as RFC 9218 wants it.
    """
    seconds = most_seconds
    if (asked := headers.get(DEADLINE)) is not None:
        if not _MILLISECONDS.fullmatch(asked):
            raise MalformedRequest(f"{DEADLINE} is {asked[:40]!r}; send a number of milliseconds, such as 250.")
        seconds = min(int(asked) / 1000, most_seconds)
    urgency = _URGENCY.search(headers.get(PRIORITY, ""))
    return Terms(int(urgency[1]) if urgency else DEFAULT_URGENCY, monotonic() + seconds)

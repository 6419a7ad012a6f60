"""On what terms a caller asks: how urgent it is, and until when an answer is of use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from artifact.errors import MalformedRequest
from service.lanes import DEFAULT_URGENCY

_PRIORITY = b"priority"  # RFC 9218
_DEADLINE = b"x-request-deadline-ms"

_URGENCY = re.compile(rb"(?:^|,)\s*u=([0-7])\s*(?:[;,]|$)")
_MILLISECONDS = re.compile(rb"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Terms:
    """Urgency from 0, the most, to 7; and the deadline in seconds of the monotonic clock."""

    urgency: int
    deadline: float


def terms_of(headers: Mapping[bytes, bytes], most_seconds: float, default_urgency: int = DEFAULT_URGENCY) -> Terms:
    """What the headers ask for, within what the server allows; raises MalformedRequest for a deadline that is none.

    A priority that makes no sense is taken for none, as RFC 9218 wants it.
    """
    seconds = most_seconds
    if (asked := headers.get(_DEADLINE)) is not None:
        if not _MILLISECONDS.fullmatch(asked):
            given = asked[:40].decode("latin-1")
            raise MalformedRequest(f"X-Request-Deadline-Ms is {given!r}; send a number of milliseconds, such as 250.")
        seconds = min(int(asked) / 1000, most_seconds)
    urgency = _URGENCY.search(headers.get(_PRIORITY, b""))
    return Terms(int(urgency[1]) if urgency else default_urgency, monotonic() + seconds)

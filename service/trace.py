"""Where a request stands in a trace that began elsewhere: the headers of W3C Trace Context."""

import re
from collections.abc import Sequence
from typing import NamedTuple

TRACEPARENT = b"traceparent"
_TRACESTATE = b"tracestate"

# Version, trace, the caller's span, flags. Version ff is none; versions above 00 may have more to say behind that.
_PARTS = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1  # the flag


class Trace(NamedTuple):
    """A trace, the span in it that called us, and whether spans of it are wanted."""

    trace_id: str  # 32 hex digits
    parent_id: str  # 16
    is_sampled: bool
    state: str = ""  # what other tracing systems noted; passed on as it came


def trace_of(headers: Sequence[tuple[bytes, bytes]]) -> Trace | None:
    """The trace that the headers name; None where they name none, several, or one that is malformed."""
    given = [value for name, value in headers if name == TRACEPARENT]
    parts = _PARTS.fullmatch(given[0]) if len(given) == 1 else None
    if parts is None or (parts[1] == b"00" and parts[5]):
        return None
    state = b",".join(value for name, value in headers if name == _TRACESTATE)
    return Trace(parts[2].decode(), parts[3].decode(), bool(int(parts[4], 16) & _SAMPLED), state.decode("latin-1"))

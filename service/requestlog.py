"""One line in the log for each request; under load, so many a second of each kind."""

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from service.record import Record

logger = logging.getLogger("hangtag.access")

SLOW_SECONDS = 0.25

_LEVELS = {"rejected": logging.WARNING, "expired": logging.WARNING, "failed": logging.ERROR}


class RequestLog:
    """Writes up to `per_second` lines a second for requests that ended alike, and says how many it left out.

    Alike are those that ended in the same code; of those that went well, slow ones are a kind of their own. What
    failed is always written.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._kinds: defaultdict[tuple[int, str], _Kind] = defaultdict(_Kind)

    def ended(self, record: Record) -> None:
        """Write the request's line, or count it for the next one of its kind."""
        outcome = record.outcome
        level = logging.DEBUG if record.is_probe else _LEVELS.get(outcome, logging.INFO)
        if not logger.isEnabledFor(level):
            return
        kind = self._kinds[level, record.code or ("slow" if record.seconds > SLOW_SECONDS else outcome)]
        if outcome == "failed" or kind.grant(int(record.ended), self._per_second):
            logger.log(level, "request", extra=_fields(record) | kind.suppressed())

    def close(self) -> None:
        """Say what was left out and not told yet."""
        for (level, name), kind in self._kinds.items():
            if suppressed := kind.suppressed():
                logger.log(level, "requests without a line", extra={"kind": name, **suppressed})


@dataclass(slots=True)
class _Kind:
    """What was written in this second of requests that ended alike, and what was left out since the last line."""

    second: int = 0
    written: int = 0
    left_out: int = 0

    def grant(self, second: int, most: int) -> bool:
        """Whether one more may be written; if not, it is counted."""
        if second != self.second:
            self.second, self.written = second, 0
        if self.written < most:
            self.written += 1
            return True
        self.left_out += 1
        return False

    def suppressed(self) -> dict[str, int]:
        """The field that says what was left out, once; no field where nothing was."""
        left_out, self.left_out = self.left_out, 0
        return {"suppressed": left_out} if left_out else {}


def _fields(record: Record) -> dict[str, Any]:
    """What the line says; what is not known of the request is left out."""
    known = {
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "parent_id": record.trace.parent_id if record.trace else None,
        "span_id": record.span_id,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "outcome": record.outcome,
        "code": record.code,
        "key": record.key,
        "model": record.model,
        "version": record.version,
        "images": record.images or None,
        "cache": record.cache,
        "batch_size": record.stages.batch_size or None,
        "body_bytes": record.body_bytes or None,
        "seconds": round(record.seconds, 6),
    }
    stages = {f"{stage}_seconds": round(seconds, 6) for stage, seconds in record.stages.seconds().items()}
    return {name: value for name, value in known.items() if value is not None} | stages

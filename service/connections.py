"""The connections of one process: how many there may be, and which of them gives way to one more.

A client keeps a connection for nothing, so a limit alone would let a few hundred idle ones lock everybody out, the
health probes too. So the one that has waited longest for its client is ended, as nginx does when it runs out of them.
"""

import logging
import resource
from typing import Protocol

from service.metrics import Metrics

logger = logging.getLogger("hangtag")

_OTHER_FILES = 128  # models while they load, counts and keys' rates of workers, the log; about 30 are open at rest


class Connection(Protocol):
    """Whatever can be ended at once."""

    def end(self) -> None:
        """Close it, whatever it was doing."""


class Connections:
    """Knows all connections, and those that wait for their client: for a request, or until it takes its answer."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._count = metrics.connections
        self._ended = metrics.connections_ended
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # in the order in which they began to

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for one more, if need be that of the one that has waited longest for its client."""
        if len(self._open) >= self._limit and not self._make_room():
            self.ended("refused")
            return False
        self._open.add(connection)
        self._count.set(len(self._open))
        return True

    def closed(self, connection: Connection) -> None:
        """It is no more."""
        self._waiting.pop(connection, None)
        self._open.discard(connection)
        self._count.set(len(self._open))

    def waits(self, connection: Connection) -> None:
        """It waits for its client from now on."""
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """Its client waits for us from now on."""
        self._waiting.pop(connection, None)

    def ended(self, reason: str) -> None:
        """One was ended by us, and not because a request was answered."""
        self._ended.labels(reason).inc()

    def _make_room(self) -> bool:
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        self.closed(longest)
        self.ended("crowded")
        longest.end()
        return True


def files_for(connections: int) -> int:
    """Let this process open as many files as so many connections need; returns how many it can have.

    The usual limit is 1,024, and each process may raise its own as far as the hard one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    possible = max(soft - _OTHER_FILES, soft // 2)
    logger.warning("only %d files may be open, so there will be %d connections at most", soft, possible)
    return possible

"""The archives that are open, for whoever reads the next photo of one."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

_LEAST, _MOST = 1 / 64, 1 / 2  # so 64 small archives may be open, or two large ones
_LOCKS = 16


class Archive(Protocol):
    """Something that takes a share of what may be open."""

    share: float


A = TypeVar("A", bound=Archive)


class KeptOpen(Generic[A]):
    """The archives of one kind that were read last, each opened once for all threads that want it."""

    def __init__(self) -> None:
        self._archives: LRUCache[str, A] = LRUCache(1, lambda archive: min(max(archive.share, _LEAST), _MOST))
        self._caching = Lock()
        self._opening = [Lock() for _ in range(_LOCKS)]  # so that one that takes long holds up few others

    def get(self, where: str, open_it: Callable[[], A]) -> A:
        """What is open of an archive, or else is opened now."""
        with self._opening[hash(where) % _LOCKS]:
            with self._caching:
                archive = self._archives.get(where)
            if archive is None:
                archive = open_it()
                with self._caching:
                    self._archives[where] = archive
            return archive

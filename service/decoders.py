"""The threads that decode for devices which would wait meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.attempt import Attempt, Steps

Job = TypeVar("Job")
Decoded = TypeVar("Decoded")


class Decoders:
    """Threads that the runners of all models share; who comes first is served first."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="decoder")
        self._begun = Steps()

    def map(self, decode: Callable[[Job], Decoded], jobs: list[Job], attempt: Attempt) -> list[Decoded]:
        """What each job decodes to, in order.

        The attempt gets on with whatever is begun here, for whomever, until the last of its own jobs is.
        """
        attempt.wait_for(self._begun)

        def begin(job: Job) -> Decoded:
            self._begun.take()
            if job is jobs[-1]:
                attempt.wait_for(None)
            return decode(job)

        return list(self._threads.map(begin, jobs))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

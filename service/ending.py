"""How a process of the service ends: with which code, and without waiting for threads that nobody can end."""

import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

ALL_ANSWERED = 0
GAVE_UP_REQUESTS = 1
REPLACE_ME = os.EX_TEMPFAIL  # 75: this process cannot go on, and another one can


class Unawaited(ThreadPoolExecutor):
    """The threads of `asyncio.to_thread`, for which asyncio would wait at its end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as the pool's
        """Take no more; what runs may end, or not."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def leave(code: int) -> int:
    """Give the code back; where threads are left, end the process with it, here and now.

    Python waits for its threads at the end, and one that is stuck in a library would keep the process for ever.
    """
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed before the start is None
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    return code

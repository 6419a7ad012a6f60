"""Several processes that answer at one port: started, watched, replaced and stopped by the one that was called.

Each binds the port for itself (SO_REUSEPORT), and the kernel deals connections out to those that listen. What they
count goes to files that all of them read, so whichever is scraped speaks for all: docs/decisions/0010-workers.md.
"""

import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

from prometheus_client import multiprocess

from artifact.repository import Repository
from service.server import bind, hold_back_reloads, let_reloads_through
from service.settings import Settings

logger = logging.getLogger("hangtag")

Serve = Callable[[Settings, socket.socket, bool], int]

COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus_client when it is imported

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHORT_LIFE, _PAUSE = 5.0, 1.0  # seconds


class Workers:
    """`settings.workers` processes; one that is killed is replaced, one that ends by itself ends them all."""

    def __init__(self, settings: Settings, port: int, serve: Serve) -> None:
        self._settings = settings
        self._port = port
        self._serve = serve
        self._born: dict[BaseProcess, float] = {}
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Serve until a signal; returns the worst exit code of the workers, and raises RepositoryEmpty before any."""
        Repository(self._settings.models).names()
        with (
            bind(
                self._settings.host, self._port, shared=True
            ),  # so that nobody else takes it while a worker is replaced
            _counts_in_files(),
            self._signals_passed_on(),
        ):
            for number in range(self._settings.workers):
                self._start(first=number == 0)
            while self._born:
                for process in [*self._born]:
                    if process.sentinel in connection.wait([each.sentinel for each in self._born]):
                        self._ended(process)
        return self._code

    def _start(self, *, first: bool = False) -> None:
        process = get_context("spawn").Process(target=_work, args=(self._serve, self._settings, self._port, first))
        hold_back_reloads()  # the new process inherits that, until it can reload
        process.start()
        self._born[process] = monotonic()
        let_reloads_through()
        if self._stopping:
            process.terminate()

    def _ended(self, process: BaseProcess) -> None:
        process.join()
        age = monotonic() - self._born.pop(process)
        multiprocess.mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
        code = process.exitcode or 0
        if self._stopping:
            self._code = max(self._code, 0 if code == -signal.SIGTERM else abs(code))
        elif code < 0:
            logger.error("worker %d was killed by signal %d; another one takes its place", process.pid, -code)
            sleep(_PAUSE if age < _SHORT_LIFE else 0)
            self._start()
        else:
            logger.error("worker %d ended by itself with code %d; the service stops", process.pid, code)
            self._code = max(self._code, code or 1)
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for process in self._born:
            process.terminate()

    def _reload(self) -> None:
        for process in self._born:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process.pid or 0, signal.SIGHUP)

    @contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        """Let each SIGTERM or SIGINT be a SIGTERM to every worker, and SIGHUP a SIGHUP."""
        before = {number: signal.signal(number, lambda *_: self._stop()) for number in _SIGNALS}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._reload())
        let_reloads_through()
        try:
            yield
        finally:
            hold_back_reloads()
            for number, handler in before.items():
                signal.signal(number, handler)


def shared_folder() -> Path | None:
    """A folder that all workers have for as long as there are workers; None where there is one process."""
    folder = os.environ.get(COUNTS_FOLDER)
    return Path(folder) if folder else None


def tell_others() -> None:
    """Called in a worker: let all of them reload."""
    first = parent_process()
    if first and first.pid and first.is_alive():
        os.kill(first.pid, signal.SIGHUP)


@contextmanager
def _counts_in_files() -> Iterator[None]:
    """Give the workers a folder for what they count, for as long as there are workers."""
    with tempfile.TemporaryDirectory(prefix="hangtag-") as folder:
        os.environ[COUNTS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[COUNTS_FOLDER]


def _work(serve: Serve, settings: Settings, port: int, first: bool) -> None:  # noqa: FBT001 - by place, to a process
    """What a worker does: serve, until it is told to stop or is left alone."""
    os.setpgrp()  # Ctrl-C goes to all processes of a terminal's group; the first one passes it on
    Thread(target=_stop_when_alone, daemon=True).start()
    with bind(settings.host, port, shared=True) as listener:
        raise SystemExit(serve(settings, listener, first))


def _stop_when_alone() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101  (the type: this is a worker)
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)

"""Several processes that answer at one port: started, watched, replaced and stopped by the one that was called.

Each binds the port for itself (SO_REUSEPORT), and the kernel deals connections out to those that listen. What they
count goes to files that all of them read (`service.counts`). Why so: docs/decisions/0010-workers.md.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from time import monotonic, sleep

from artifact.repository import Repository
from service.counts import count_as, counts_in_files, forget_gauges, remove_files
from service.server import bind, hold_back_reloads, let_reloads_through
from service.settings import Settings

logger = logging.getLogger("hangtag")

Serve = Callable[[Settings, socket.socket, bool], int]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHORT_LIFE, _PAUSE = 5.0, 1.0  # seconds


class Workers:
    """`settings.workers` processes; one that is killed is replaced, one that ends by itself ends them all."""

    def __init__(self, settings: Settings, port: int, serve: Serve) -> None:
        self._settings = settings
        self._port = port
        self._serve = serve
        self._born: dict[BaseProcess, float] = {}
        self._numbers: dict[BaseProcess, int] = {}
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Serve until a signal; returns the worst exit code of the workers, and raises RepositoryEmpty before any."""
        Repository(self._settings.models).names()
        with (
            bind(
                self._settings.host, self._port, shared=True
            ),  # so that nobody else takes it while a worker is replaced
            counts_in_files(),
            self._signals_passed_on(),
        ):
            for number in range(self._settings.workers):
                self._start(number, first=number == 0)
            while self._born:
                for process in [*self._born]:
                    if process.sentinel in connection.wait([each.sentinel for each in self._born]):
                        self._ended(process)
        return self._code

    def _start(self, number: int, *, first: bool = False) -> None:
        process = get_context("spawn").Process(
            target=_work, args=(self._serve, self._settings, self._port, number, first)
        )
        hold_back_reloads()  # the new process inherits that, until it can reload
        process.start()
        self._born[process] = monotonic()
        self._numbers[process] = number
        let_reloads_through()
        if self._stopping:
            process.terminate()

    def _ended(self, process: BaseProcess) -> None:
        process.join()
        age, number = monotonic() - self._born.pop(process), self._numbers.pop(process)
        forget_gauges(number)
        code = process.exitcode or 0
        if self._stopping:
            self._code = max(self._code, 0 if code == -signal.SIGTERM else abs(code))
        elif code < 0:
            logger.error("worker %d was killed by signal %d; another one takes its place", process.pid, -code)
            sleep(_PAUSE if age < _SHORT_LIFE else 0)
            self._start(number)
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


def tell_others() -> None:
    """Called in a worker: let all of them reload."""
    first = parent_process()
    if first and first.pid and first.is_alive():
        os.kill(first.pid, signal.SIGHUP)


def _work(serve: Serve, settings: Settings, port: int, number: int, first: bool) -> None:  # noqa: FBT001 - by place
    """What a worker does: serve, until it is told to stop or is left alone."""
    os.setpgrp()  # Ctrl-C goes to all processes of a terminal's group; the first one passes it on
    Thread(target=_stop_when_alone, daemon=True).start()
    count_as(number)
    with bind(settings.host, port, shared=True) as listener:
        code = serve(settings, listener, first)
    if not _parent().is_alive():
        remove_files()
    raise SystemExit(code)


def _stop_when_alone() -> None:
    _parent().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _parent() -> BaseProcess:
    parent = parent_process()
    assert parent is not None  # noqa: S101  (the type: this is a worker)
    return parent

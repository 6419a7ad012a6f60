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
from ctypes import c_uint64
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from threading import Thread
from time import monotonic, sleep

from artifact.repository import Repository
from service.counts import count_as, counts_in_files, forget_gauges, remove_files
from service.ending import REPLACE_ME, leave
from service.pulse import BEATS, Still
from service.server import bind, hold_back_reloads, let_reloads_through
from service.settings import Settings

logger = logging.getLogger("hangtag")

Serve = Callable[[Settings, socket.socket, bool, Callable[[], None]], int]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHORT_LIFE, _PAUSE = 5.0, 1.0  # seconds


class _Life:
    """What the first process knows of a worker: its number, since when it lives, and whether its event loop turns.

    A worker adds one to a number that they share at each beat of its pulse; until its first one it is starting.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.began = monotonic()
        self.beats = RawValue(c_uint64)
        self._still = Still()

    def stands_still(self) -> bool:
        """Look at it, as is done at each beat of the first process."""
        return self._still.beats(self.beats.value) >= BEATS and self.beats.value > 0


class Workers:
    """`settings.workers` processes: one that is killed, stands still or asks for it is replaced.

    One that ends by itself in another way would do so again, and ends them all.
    """

    def __init__(self, settings: Settings, port: int, serve: Serve) -> None:
        self._settings = settings
        self._port = port
        self._serve = serve
        self._lives: dict[BaseProcess, _Life] = {}
        self._stopping = False
        self._spared_until = 0.0  # by the monotonic clock
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
            while self._lives:
                ended = connection.wait(
                    [process.sentinel for process in self._lives], self._settings.stuck_seconds / BEATS
                )
                for process, life in [*self._lives.items()]:
                    if process.sentinel in ended:
                        self._ended(process, life)
                    elif not ended and life.stands_still() and monotonic() >= self._spared_until:
                        logger.error("worker %d stands still; it is killed", process.pid)
                        process.kill()
        return self._code

    def _start(self, number: int, *, first: bool = False) -> None:
        life = _Life(number)
        process = get_context("spawn").Process(
            target=_work, args=(self._serve, self._settings, self._port, number, first, life.beats)
        )
        hold_back_reloads()  # the new process inherits that, until it can reload
        process.start()
        self._lives[process] = life
        let_reloads_through()
        if self._stopping:
            process.terminate()

    def _ended(self, process: BaseProcess, life: _Life) -> None:
        process.join()
        del self._lives[process]
        forget_gauges(life.number)
        code = process.exitcode or 0
        if self._stopping:
            self._code = max(self._code, 0 if code in (-signal.SIGTERM, REPLACE_ME) else abs(code))
        elif code < 0 or code == REPLACE_ME:
            how = f"was killed by signal {-code}" if code < 0 else "gave up"
            logger.error("worker %d %s; another one takes its place", process.pid, how)
            sleep(_PAUSE if monotonic() - life.began < _SHORT_LIFE else 0)
            self._start(life.number)
        else:
            logger.error("worker %d ended by itself with code %d; the service stops", process.pid, code)
            self._code = max(self._code, code or 1)
            self._stop()

    def _stop(self) -> None:
        if not self._stopping:  # at its end a worker's loop does not turn any more, and it closes its log
            self._spared_until = monotonic() + self._settings.drain_seconds + self._settings.shutdown_seconds
        self._stopping = True
        for process in self._lives:
            process.terminate()

    def _reload(self) -> None:
        for process in self._lives:
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


def _work(
    serve: Serve,
    settings: Settings,
    port: int,
    number: int,
    first: bool,  # noqa: FBT001 - by place, to a process
    beats: c_uint64,
) -> None:
    """What a worker does: serve, until it is told to stop or is left alone; while its loop turns it counts `beats`."""

    def sign_of_life() -> None:
        beats.value += 1

    os.setpgrp()  # Ctrl-C goes to all processes of a terminal's group; the first one passes it on
    Thread(target=_stop_when_alone, daemon=True).start()
    count_as(number)
    with bind(settings.host, port, shared=True) as listener:
        code = serve(settings, listener, first, sign_of_life)
    if not _parent().is_alive():
        remove_files()
    raise SystemExit(leave(code))


def _stop_when_alone() -> None:
    _parent().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _parent() -> BaseProcess:
    parent = parent_process()
    assert parent is not None  # noqa: S101  (the type: this is a worker)
    return parent

"""The HTTP server: uvicorn with a listening socket of ours, and a shutdown that loses nothing."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from artifact.errors import AddressInUse, AddressUnavailable
from service.closing import let_nobody_knock, waiting
from service.protocol import Protocol

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
BACKLOG = 2048  # connections that wait to be accepted
_DOORS = 4  # each more costs every new connection a few microseconds

_HANDSHAKE_SECONDS = 0.1  # for who is half way in, when nobody new may knock
# For a request on its way, when the door is closed: a connection that never had one was made for one.
_TICK_SECONDS, _ARRIVAL_TICKS, _FIRST_ARRIVAL_TICKS = 0.01, 25, 100


class Server(uvicorn.Server):
    """On the first SIGTERM or SIGINT it tells `drain`, goes on serving for `drain_seconds`, and then stops.

    Stopping means: no new connections, every accepted request is answered, and `run` returns. A signal during the
    draining cuts it short; one after that gives up on what still runs. SIGHUP tells `reload`.

    Who has connected by then is accepted, and a request that is on its way gets a moment to arrive; uvicorn would close
    on both, and the client could not tell whether it was heard.
    """

    def __init__(
        self, config: uvicorn.Config, drain: Callable[[], None], drain_seconds: float, reload: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._reload = reload
        self._drain = drain
        self._drain_seconds = drain_seconds
        self._signals = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Replaces uvicorn's own, which raises the signal again at the end, so that the exit code would not be 0."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        let_reloads_through()
        try:
            yield
        finally:
            hold_back_reloads()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            loop.remove_signal_handler(signal.SIGHUP)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called when it is to stop."""
        for listener in sockets or []:
            let_nobody_knock(listener)
        await asyncio.sleep(_HANDSHAKE_SECONDS)
        rest = [connection for listener in sockets or [] for connection in waiting(listener)]
        for server in self.servers:  # at once: where others can knock, whoever does between the two lines is lost
            server.close()
        for connection in rest:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        for tick in range(_FIRST_ARRIVAL_TICKS):
            if self.force_exit or not self._may_send(tick):
                break
            await asyncio.sleep(_TICK_SECONDS)
        await super().shutdown(sockets)

    def _may_send(self, tick: int) -> bool:
        """Whether a client may have a request on its way, so many ticks after the door was closed."""
        connections = self.server_state.connections
        return any(tick < _ARRIVAL_TICKS or (isinstance(each, Protocol) and each.is_new) for each in connections)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1:
            self._drain()
            asyncio.get_running_loop().call_later(self._drain_seconds, self._stop)
        else:
            self.force_exit = self.should_exit
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def hold_back_reloads() -> None:
    """Let SIGHUP wait, which would end a process that does not handle it (yet); threads to come inherit that."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def let_reloads_through() -> None:
    """Take SIGHUP, and one that has waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def doors(listener: socket.socket) -> list[socket.socket]:
    """A listening socket several times over: libuv takes one connection from each in a turn of the event loop.

    In a flood turns are long, and a new client, such as a probe, would wait one for each client that came before it.
    """
    return [listener, *(listener.dup() for _ in range(_DOORS - 1))]


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket at the address, which may be shared with other processes; raises AddressInUse or AddressUnavailable."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"Port {port} on {host} is taken by another program; choose one with --port or HANGTAG_PORT."
            ) from error
        raise AddressUnavailable(f"Cannot listen on {host} port {port}: {error}.") from error
    return bound

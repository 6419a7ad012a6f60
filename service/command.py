"""`hangtag serve`: settings in, a running service out."""

import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from artifact.errors import ReloadFailed
from service.app import create_app
from service.keys.file import KeysFile
from service.memory import return_large_blocks
from service.protocol import Protocol
from service.server import BACKLOG, Server, bind, hold_back_reloads
from service.settings import Settings
from service.way import SWITCH_SECONDS
from service.workers import Workers


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal; returns 0 when every accepted request got its answer, 1 when some had to be given up."""
    settings = Settings.parse("serve", arguments)
    settings.check_reach()
    if settings.keys:
        KeysFile.read(settings.keys)  # so that it is this process that complains
    hold_back_reloads()
    _log(settings)
    with bind(settings.host, settings.port) as listener:
        if settings.workers == 1:
            return _serve(settings, listener, True)  # noqa: FBT003 - as workers call it
        port = listener.getsockname()[1]
    return Workers(settings, port, _serve).run()


def _serve(settings: Settings, listener: socket.socket, first: bool) -> int:  # noqa: FBT001 - by place, to a process
    """Serve in this process; returns as `run` does.

    The first process listens at once, and so is alive before it is ready; others join when their models are loaded.
    """
    if first:
        listener.listen(BACKLOG)
        print(f"hangtag listens on http://{settings.host}:{listener.getsockname()[1]}", flush=True)
    _log(settings)
    sys.setswitchinterval(SWITCH_SECONDS)
    return_large_blocks()
    app, hosting, access = create_app(settings, load_first=not first)
    config = uvicorn.Config(
        app,
        log_level=settings.log_level,
        access_log=False,
        http=Protocol,
        ws="none",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        # Longer than clients and load balancers keep idle connections (60 s), so that they close first: a request that
        # crosses our close on the wire would be lost.
        timeout_keep_alive=65,
        timeout_graceful_shutdown=settings.shutdown_seconds,  # type: ignore[arg-type]  # uvicorn only adds it to a time
    )

    def reload() -> None:
        with suppress(ReloadFailed):
            access.reload()
        hosting.request_reload()

    Server(config, hosting.drain, settings.drain_seconds, reload).run([listener])
    return 1 if hosting.given_up else 0


def _log(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s:     %(message)s")

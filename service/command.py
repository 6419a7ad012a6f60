"""`hangtag serve`: settings in, a running service out."""

import socket
import sys
from collections.abc import Sequence
from functools import partial

import uvicorn

from service.app import create_app
from service.logs import logged
from service.memory import return_large_blocks
from service.protocol import Protocol
from service.server import BACKLOG, Server, bind, doors, hold_back_reloads
from service.settings import Settings
from service.way import SWITCH_SECONDS
from service.workers import Workers


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal; returns 0 when every accepted request got its answer, 1 when some had to be given up."""
    settings = Settings.parse("serve", arguments)
    hold_back_reloads()
    with bind(settings.host, settings.port) as listener:
        if settings.workers == 1:
            return _serve(settings, listener, True)  # noqa: FBT003 - as workers call it
        port = listener.getsockname()[1]
    with logged(settings):
        return Workers(settings, port, _serve).run()


def _serve(settings: Settings, listener: socket.socket, first: bool) -> int:  # noqa: FBT001 - by place, to a process
    """Serve in this process, with a log; returns as `run` does."""
    with logged(settings):
        return _answer(settings, listener, first=first)


def _answer(settings: Settings, listener: socket.socket, *, first: bool) -> int:
    """Answer until a signal.

    The first process listens at once, and so is alive before it is ready; others join when their models are loaded.
    """
    if first:
        listener.listen(BACKLOG)
        print(f"hangtag listens on http://{settings.host}:{listener.getsockname()[1]}", flush=True)
    sys.setswitchinterval(SWITCH_SECONDS)
    return_large_blocks()
    app, hosting = create_app(settings, load_first=not first)
    config = uvicorn.Config(
        app,
        log_config=None,  # `logged` has all that there is to say
        log_level=settings.log_level,
        access_log=False,
        http=partial(Protocol, app.refused),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        # Longer than clients and load balancers keep idle connections (60 s), so that they close first: a request that
        # crosses our close on the wire would be lost.
        timeout_keep_alive=65,
        timeout_graceful_shutdown=settings.shutdown_seconds,  # type: ignore[arg-type]  # uvicorn only adds it to a time
    )
    Server(config, hosting.drain, settings.drain_seconds, hosting.request_reload).run(doors(listener))
    return 1 if hosting.given_up else 0

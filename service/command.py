"""`hangtag serve`: settings in, a running service out."""

import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial

import uvicorn

from service.app import App
from service.ending import leave
from service.keys.file import KeysFile
from service.logs import logged
from service.memory import return_large_blocks
from service.protocol import Patience, Protocol
from service.server import BACKLOG, Server, bind, doors, hold_back_reloads
from service.settings import Settings
from service.way import SWITCH_SECONDS
from service.workers import Workers


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal; returns how that ended, as `service.ending` has it."""
    settings = Settings.parse("serve", arguments)
    settings.check_reach()
    if settings.keys:
        KeysFile.read(settings.keys)  # so that it is this process that complains
    hold_back_reloads()
    with bind(settings.host, settings.port) as listener:
        if settings.workers == 1:
            return leave(_serve(settings, listener, True, None))  # noqa: FBT003 - as workers call it
        port = listener.getsockname()[1]
    with logged(settings):
        return Workers(settings, port, _serve).run()


def _serve(
    settings: Settings,
    listener: socket.socket,
    first: bool,  # noqa: FBT001 - by place, to a process
    sign_of_life: Callable[[], None] | None,
) -> int:
    """Serve in this process, with a log; returns as `run` does."""
    with logged(settings):
        return _answer(settings, listener, first=first, sign_of_life=sign_of_life)


def _answer(
    settings: Settings, listener: socket.socket, *, first: bool, sign_of_life: Callable[[], None] | None
) -> int:
    """Answer until a signal.

    The first process listens at once, and so is alive before it is ready; others join when their models are loaded.
    """
    if first:
        listener.listen(BACKLOG)
        print(f"hangtag listens on http://{settings.host}:{listener.getsockname()[1]}", flush=True)
    sys.setswitchinterval(SWITCH_SECONDS)
    return_large_blocks()
    app = App(settings, load_first=not first, sign_of_life=sign_of_life)
    patience = Patience(settings.keep_alive_seconds, settings.client_timeout_seconds, settings.body_timeout_seconds)
    config = uvicorn.Config(
        app.asgi,
        log_config=None,  # `logged` has all that there is to say
        log_level=settings.log_level,
        access_log=False,
        http=partial(Protocol, app.asgi.refused, app.connections, patience),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        # By default longer than clients and load balancers keep idle connections (60 s), so that they close first: a
        # request that crosses our close on the wire would be lost.
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]  # uvicorn only waits so long
        timeout_graceful_shutdown=settings.shutdown_seconds,  # type: ignore[arg-type]  # uvicorn only adds it to a time
    )
    Server(config, app.hosting.drain, settings.drain_seconds, app.request_reload).run(doors(listener))
    return app.hosting.exit_code

"""`hangtag serve`: settings in, a running service out."""

import logging
from collections.abc import Sequence

import uvicorn

from service.app import create_app
from service.protocol import Protocol
from service.server import Server, listen
from service.settings import Settings


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal; returns 0 when every accepted request got its answer, 1 when some had to be given up."""
    settings = Settings.parse("serve", arguments)
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s:     %(message)s")
    app, hosting = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level=settings.log_level,
        access_log=False,
        http=Protocol,
        ws="none",
        server_header=False,
        # Longer than clients and load balancers keep idle connections (60 s), so that they close first: a request that
        # crosses our close on the wire would be lost.
        timeout_keep_alive=65,
        timeout_graceful_shutdown=settings.shutdown_seconds,  # type: ignore[arg-type]  # uvicorn only adds it to a time
    )
    with listen(settings.host, settings.port) as listener:
        print(f"hangtag listens on http://{settings.host}:{listener.getsockname()[1]}", flush=True)
        Server(config, hosting.drain, settings.drain_seconds).run([listener])
    return 1 if hosting.given_up else 0

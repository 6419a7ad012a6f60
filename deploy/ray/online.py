"""The service on Ray Serve: the same app in replicas that come and go with the load, behind Serve's HTTP proxies.

usage: python deploy/ray/online.py --models models --max-replicas 4

It takes each option of `hangtag serve`, and those of OnRay. Ray sends what stands here to the nodes, which need no more
than hangtag[ray], and the models and the keys at the same paths.
"""

import asyncio
import queue
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import Field
from starlette.types import Message, Receive, Scope, Send

from artifact.cluster import LOCAL, connected
from artifact.errors import ClientGone, ClusterUnavailable, HangtagError, ModelUnavailable, OptionInvalid
from service.app import App
from service.ending import REPLACE_ME
from service.health import readiness
from service.keys.file import KeysFile
from service.line import LINE, Line
from service.logs import logged
from service.memory import return_large_blocks
from service.server import bind
from service.settings import Settings
from service.way import SWITCH_SECONDS

try:
    from ray import serve
    from ray.serve.handle import DeploymentHandle
except ModuleNotFoundError:
    sys.exit("Ray is not installed here: pip install 'hangtag[ray]'.")

NAME = "hangtag"
_STOPS = (signal.SIGTERM, signal.SIGINT)
_LONGEST_STOP = 55  # seconds; `serve.delete` waits a minute for all that there is to do
_REQUEST_ID = b"x-request-id"


class OnRay(Settings):
    """Answer classification requests over HTTP, on a Ray cluster.

    Example: python deploy/ray/online.py --models models --max-replicas 4
    """

    address: str = Field(LOCAL, description="the Ray cluster: auto, or HOST:PORT; local starts one on this machine")
    replica_cpus: int = Field(
        1, ge=1, description="cores of a replica; it has a runner for each, if --runners is not set"
    )
    replica_gpus: float = Field(0, ge=0, description="GPUs of a replica; with 0.25, four of them share one")
    min_replicas: int = Field(1, ge=1, description="replicas in the quiet hours")
    max_replicas: int = Field(4, ge=1, description="replicas at the peak")
    target_requests: float = Field(
        2, gt=0, description="requests at once that a replica should have for each core; replicas come and go by that"
    )

    def check(self) -> None:
        """Raises OptionInvalid or KeysInvalid, here and not on some node."""
        self.check_reach()
        if self.workers > 1:
            raise OptionInvalid("--workers: on Ray replicas take the place of workers; say --max-replicas.")
        if self.shutdown_seconds > _LONGEST_STOP:
            raise OptionInvalid(f"--shutdown-seconds: Ray Serve waits {_LONGEST_STOP} seconds at most.")
        if self.max_replicas < self.min_replicas:
            raise OptionInvalid(f"--max-replicas: there are {self.min_replicas} at least, by --min-replicas.")
        if self.keys:
            KeysFile.read(self.keys)

    def of_replica(self) -> Settings:
        """The settings of each replica, whose working folder is another one than ours."""
        common = {name: getattr(self, name) for name in Settings.model_fields}
        runners = self.runners or max(1, self.replica_cpus // (self.threads or 1))  # else one for each core of the node
        keys = self.keys and self.keys.absolute()
        return Settings(**{**common, "runners": runners, "models": self.models.absolute(), "keys": keys})


class Online:
    """The app as Serve calls it: what `service.protocol` does for a request of its own server is done here."""

    def __init__(self, settings: Settings) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        return_large_blocks()
        self._settings = settings
        self._app = App(settings, load_first=True, stop=_leave_to_serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live from start to end."""
        if scope["type"] == "lifespan":
            with logged(self._settings):
                await self._app.asgi(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve cancels what it does for a client that hung up; the app wants to hear of that by its line."""
        line = scope[LINE] = Line()
        answering = asyncio.create_task(self._app.asgi(scope, partial(_receive, receive, line), partial(_send, send)))
        try:
            await asyncio.shield(answering)
        except asyncio.CancelledError:
            line.cut()
            await answering
            raise

    def tell(self, number: int) -> None:
        """Reload on SIGHUP; on another signal be not ready any more, so that balancers look away."""
        if number == signal.SIGHUP:
            self._app.request_reload()
        else:
            self._app.hosting.drain()

    def check(self) -> None:
        """Raises ModelUnavailable where another replica should take the place of this one."""
        hosting = self._app.hosting
        if hosting.exit_code == REPLACE_ME:
            raise ModelUnavailable("This replica cannot go on; its log says why.")
        if readiness(hosting).status == "failed":
            raise ModelUnavailable(" ".join(model.reason for model in hosting.models if model.reason))


def _leave_to_serve() -> None:
    """Nothing: SIGTERM would end a replica at once, and Serve, which learns of it by `check`, lets it answer first."""


async def _receive(receive: Receive, line: Line) -> Message:
    """The next part of the body; Serve says nothing more of a request that it has cancelled."""
    try:
        with line.attended():
            return await receive()
    except ClientGone:
        return {"type": "http.disconnect"}


async def _send(send: Send, message: Message) -> None:
    """Serve's proxy names the request's id by itself."""
    if message["type"] == "http.response.start":
        message["headers"] = [header for header in message["headers"] if header[0] != _REQUEST_ID]
    await send(message)


def application(options: OnRay) -> serve.Application:
    """What Serve runs: replicas with the app, between --min-replicas and --max-replicas of them."""
    settings = options.of_replica()

    def online() -> Online:
        return Online(settings)

    class Replica:
        app: Online  # as Serve has it

        async def check_health(self) -> None:
            """Called by Serve, at the start and every few seconds."""
            self.app.check()

        async def tell(self, number: int) -> None:
            """What a signal says to the program that runs it is said to all replicas."""
            self.app.tell(number)

    deployment = serve.deployment(
        name=NAME,
        ray_actor_options={"num_cpus": options.replica_cpus, "num_gpus": options.replica_gpus},
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "target_ongoing_requests": options.target_requests * options.replica_cpus,
        },
        # The app refuses at `max_items`, cheaply and with Retry-After; so more than these must reach it.
        max_ongoing_requests=2 * settings.max_items,
        max_queued_requests=settings.max_items,
        health_check_period_s=settings.stuck_seconds,
        health_check_timeout_s=settings.stuck_seconds,
        graceful_shutdown_timeout_s=settings.shutdown_seconds,
        logging_config={"enable_access_log": False},  # the app has a line for each request
    )
    return deployment(serve.ingress(online)(Replica)).bind()


def run(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; returns 0."""
    options = OnRay.parse("serve", arguments)
    options.check()
    http = {"host": options.host, "port": _port(options), "keep_alive_timeout_s": int(options.keep_alive_seconds)}
    with connected(options.address, "serve"):
        serve.start(http_options=http)
        try:
            replicas = serve.run(application(options), name=NAME)
            print("hangtag listens on http://{host}:{port}".format_map(http), flush=True)  # noqa: T201 - a command
            _tell_signals(replicas)
            time.sleep(options.drain_seconds)
        except RuntimeError as error:
            raise ClusterUnavailable(f"{error} What its replicas said above is why.") from error
        finally:
            serve.delete(NAME)
    return 0


def _port(options: OnRay) -> int:
    """A port that is free, or that is named for a cluster that is there, where Serve may have it by now.

    Raises AddressInUse or AddressUnavailable.
    """
    if options.address != LOCAL and options.port:
        return options.port
    with bind(options.host, options.port) as found:
        port: int = found.getsockname()[1]
        return port


def _tell_signals(replicas: DeploymentHandle[Any]) -> None:
    """Let all replicas hear each SIGHUP, and the first SIGTERM or SIGINT; another one ends what is done after that."""
    come: queue.SimpleQueue[int] = queue.SimpleQueue()
    for each in (signal.SIGHUP, *_STOPS):
        signal.signal(each, lambda number, _frame: come.put(number))
    number = int(signal.SIGHUP)
    while number == signal.SIGHUP:
        number = come.get()
        replicas.broadcast("tell", number).results()
    for each in _STOPS:
        signal.signal(each, signal.default_int_handler)


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:]))
    except HangtagError as error:
        sys.exit(str(error))

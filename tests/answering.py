"""A real HTTP server that answers as it is told, for what a Hangtag service does not do on demand."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from support import PATIENCE

ANSWER = {
    "model": "tiny",
    "version": "1",
    "id": "a",
    "predictions": [{"label": "dark", "score": 1.0}],
    "decision": "accept",
    "threshold": 0.9,
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str = json.dumps(ANSWER)


OK = Answer(200, {})


class Seen(NamedTuple):
    at: float
    path: str
    headers: Message


@contextmanager
def answering(*answers: Answer, together: int = 0) -> Iterator[tuple[str, list[Seen]]]:
    """A real HTTP server that gives these answers, the last one for ever; its address, and what it was asked.

    With `together`, it answers only when so many requests are there at once.
    """
    seen: list[Seen] = []
    gate = threading.Barrier(together) if together else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            status, headers, body = answers[min(len(seen), len(answers) - 1)]
            seen.append(Seen(time.monotonic(), self.path, self.headers))
            if gate:
                gate.wait(PATIENCE)
            self.send_response_only(status)  # without a Date and a Server of its own
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def refusal(status: int = 429, **headers: str) -> Answer:
    problem = {"title": "No", "status": status, "detail": "Not now.", "code": "queue_full"}
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(problem))


@contextmanager
def takes(least: float, most: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert least <= time.monotonic() - started < most

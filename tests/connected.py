"""Bare connections to a service, for requests that no client library would send."""

import json
import socket
from http.client import parse_headers
from typing import Any, Self

import httpx

PATIENCE = 60  # seconds until a test that waits for an event gives up


class Connection:
    """A bare HTTP/1.1 connection, for requests that no client library would send."""

    def __init__(self, url: str) -> None:
        address = httpx.URL(url)
        self._socket = socket.create_connection((address.host, address.port), PATIENCE)
        self._answers = self._socket.makefile("rb")

    def post(self, path: str, **headers: str) -> None:
        """Send the head of a request."""
        lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        self.send("\r\n".join([*lines, "\r\n"]).encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the next answer, whose `headers` are kept; `100 Continue` has no JSON."""
        status = int(self._answers.readline().split()[1])
        self.headers = parse_headers(self._answers)
        body = self._answers.read(int(self.headers.get("content-length", 0)))
        is_json = "json" in self.headers.get_content_type()
        return status, json.loads(body) if is_json else {}

    def answer_to_head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of the next answer, which has no body, but those that are of each answer alone."""
        status = int(self._answers.readline().split()[1])
        headers = parse_headers(self._answers)
        del headers["x-request-id"], headers["date"]
        return status, dict(headers)

    def is_over(self) -> bool:
        """Whether the service ends the connection, and says nothing more."""
        try:
            return not self._answers.read()
        except ConnectionResetError:
            return True

    def hang_up(self) -> None:
        self._answers.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()


class HeldRequest(Connection):
    """A request whose body waits to be sent; `100 Continue` comes when the service reads the body."""

    def __init__(self, url: str, path: str, image: bytes) -> None:
        super().__init__(url)
        self._image = image
        self.post(path, Content_Type="image/png", Content_Length=str(len(image)), Expect="100-continue")
        assert self.answer() == (100, {})

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Send the body; gives the status and the JSON of the answer."""
        self.send(self._image)
        return self.answer()

"""Batches: forms as bytes, of which a test sends as much as it wants, and answers that come line by line."""

import json
import socket
from collections.abc import Mapping
from http.client import HTTPResponse
from typing import Any

import httpx

from connected import Connection
from support import PATIENCE, Service

BATCH = "/v1/models/tiny/classify-batch"
LINES = {"Accept": "application/x-ndjson"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
ZIP = {"Content-Type": "application/zip"}
NEXT, END = b"--x\r\n", b"--x--\r\n"  # a part is whole when one of them is there

Item = dict[str, Any]


def part(data: bytes, name: str | None = "a.png", kind: str = "image/png", field: str = "images") -> bytes:
    """A part of a form."""
    filename = "" if name is None else f'; filename="{name}"'
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"{filename}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def form(files: Mapping[str, bytes]) -> bytes:
    """A whole form."""
    return b"".join(part(data, name) for name, data in files.items()) + END


def ask(service: Service, body: bytes, *headers: Mapping[str, str], path: str = BATCH, **query: str) -> httpx.Response:
    """Send a batch, a form unless the headers say something else."""
    together = dict(FORM)
    for each in headers:
        together |= each
    return httpx.post(service.url + path, content=body, headers=together, params=query, timeout=PATIENCE)


def items(response: httpx.Response) -> list[Item]:
    """The items of a document, or of lines."""
    assert response.status_code == 200, response.text
    if response.headers["content-type"] == LINES["Accept"]:
        return [json.loads(line) for line in response.text.splitlines()]
    return list(response.json()["items"])


def told(found: list[Item]) -> list[tuple[str, int, str]]:
    """Name, status, and best label or code, of each item in order."""
    assert [item["index"] for item in found] == [*range(len(found))]
    return [
        (item["name"], item["status"], item["predictions"][0]["label"] if "predictions" in item else item["code"])
        for item in found
    ]


class Batch(Connection):
    """A batch that is sent in chunks, and answered in lines; `taken` bounds what the system takes of these for us."""

    def __init__(self, service: Service, *headers: Mapping[str, str], taken: int | None = None) -> None:
        super().__init__(service.url)
        if taken:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taken)
        together = {"Transfer-Encoding": "chunked", **FORM}
        for each in (LINES, *headers):
            together |= each
        self.post(BATCH, **together)

    def give(self, *pieces: bytes) -> None:
        """Send more of the body."""
        for piece in pieces:
            self.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    def finish(self) -> None:
        """That was all of the body."""
        self.send(b"0\r\n\r\n")

    def answered(self) -> HTTPResponse:
        """The answer, as soon as it begins."""
        response = HTTPResponse(self._socket, method="POST")
        response.begin()
        return response


def line(response: HTTPResponse) -> Item:
    """The next line of an answer."""
    found: Item = json.loads(response.readline())
    return found

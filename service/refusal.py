"""What is answered to bytes that never become a request: a problem, after which the connection ends."""

from http import HTTPStatus

from fastapi import Response

from artifact.errors import HangtagError
from service.problems import PROBLEM_JSON
from service.schemas import Problem

REFUSALS = BAD_REQUEST, TIMEOUT, HEAD_TOO_LARGE, UNAVAILABLE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class Refusal(Exception):
    """Raised in what the parser calls, which then stops: the status, and what is wrong."""

    def __init__(self, status: HTTPStatus, error: HangtagError) -> None:
        super().__init__(error)
        self.status = status
        self._error = error

    def response(self) -> Response:
        """What answers a request that waits its turn, in the place of the app."""
        title, detail = self.status.phrase, str(self._error)
        problem = Problem(title=title, status=self.status, detail=detail, code=self._error.code)
        headers = {"Connection": "close", **({"Retry-After": "1"} if self.status == UNAVAILABLE else {})}
        return Response(problem.model_dump_json(), self.status, headers, PROBLEM_JSON)

    def written(self) -> bytes:
        """The same as it goes out where there is no request to answer."""
        response = self.response()
        lines = [f"HTTP/1.1 {self.status} {self.status.phrase}".encode()]
        lines += [b"%s: %s" % header for header in response.raw_headers]
        return b"\r\n".join([*lines, b"", bytes(response.body)])

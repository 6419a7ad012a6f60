"""An answer leaves in one write, and nothing that a client waits for is held back."""

import asyncio

import pytest

from service.one_write import OneWrite

HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"


class Wire(asyncio.Transport):
    """Notes what is written, and whether it was closed."""

    def __init__(self):
        self.written = []
        self.closed = False

    def write(self, data):
        self.written.append(bytes(data))

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


@pytest.fixture
def wire():
    return Wire()


def test_head_and_body_go_out_together_and_what_follows_by_itself(wire: Wire):
    answer = OneWrite(wire)
    for part in (HEAD, BODY, b"HTTP/1.1 is what this part is about", b""):
        answer.write(part)
    assert wire.written == [HEAD + BODY, b"HTTP/1.1 is what this part is about", b""]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_at_once(wire: Wire):
    answer = OneWrite(wire)
    answer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    answer.write(HEAD)
    answer.write(BODY)
    assert wire.written[1:] == [HEAD + BODY]


def test_a_head_whose_body_never_came_goes_out_before_the_end(wire: Wire):
    answer = OneWrite(wire)
    answer.write(HEAD)
    answer.close()
    assert wire.written == [HEAD]
    assert answer.is_closing()


def test_an_end_before_any_head_writes_nothing(wire: Wire):
    OneWrite(wire).close()
    assert wire.written == []
    assert wire.closed

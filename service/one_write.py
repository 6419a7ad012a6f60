"""The head and the body of an answer in one call of the system, where uvicorn makes two: one is 13 of 100 µs."""

import asyncio

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # goes out at once: its client waits for it


class OneWrite(asyncio.Transport):
    """A connection as one answer sees it: what is written first, its head, is held until there is more, or the end.

    Not for answers to HEAD, of which there never is more.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # empty once it is out

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Called by uvicorn."""
        if self._head is None and data != _CONTINUE:
            self._head = bytes(data)
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Called by uvicorn."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Called by uvicorn; a head whose body failed goes out all the same."""
        if self._head:
            self.write(b"")
        self._transport.close()

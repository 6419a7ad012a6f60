"""The parts of a form (multipart/form-data, RFC 7578) as they arrive; nothing of them is kept here."""

from collections.abc import Iterator
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from artifact.errors import MalformedRequest
from service.intake import media_type_of


class Head(NamedTuple):
    """What a part says of itself: its field, the name of its file, None where it is no file, and its media type."""

    field: str
    name: str | None
    media_type: str


Event = Head | bytes | None  # a part begins; goes on; has ended


class Form:
    """Tells of each part when it begins, goes on and has ended; raises MalformedRequest for a type without boundary."""

    def __init__(self, content_type: str) -> None:
        self.is_whole = False
        self._events: list[Event] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary")
        if not boundary:
            raise MalformedRequest("The Content-Type of the multipart body names no boundary.")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise MalformedRequest("The boundary of the multipart body is too long.") from error

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What is in the next piece of the body; raises MalformedRequest when it comes to what makes no sense."""
        broken: FormParserError | None = None
        try:
            self._parser.write(piece)
        except FormParserError as error:
            broken = error
        events, self._events = self._events, []
        yield from events
        if broken:
            raise MalformedRequest(f"The multipart body is malformed: {broken}.") from broken

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise FormParserError("a part has no Content-Disposition with a name")
        name = options.get(b"filename")
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self._events.append(
            Head(_text(options[b"name"]), None if name is None else _text(name), media_type_of(content_type))
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(None)

    def _on_end(self) -> None:
        self.is_whole = True


def _text(name: bytes) -> str:
    """A name as it was meant; old clients do not send UTF-8."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")

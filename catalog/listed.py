"""A photo of a catalogue before anybody has looked at it."""

from typing import NamedTuple


class Listed(NamedTuple):
    """What the output calls a photo, and where it lies; text alone, so that it can be written down and sent on."""

    path: str
    where: str  # the absolute path or the URL of a file; empty where a manifest's row names none
    entry: str = ""  # its place and its name in the archive that the file is, empty where it is the photo itself


def printable(path: str) -> str:
    r"""The path with what is no UTF-8 in it as `\xe9`."""
    if path.isascii():  # nearly all are, and a million are asked about
        return path
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")

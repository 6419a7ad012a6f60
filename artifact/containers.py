"""What an image file says of itself before any decoder runs: its type, whether it ends too soon, and which way is up.

The decoders are lenient about files that were cut off, and each in its own way. So the structure around the pixels is
walked here first; no pixel is decoded and nothing is allocated.
"""

import re
from collections.abc import Callable
from struct import calcsize, error, unpack_from
from typing import Literal, NamedTuple

from artifact.errors import UndecodableImage

Kind = Literal["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"]

_MAGICS: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_MAX_PARTS = 50_000  # chunks or segments; each costs microseconds, and a photo of 50 megapixels has a few thousand
_MAX_HEAD_PARTS = 1_000  # segments before a JPEG's frame, tags of a TIFF; a photo has five to a hundred of them
_MAX_PROFILES = 4  # each may inflate to a megabyte, and a PNG has at most one
_MAX_SCANS = 100  # each walks the whole picture again; a progressive JPEG has about ten
_MAX_SCANNED_PIXELS = 1_040_000_000  # by all scans of a JPEG together: 52 megapixels in 20; in CMYK it has 18
_TIFF_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # bytes, by type
_TIFF_SHORT = 3
_TIFF_BYTES = (1, 2, 6, 7)  # the types that are taken as they are, however many there are
_TIFF_BLOCKS = (273, 279, 324, 325)  # where the strips start, how long they are; the same for tiles
_GIF_FULL = 255  # bytes in a block, but in the last one
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # not stuffing, restarts or fill: none of them has a length
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_END, _JPEG_SCAN, _JPEG_APP1 = 0xD9, 0xDA, 0xE1
_ORIENTATION = 0x0112


def kind_of(data: bytes) -> Kind | None:
    """The type that the first bytes announce; None if it is none that is taken."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for magic, kind in _MAGICS if data.startswith(magic)), None)


def declared_pixels(data: bytes) -> int:
    """How many pixels the file says that it has, read from its head alone; 0 where it does not say so.

    Takes 0.1 ms at most: raises UndecodableImage for a head in far too many parts.
    """
    kind = kind_of(data)
    try:
        width, height = _SIZES[kind](data) if kind else (0, 0)
    except (error, IndexError):
        return 0
    return abs(width * height)


def is_whole(data: bytes, kind: Kind) -> bool:
    """Whether the file reaches its own end; raises UndecodableImage if only reading its parts would be an attack."""
    try:
        return _WALKS[kind](data)
    except (error, IndexError):
        return False  # the walk itself stepped over the end


class JpegHeader(NamedTuple):
    """What a JPEG declares: its size, pixels; its channels, 0 if it never says; its EXIF; and if it reaches its end."""

    size: tuple[int, int] = (0, 0)
    channels: int = 0
    exif: bytes = b""
    whole: bool = False


def read_jpeg_header(data: bytes) -> JpegHeader:
    """What the markers up to the end marker say; what lies behind it (a second picture, a film) is not looked at."""
    header, at, scans = JpegHeader(), 2, 0
    for parts in range(_MAX_PARTS):
        if parts == _MAX_HEAD_PARTS and not header.channels:
            raise _too_many_parts("JPEG's head", _MAX_HEAD_PARTS)
        found = _JPEG_MARKER.search(data, at)
        if found is None:
            return header
        marker, start = data[found.end() - 1], found.end() + 2
        if marker == _JPEG_END:
            return header._replace(whole=True)
        at = start - 2 + int.from_bytes(data[start - 2 : start], "big")
        if marker in _JPEG_FRAMES and not header.channels:
            height, width, channels = unpack_from(">HHB", data[start:at].ljust(6, b"\0"), 1)
            header = header._replace(size=(width, height), channels=channels)
        elif marker == _JPEG_APP1 and data.startswith(b"Exif\0\0", start):
            header = header._replace(exif=data[start:at])
        scans += marker == _JPEG_SCAN
        if scans > _MAX_SCANS:
            raise UndecodableImage(f"The JPEG has over {_MAX_SCANS} scans; save it with a usual number and send that.")
        if scans * header.size[0] * header.size[1] > _MAX_SCANNED_PIXELS:
            raise UndecodableImage(f"{scans} scans are too many for a JPEG of this size; save it with a usual number.")
    raise _too_many_parts("JPEG")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height by the first frame, from segment to segment; what lies behind it is not looked at."""
    at = 2
    for _ in range(_MAX_HEAD_PARTS):
        marker, length = unpack_from(">HH", data, at)
        if marker & 0xFF in _JPEG_FRAMES:
            height, width = unpack_from(">HH", data, at + 5)
            return width, height
        if marker < 0xFF00:  # noqa: PLR2004 - no marker at all; the decoder may find its way, or not
            return 0, 0
        at += 2 + length
    raise _too_many_parts("JPEG's head", _MAX_HEAD_PARTS)


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP's canvas, pixels; (0, 0) if its header is damaged."""
    chunk, start = data[12:16], data[20:30].ljust(10, b"\0")
    if chunk == b"VP8X":
        return int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = unpack_from("<HH", start, 6)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def orientation(exif: bytes) -> int:
    """How an EXIF block says the photo is turned, 1 to 8; 1, which is upright, if it says nothing that makes sense."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = ">" if exif.startswith(b"MM") else "<"
    try:
        (first,) = unpack_from(order + "I", exif, 4)
        (count,) = unpack_from(order + "H", exif, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, _, _, value = unpack_from(order + "HHIH", exif, at)
            if tag == _ORIENTATION:
                return value if value in range(1, 9) else 1
    except error:
        pass
    return 1


def _png_is_whole(data: bytes) -> bool:
    """From chunk to chunk until IEND and its checksum."""
    at, profiles = 8, 0
    for _ in range(_MAX_PARTS):
        length, chunk = unpack_from(">I4s", data, at)
        at += 12 + length
        if chunk == b"IEND":
            return bool(at <= len(data))
        profiles += chunk == b"iCCP"
        if profiles > _MAX_PROFILES:
            raise UndecodableImage(f"The PNG has over {_MAX_PROFILES} colour profiles; save it with one and send that.")
    raise _too_many_parts("PNG")


def _gif_is_whole(data: bytes) -> bool:
    """Over extensions and frames, block by block, until the trailer; blocks that are full do not count as parts."""
    at, parts = 13 + _gif_table(data[10]), 0
    while data[at] != ord(";") and parts <= _MAX_PARTS:
        parts += 1
        if data[at] in b"!,":
            at += 2 if data[at] == ord("!") else 11 + _gif_table(data[at + 9])
            while (size := data[at]) and parts <= _MAX_PARTS:
                at += size + 1
                parts += size < _GIF_FULL
        at += 1
    if parts > _MAX_PARTS:
        raise _too_many_parts("GIF")
    return True


def _gif_table(flags: int) -> int:
    """Bytes of the colour table that a GIF's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp_is_whole(data: bytes) -> bool:
    return 8 + int(unpack_from("<I", data, 4)[0]) <= len(data)


def _bmp_is_whole(data: bytes) -> bool:
    """All rows are there; run-length data, and the header of OS/2, are left to the decoder."""
    (start, header) = unpack_from("<II", data, 10)
    if header < calcsize("<IiiHHI"):
        return True
    width, height, _, bits, compression = unpack_from("<iiHHI", data, 18)
    stride = (width * bits + 31) // 32 * 4
    return bool(compression in (1, 2) or start + stride * abs(height) <= len(data))


def _tiff_is_whole(data: bytes) -> bool:
    """The first page: its directory, the values that this refers to, and its strips or tiles are all there."""
    order, first, count = _tiff_directory(data)
    unpack_from("I", data, first + 2 + 12 * count)  # where the next page would be
    blocks: dict[int, tuple[int, ...]] = {}
    left = len(data)
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, items, value = unpack_from(order + "HHII", data, at)
        size = items * _TIFF_WIDTHS.get(kind, 0)
        start = value if size > 4 else at + 8  # noqa: PLR2004 - values of up to four bytes stand in place of the pointer
        left -= size
        if items > _MAX_PARTS and kind not in _TIFF_BYTES:
            raise _too_many_parts("TIFF")
        if left < 0 or start + size > len(data):
            return False
        if tag in _TIFF_BLOCKS and tag not in blocks and kind in (3, 4):
            blocks[tag] = unpack_from(f"{order}{items}{'HI'[kind - 3]}", data, start)
    strips = zip(blocks.get(273, ()), blocks.get(279, ()), strict=False)
    tiles = zip(blocks.get(324, ()), blocks.get(325, ()), strict=False)
    return all(start + size <= len(data) for start, size in (*strips, *tiles))


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Width and height of the first page, by its directory."""
    order, first, count = _tiff_directory(data)
    found = {256: 0, 257: 0}
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind = unpack_from(order + "HH", data, at)
        if tag in found:
            (found[tag],) = unpack_from(order + ("H" if kind == _TIFF_SHORT else "I"), data, at + 8)
    return found[256], found[257]


def _tiff_directory(data: bytes) -> tuple[str, int, int]:
    """The byte order, and of the first page where its tags are and how many."""
    order = "<" if data.startswith(b"II") else ">"
    (first,) = unpack_from(order + "I", data, 4)
    (count,) = unpack_from(order + "H", data, first)
    if count > _MAX_HEAD_PARTS:
        raise _too_many_parts("TIFF's head", _MAX_HEAD_PARTS)
    return order, first, count


def _too_many_parts(what: str, most: int = _MAX_PARTS) -> UndecodableImage:
    return UndecodableImage(f"The {what} is in over {most} parts; save it anew with a usual encoder and send that.")


_WALKS: dict[Kind, Callable[[bytes], bool]] = {
    "BMP": _bmp_is_whole,
    "GIF": _gif_is_whole,
    "JPEG": lambda data: read_jpeg_header(data).whole,
    "PNG": _png_is_whole,
    "TIFF": _tiff_is_whole,
    "WEBP": _webp_is_whole,
}
_SIZES: dict[Kind, Callable[[bytes], tuple[int, int]]] = {
    "BMP": lambda data: unpack_from("<ii", data, 18),
    "GIF": lambda data: unpack_from("<HH", data, 6),
    "JPEG": _jpeg_size,
    "PNG": lambda data: unpack_from(">II", data, 16),
    "TIFF": _tiff_size,
    "WEBP": webp_size,
}

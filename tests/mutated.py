"""Pictures as no encoder writes them: bits, numbers and parts of good ones changed, and checksums mended over it."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from random import Random

from pictures import FILES

SEEDS = [data for data in FILES.values() if len(data) < 20_000]
EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
)
HEAD = 64  # most of what says how large things are stands in the first bytes
PARTS = re.compile(  # where parts of a file begin, whatever its type
    rb"\xff[\xc0-\xfe]|[\0-\xff]{4}(?=IHDR|PLTE|IDAT|IEND|tRNS|eXIf|iCCP|fcTL|fdAT|acTL)"
    rb"|VP8[ LX]|ALPH|ANIM|ANMF|EXIF|!\xf9\x04|,\0\0\0\0|II\*\0|MM\0\*"
)
PNG = b"\x89PNG\r\n\x1a\n"


def flip(random: Random, data: bytearray) -> None:
    for _ in range(random.randint(1, 8)):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def overwrite(random: Random, data: bytearray) -> None:
    at = random.randrange(len(data))
    data[at : at + random.randint(1, 40)] = random.randbytes(random.randint(0, 40))


def cut(random: Random, data: bytearray) -> None:
    del data[random.randrange(len(data)) :]


def splice(random: Random, data: bytearray) -> None:
    other = random.choice(SEEDS)
    data[random.randrange(len(data)) :] = other[random.randrange(len(other)) :]


def renumber(random: Random, data: bytearray) -> None:
    """A length, a size or an offset that is at the edge of what fits."""
    width, order = random.choice((2, 4)), random.choice("<>")
    at = random.randrange(max(1, min(len(data), HEAD if random.random() < 0.5 else len(data)) - width))
    value = random.choice(EDGES) & (1 << 8 * width) - 1
    data[at : at + width] = struct.pack(order + ("H" if width == 2 else "I"), value)


def reorder(random: Random, data: bytearray) -> None:
    """A part twice, many times, left out, or elsewhere."""
    starts = [found.start() for found in PARTS.finditer(data)]
    if len(starts) < 2:
        return
    which = random.randrange(len(starts) - 1)
    part = data[starts[which] : starts[which + 1]]
    if random.random() < 0.4:
        del data[starts[which] : starts[which + 1]]
    at = min(random.choice(starts), len(data))
    data[at:at] = part * random.choice((0, 1, 1, 2, 50))


WAYS: tuple[Callable[[Random, bytearray], None], ...] = (flip, overwrite, cut, splice, renumber, renumber, reorder)


def mended(data: bytes) -> bytes:
    """A PNG whose chunks have the right checksums, so that decoders look at what is in them."""
    whole, at = bytearray(data), len(PNG)
    while at + 12 <= len(whole):
        (length,) = struct.unpack_from(">I", whole, at)
        end = at + 8 + length
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = struct.pack(">I", zlib.crc32(whole[at + 4 : end]))
        at = end + 4
    return bytes(whole)


def pictures(random: Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        data = bytearray(random.choice(SEEDS))
        for _ in range(random.choice((1, 1, 2, 4))):
            if data:
                random.choice(WAYS)(random, data)
        yield mended(bytes(data)) if data.startswith(PNG) and random.random() < 0.8 else bytes(data)

"""Drawn pictures of every type and of very different sizes, for loads that need nobody's photos."""

import io
from functools import cache
from itertools import count, product
from math import prod
from typing import Any

from PIL import Image

_SIZES = ((28, 28), (160, 200), (640, 480), (1600, 1200))
_LARGE = (7000, 5000)  # 35 megapixels, as good cameras have them
_WAYS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # type, mode, and options of the encoder
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {"compress_level": 1}),
    ("PNG", "RGBA", {"compress_level": 1}),
    ("PNG", "P", {}),
    ("WEBP", "RGB", {"method": 0}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {}),
)

_numbers = count()


def pictures(most_pixels: int) -> tuple[bytes, ...]:
    """One of each type and size, and two large ones, as far as they have no more pixels than that."""
    ways = [*product(_SIZES, _WAYS), (_LARGE, _WAYS[0]), (_LARGE, _WAYS[4])]
    return tuple(_encoded(size, *way) for size, way in ways if prod(size) <= most_pixels)


def too_large() -> bytes:
    """A file of a few kilobytes that declares more pixels than the service takes by default."""
    out = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(out, "PNG")
    return out.getvalue()


def unseen(picture: bytes) -> bytes:
    """The same picture in bytes that were never sent before: nobody knows its scores, and no decoder reads a tail."""
    return picture + next(_numbers).to_bytes(8, "big")


def _encoded(size: tuple[int, int], kind: str, mode: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    _bands(size).convert(mode).save(out, kind, **options)
    return out.getvalue()


@cache
def _bands(size: tuple[int, int]) -> Image.Image:
    """A picture with something to see in each colour."""
    rings, slope = Image.radial_gradient("L").resize(size), Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (rings, rings.transpose(Image.Transpose.ROTATE_180), slope))

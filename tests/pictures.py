"""Pictures of every kind that is taken, and what is needed to make more."""

import runpy
import struct
import zlib
from pathlib import Path

from artifact.card import InputSpec, Resize

GOLDEN = Path(__file__).parent / "golden-pixels"
MAKE = runpy.run_path(str(GOLDEN / "make.py"))
FILES = {path.name: path.read_bytes() for path in sorted(GOLDEN.iterdir()) if path.suffix not in (".py", ".npz")}
LOSSY = {name for name in FILES if name.endswith(".jpg") or name in ("lossy.webp", "jpeg.tiff")}
LOSSY_TOLERANCE = 3  # builds of libjpeg and libwebp may round differently; a wrong colour is off by tens
saved, drawing, turned, exif = MAKE["saved"], MAKE["drawing"], MAKE["turned"], MAKE["exif"]


def spec(height=16, width=16, channels=3, fit="stretch"):
    return InputSpec(height=height, width=width, channels=channels, resize=Resize(fit=fit))


def same_size(picture, channels=3):
    return spec(picture.height, picture.width, channels)


def ihdr(width, height, depth=8, colour=2):
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def raw_png(header, idat, *before):
    chunks = ((b"IHDR", header), *before, (b"IDAT", idat), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )

"""Draws the golden pictures, encodes them in every way that is taken, and writes down what `decode` makes of them.

    python tests/golden-pixels/make.py            new expected pixels for the encoded files that are here
    python tests/golden-pixels/make.py --encode   first draw and encode the files anew

Only a deliberate change of `artifact.pixels` is a reason to run it: every model was trained on the pixels as they are.
"""

import struct
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw

from artifact.card import InputSpec, Resize
from artifact.pixels import decode

HERE = Path(__file__).parent
SPECS = {
    "rgb-crop": InputSpec(height=16, width=16, channels=3, resize=Resize(fit="crop")),
    "rgb-pad": InputSpec(height=16, width=20, channels=3, resize=Resize(fit="pad")),
    "grey-stretch": InputSpec(height=12, width=12, channels=1, resize=Resize(fit="stretch")),
}


def drawing(width: int = 96, height: int = 64) -> Image.Image:
    """An asymmetric picture: gradients, a red disc at the upper left, a dark bar at the lower right."""
    y, x = np.mgrid[:height, :width]
    gradients = np.stack([x * 255 // width, y * 255 // height, 255 - x * 255 // width], -1)
    picture = Image.fromarray(gradients.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((6, 6, 30, 30), fill=(220, 20, 40))
    draw.rectangle((60, 50, 90, 58), fill=(10, 10, 30))
    return picture


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of this kind."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int) -> Image.Image:
    """The drawing as a camera would store it that is held so; applying the orientation gives the drawing."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose values
    return drawing().transpose(Image.Transpose(undo[orientation])) if orientation in undo else drawing()


def exif(orientation: int) -> Image.Exif:
    """An EXIF block that holds an orientation and nothing else."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def veil(picture: Image.Image) -> Image.Image:
    """The picture with an alpha channel that falls from left to right."""
    x = np.mgrid[: picture.height, : picture.width][1]
    alpha = Image.fromarray((255 - x * 255 // picture.width).astype(np.uint8))
    picture = picture.copy()
    picture.putalpha(alpha)
    return picture


def png16(samples: np.ndarray) -> bytes:
    """A PNG of 16 bits a sample from uint16 [H, W] or [H, W, 3]; Pillow writes only grey ones."""
    colour = {2: 0, 3: 2}[samples.ndim]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def wide(band: Image.Image) -> np.ndarray:
    """uint16 samples that use all 16 bits: the low bytes are not the high bytes."""
    high = np.asarray(band).astype(np.uint16)
    return high << 8 | (high ^ 0x55)


def jpegs() -> Iterator[tuple[str, bytes]]:
    """Every kind of JPEG that cameras and shops make."""
    picture, large = drawing(), drawing(480, 320)
    yield "baseline.jpg", saved(picture, "JPEG", quality=90)
    yield "progressive.jpg", saved(picture, "JPEG", quality=90, progressive=True)
    yield "fine-chroma.jpg", saved(picture, "JPEG", quality=90, subsampling=0)
    yield "large.jpg", saved(large, "JPEG", quality=85)
    yield "grey.jpg", saved(picture.convert("L"), "JPEG", quality=90)
    yield "cmyk.jpg", saved(picture.convert("CMYK"), "JPEG", quality=90)
    inverted = 255 - np.asarray(picture.convert("CMYK"))  # as Adobe stores it, and libjpeg makes YCCK of it
    yield "ycck.jpg", simplejpeg.encode_jpeg(inverted, colorspace="CMYK", quality=90)
    for orientation in range(1, 9):
        yield f"exif-{orientation}.jpg", saved(turned(orientation), "JPEG", quality=90, exif=exif(orientation))


def pngs() -> Iterator[tuple[str, bytes]]:
    """Every kind of PNG."""
    picture = drawing()
    palette, grey = picture.quantize(32), picture.convert("L")
    yield "rgb.png", saved(picture, "PNG")
    yield "grey.png", saved(grey, "PNG")
    yield "grey-28.png", saved(grey.resize((28, 28)), "PNG")
    yield "one-bit.png", saved(picture.convert("1"), "PNG")
    yield "palette.png", saved(palette, "PNG")
    yield "palette-one-clear.png", saved(palette, "PNG", transparency=3)
    yield "palette-alpha.png", saved(palette, "PNG", transparency=bytes(range(0, 256, 8)))
    yield "grey-clear.png", saved(grey, "PNG", transparency=120)
    yield "rgb-clear.png", saved(picture, "PNG", transparency=(220, 20, 40))
    yield "rgba.png", saved(veil(picture), "PNG")
    yield "grey-alpha.png", saved(veil(grey), "PNG")
    yield "grey-16.png", png16(wide(drawing(48, 32).convert("L")))
    yield "rgb-16.png", png16(np.stack([wide(band) for band in drawing(48, 32).split()], -1))
    yield "exif-6.png", saved(turned(6), "PNG", exif=exif(6))


def others() -> Iterator[tuple[str, bytes]]:
    """WebP, GIF, BMP and TIFF."""
    picture, small, grey = drawing(), drawing(48, 32), drawing(48, 32).convert("L")
    yield "lossy.webp", saved(picture, "WEBP", quality=90)
    yield "lossless.webp", saved(picture, "WEBP", lossless=True)
    yield "alpha.webp", saved(veil(picture), "WEBP", lossless=True)
    yield "exif-8.webp", saved(turned(8), "WEBP", lossless=True, exif=exif(8))
    yield "animated.webp", saved(picture, "WEBP", lossless=True, save_all=True, append_images=[turned(3)])
    yield "animated.gif", saved(picture.quantize(32), "GIF", save_all=True, append_images=[turned(3).quantize(32)])
    yield "clear.gif", saved(picture.quantize(32), "GIF", transparency=3)
    yield "rgb.bmp", saved(small, "BMP")
    yield "palette.bmp", saved(small.quantize(32), "BMP")
    yield "rgb.tiff", saved(small, "TIFF", compression="tiff_lzw")
    yield "alpha.tiff", saved(veil(small), "TIFF", compression="tiff_adobe_deflate")
    yield "cmyk.tiff", saved(small.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate")
    yield "grey-16.tiff", saved(Image.fromarray(wide(grey)), "TIFF", compression="tiff_adobe_deflate")
    yield "one-bit.tiff", saved(small.convert("1"), "TIFF", compression="packbits")
    yield "jpeg.tiff", saved(small, "TIFF", compression="jpeg", quality=90)
    yield (
        "pages.tiff",
        saved(small, "TIFF", compression="tiff_adobe_deflate", save_all=True, append_images=[small.rotate(180)]),
    )
    yield "exif-5.tiff", saved(turned(5), "TIFF", compression="tiff_adobe_deflate", exif=exif(5))


def main() -> None:
    """Write the encoded files, if asked, and what `decode` makes of them."""
    if "--encode" in sys.argv:
        for name, data in (*jpegs(), *pngs(), *others()):
            (HERE / name).write_bytes(data)
    files = sorted(path for path in HERE.iterdir() if path.suffix not in (".py", ".npz"))
    expected = {key: np.stack([decode(path.read_bytes(), spec) for path in files]) for key, spec in SPECS.items()}
    np.savez_compressed(HERE / "expected.npz", names=[path.name for path in files], **expected)


if __name__ == "__main__":
    main()

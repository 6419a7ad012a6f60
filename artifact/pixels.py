"""Image bytes -> the model's pixels: the only decode and resize in the repository, so training and serving see the same."""

from io import BytesIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from artifact.card import InputSpec
from artifact.errors import EmptyImage, TooManyPixels, TruncatedImage, UndecodableImage, UnsupportedImageType

DEFAULT_MAX_PIXELS = 50_000_000

_READERS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"RIFF", WebPImageFile),
    (b"GIF8", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
)
_ORIENTATION = 0x0112


def decode(data: bytes, spec: InputSpec, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """The photo as the model wants to see it: uint8 [H, W, C], upright, grey (C = 1) or RGB, alpha over white.

    Raises an ImageError, and nothing else, when the bytes are no such photo.
    """
    photo = _open(data)
    if photo.width * photo.height > max_pixels:
        raise TooManyPixels(
            f"The image declares {photo.width} x {photo.height} pixels; at most {max_pixels} pixels are taken."
        )
    try:
        turned = photo.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        upright = ImageOps.exif_transpose(_pixels(photo, data, spec, turned=turned), in_place=False)
    except MemoryError:
        raise
    except Exception as error:
        if "truncated" in str(error):
            raise TruncatedImage("The image ends before its last pixel; send the whole file.") from error
        raise UndecodableImage("The image's data is damaged; send a file that other programs can open.") from error
    mode = "L" if spec.channels == 1 else "RGB"
    return np.array(_resize(upright.convert(mode), spec)).reshape(spec.shape)


def _open(data: bytes) -> ImageFile.ImageFile:
    if not data:
        raise EmptyImage("The image is empty; send its bytes.")
    for magic, reader in _READERS:
        if data.startswith(magic):
            try:
                return reader(BytesIO(data))
            except Exception as error:
                raise UndecodableImage("The image's header is damaged.") from error
    raise UnsupportedImageType("These bytes are no JPEG, PNG, WebP, GIF, BMP or TIFF image.")


def _pixels(photo: ImageFile.ImageFile, data: bytes, spec: InputSpec, *, turned: bool) -> Image.Image:
    if photo.format == "JPEG" and photo.mode in ("L", "RGB"):
        height, width = (spec.width, spec.height) if turned else (spec.height, spec.width)
        grey = spec.channels == 1
        array = simplejpeg.decode_jpeg(data, "GRAY" if grey else "RGB", min_height=height, min_width=width)
        decoded = Image.fromarray(array[..., 0] if grey else array)
        decoded.getexif()[_ORIENTATION] = photo.getexif().get(_ORIENTATION, 1)
        return decoded
    photo.load()
    return _over_white(photo)


def _over_white(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(photo) >> 8).astype(np.uint8))
    if not photo.has_transparency_data:
        return photo.convert("RGB") if photo.mode not in ("L", "RGB") else photo
    coloured = photo.convert("RGBA")
    white = Image.new("RGBA", photo.size, "white")
    white.alpha_composite(coloured)
    return white.convert("RGB")


def _resize(photo: Image.Image, spec: InputSpec) -> Image.Image:
    size = (spec.width, spec.height)
    if photo.size == size:
        return photo
    if spec.resize.fit == "crop":
        return ImageOps.fit(photo, size, Image.Resampling.BOX)
    if spec.resize.fit == "pad":
        return ImageOps.pad(photo, size, Image.Resampling.BOX, color="white")
    return photo.resize(size, Image.Resampling.BOX)

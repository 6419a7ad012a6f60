"""Image bytes -> the model's pixels: the repository's only decode and resize, so training and serving see the same.

Why these decoders: docs/decisions/0002-decoding.md.
"""

from collections.abc import Callable
from io import BytesIO
from math import ceil

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from artifact.card import InputSpec
from artifact.containers import Kind, is_whole, kind_of, orientation, read_jpeg_header, webp_size
from artifact.errors import (
    EmptyImage,
    ImageError,
    TooManyPixels,
    TruncatedImage,
    UndecodableImage,
    UnsupportedImageType,
)

DEFAULT_MAX_PIXELS = 52_000_000  # a 50-megapixel phone writes up to 8160 x 6144
MAX_SIDE = 65_535  # JPEG and GIF have no more; the resize needs memory in proportion to it

# Pillow's readers, all but JPEG's, without Image.open: it warns at a pixel limit of its own, and reaches other readers.
_READERS: dict[Kind, Callable[[BytesIO], ImageFile.ImageFile]] = {
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "PNG": PngImageFile,
    "TIFF": TiffImageFile,
    "WEBP": WebPImageFile,
}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What photos are saved with. The others are rarely used, and libtiff's fax prints a line for each row that is damaged.
_TIFF_COMPRESSIONS = {"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "jpeg"}
_BMP_RUN_LENGTHS = {1, 2}  # Pillow decodes them in Python: seconds for ten megabytes, and nobody saves photos so
_HARMLESS = ("extraneous bytes before marker", "Invalid SOS parameters for sequential JPEG")  # no pixel is lost


def decode(data: bytes, spec: InputSpec, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """The photo as the model wants to see it: upright, alpha over white, resized as `spec` says.

    Returns uint8 [H, W, C], C-contiguous, grey (C = 1) or RGB (C = 3). Of an animation it is the first frame, of a TIFF
    the first page. Raises an ImageError, and nothing else, if the bytes are no such photo or declare over `max_pixels`.
    Any number of threads may call it; they run side by side, since the decoders and the resize release the GIL.
    """
    kind = _known_kind(data)
    read = _read_jpeg if kind == "JPEG" else _read
    try:
        return np.array(_resize(read(data, kind, spec, max_pixels), spec)).reshape(spec.shape)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"The {kind} file declares far too many pixels; send at most {max_pixels}.") from error
    except Exception as error:  # decoders raise whatever they like for damaged data, even MemoryError
        raise UndecodableImage(f"The {kind} file is damaged; save it anew, or send another.") from error


def _known_kind(data: bytes) -> Kind:
    if not data:
        raise EmptyImage("There are no bytes; send an image.")
    kind = kind_of(data)
    if kind is None:
        raise UnsupportedImageType("This is no JPEG, PNG, WebP, GIF, BMP or TIFF file; send one of these.")
    return kind


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels or max(size) > MAX_SIDE:
        raise TooManyPixels(
            f"The image is {width} x {height} pixels; send at most {max_pixels} pixels in all, and {MAX_SIDE} a side."
        )


def _check_whole(kind: Kind, *, whole: bool) -> None:
    if not whole:
        raise TruncatedImage(f"The {kind} file ends too soon; send all of it.")


def _check_taken(photo: ImageFile.ImageFile) -> None:
    if photo.mode in ("I", "F"):
        raise UnsupportedImageType("The samples have 32 bits or a sign; send an image of 8 or 16 bits a sample.")
    if photo.format == "TIFF" and photo.info.get("compression") not in _TIFF_COMPRESSIONS:
        raise UnsupportedImageType("The TIFF is compressed as fax or film; send one with LZW, Deflate, JPEG or none.")
    if photo.format == "BMP" and photo.info.get("compression") in _BMP_RUN_LENGTHS:
        raise UnsupportedImageType("The BMP is compressed by run lengths; send one that is not, or a PNG.")


def _read(data: bytes, kind: Kind, spec: InputSpec, max_pixels: int) -> Image.Image:
    """The photo at full size, upright, in mode L or RGB as `spec` has channels."""
    whole = is_whole(data, kind)
    if kind == "WEBP":  # its reader allocates the canvas at once
        _check_size(webp_size(data), max_pixels)
    try:
        _check_whole(kind, whole=whole or kind != "TIFF")  # a TIFF's reader warns of missing parts, and goes on
        photo = _READERS[kind](BytesIO(data))
    except (OSError, SyntaxError):
        _check_whole(kind, whole=whole)
        raise
    _check_size(photo.size, max_pixels)
    _check_whole(kind, whole=whole)
    _check_taken(photo)
    photo.load()
    turn = 1 if kind == "TIFF" else orientation(photo.info.get("exif", b""))  # a TIFF loads upright
    return _upright(_over_white(photo), turn, spec)


def _read_jpeg(data: bytes, kind: Kind, spec: InputSpec, max_pixels: int) -> Image.Image:
    """The photo as `_read` gives it, but at the smallest scale, n/8, that is no smaller than what is drawn of it."""
    header = read_jpeg_header(data)
    _check_size(header.size, max_pixels)
    _check_whole(kind, whole=header.whole)
    turn = orientation(header.exif)
    width, height = _least_size(header.size, spec, turned=turn > 4)  # noqa: PLR2004 - 5 to 8 exchange width and height
    if header.channels == 4:  # noqa: PLR2004 - CMYK or YCCK, and Pillow knows how Adobe inverts them
        photo = JpegImageFile(BytesIO(data))
        _check_size(photo.size, max_pixels)
        photo.draft(None, (width, height))
        return _upright(photo.convert("RGB"), turn, spec)
    grey = spec.channels == 1
    pixels = _decode_jpeg(data, "GRAY" if grey else "RGB", height, width)
    return _upright(Image.fromarray(pixels[..., 0] if grey else pixels), turn, spec)


def _decode_jpeg(data: bytes, space: str, height: int, width: int) -> NDArray[np.uint8]:
    """The pixels [h, w, C], where h and w are at least as given; raises ValueError if any of them is lost."""
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width)
    except ValueError as error:
        if not any(complaint in str(error) for complaint in _HARMLESS):
            raise
        pixels = simplejpeg.decode_jpeg(data, space, min_height=height, min_width=width, strict=False)
    return pixels


def _upright(photo: Image.Image, turn: int, spec: InputSpec) -> Image.Image:
    """The photo in mode L or RGB as `spec` has channels, turned as its EXIF orientation says."""
    mode = "L" if spec.channels == 1 else "RGB"
    photo = photo if photo.mode == mode else photo.convert(mode)
    return photo.transpose(_UPRIGHT[turn]) if turn in _UPRIGHT else photo


def _least_size(size: tuple[int, int], spec: InputSpec, *, turned: bool) -> tuple[int, int]:
    """Width and height that a photo of `size`, as stored, must be decoded to so that drawing it never enlarges it."""
    size = size[::-1] if turned else size
    (width, height), (left, top, right, bottom) = _drawn(size, spec)
    least = ceil(size[0] * width / (right - left)), ceil(size[1] * height / (bottom - top))
    return least[::-1] if turned else least


def _over_white(photo: Image.Image) -> Image.Image:
    """The photo in mode L or RGB: transparency over white, 16 bits scaled to 8, everything else by its own palette."""
    if photo.mode.startswith("I;16"):
        return _narrow(photo)
    if not photo.has_transparency_data:
        return photo.convert("L" if photo.mode == "1" else "RGB") if photo.mode not in ("L", "RGB") else photo
    photo = photo if photo.mode == "RGBA" else photo.convert("RGBA")
    white = Image.new("RGB", photo.size, "white")
    white.paste(photo, mask=photo)  # alpha_composite would hold the GIL
    return white


def _narrow(photo: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit: the high byte, which is what the PNG and TIFF decoders keep of 16-bit colour."""
    wide = np.asarray(photo)
    grey = (wide >> 8).astype(np.uint8)
    clear = photo.info.get("transparency")
    if isinstance(clear, int):
        grey[wide == clear] = 255
    return Image.fromarray(grey)


def _resize(photo: Image.Image, spec: InputSpec) -> Image.Image:
    if photo.size == (spec.width, spec.height):
        return photo
    size, box = _drawn(photo.size, spec)
    drawn = _scale(photo, size, box)
    if size == (spec.width, spec.height):
        return drawn
    canvas = Image.new(photo.mode, (spec.width, spec.height), "white")
    canvas.paste(drawn, ((spec.width - size[0]) // 2, (spec.height - size[1]) // 2))
    return canvas


def _drawn(size: tuple[int, int], spec: InputSpec) -> tuple[tuple[int, int], tuple[float, float, float, float]]:
    """How large the photo is drawn (width, height), and what part of it: left, top, right, bottom in its pixels."""
    (width, height), whole = size, (0, 0, *size)
    wide, high = spec.width / width, spec.height / height
    if spec.resize.fit == "stretch" or wide == high:
        return (spec.width, spec.height), whole
    if spec.resize.fit == "pad":
        scale = min(wide, high)
        return (max(1, round(width * scale)), max(1, round(height * scale))), whole
    scale = max(wide, high)
    left, top = (width - spec.width / scale) / 2, (height - spec.height / scale) / 2
    return (spec.width, spec.height), (max(left, 0), max(top, 0), min(width - left, width), min(height - top, height))


def _scale(photo: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    """The box of the photo at `size`: averaged along a side that shrinks, interpolated along one that grows."""
    if size[0] >= box[2] - box[0] and size[1] >= box[3] - box[1]:
        return photo.resize(size, Image.Resampling.BILINEAR, box)
    shrunk = photo.resize((min(size[0], photo.width), min(size[1], photo.height)), Image.Resampling.HAMMING, box)
    return shrunk if shrunk.size == size else shrunk.resize(size, Image.Resampling.BILINEAR)

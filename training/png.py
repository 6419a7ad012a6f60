"""Pixels as a lossless PNG, which decodes to the same pixels."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """The PNG file of pixels, uint8 [H, W], [H, W, 1] or [H, W, 3]."""
    encoded = BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()

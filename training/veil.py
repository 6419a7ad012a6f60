"""Photos that may not be passed on, made so coarse that they show no more than colours and a shape."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CELLS = 8  # along the longer side


def veil(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photo uint8 [H, W, C] as a mosaic of the same size."""
    height, width, channels = photo.shape
    cell = max(1, max(height, width) // _CELLS)
    image = Image.fromarray(photo if channels > 1 else photo[..., 0])
    small = image.resize((-(-width // cell), -(-height // cell)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST)).reshape(photo.shape)


def veil_all(photos: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Photos uint8 [..., H, W, C], each as a mosaic."""
    flat = photos.reshape(-1, *photos.shape[-3:])
    return np.stack([veil(photo) for photo in flat]).reshape(photos.shape)

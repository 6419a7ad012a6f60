"""Fashion-MNIST: its four idx files, downloaded where they are missing, as lossless grey PNG photos."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.card import Split
from artifact.errors import DataError
from training.data import Photo, hold_out
from training.download import Remote, fetch
from training.png import as_png

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_BYTES = b"\0\0\x08"  # how an idx file of unsigned bytes begins; the number of dimensions follows


class FashionMnist:
    """70,000 photos of 28x28 grey pixels: 60,000 to learn from, of which `validation` is held out, and 10,000 to test.

    Files are looked for in `<root>/fashion-mnist/`; nothing is written where they are present.
    """

    source = "Fashion-MNIST by Zalando Research, https://github.com/zalandoresearch/fashion-mnist"
    licence = "MIT"
    labels = LABELS
    strays = ()

    def __init__(self, root: Path, *, validation: float = 0.1, seed: int = 0, url: str = URL) -> None:
        self._folder = root / "fashion-mnist"
        self._validation = validation
        self._seed = seed
        self._url = url

    def photos(self, split: Split) -> Iterator[Photo]:
        """The photos of one split in the files' order; raises DataError where files are missing or damaged."""
        part = "t10k" if split == "test" else "train"
        labels = read_idx(self._file(f"{part}-labels-idx1-ubyte.gz")).astype(np.int64)
        images = read_idx(self._file(f"{part}-images-idx3-ubyte.gz"))
        for index in self._chosen(split, labels):
            yield Photo(as_png(images[index]), int(labels[index]), f"fashion-mnist {part} {index}")

    def _chosen(self, split: Split, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        if split == "test":
            return np.arange(len(labels))
        held = hold_out(labels, self._validation, self._seed)
        return np.flatnonzero(held if split == "validation" else ~held)

    def _file(self, name: str) -> Path:
        return fetch(Remote(self._url + name, MD5[name]), self._folder / name)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The uint8 array in a gzipped idx file; raises DataError unless it is whole."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); remove it, and it is downloaded again.") from error
    dimensions = content[len(_BYTES)] if content.startswith(_BYTES) and content != _BYTES else 0
    header = len(_BYTES) + 1 + 4 * dimensions
    shape = np.frombuffer(content[len(_BYTES) + 1 : header].ljust(4 * dimensions, b"\0"), ">u4").astype(int)
    if dimensions == 0 or len(content) != header + shape.prod():
        raise DataError(f"{path} is not a whole idx file of bytes; remove it, and it is downloaded again.")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)

"""How fast, how faithful and how heavy the decode is beside its alternatives.

Times are CPU time of one thread, in rounds that take every way in turn, so that other work on the machine falls on all
alike; read the ratios. Faithfulness is the mean absolute difference, in levels of 255, from a decode at full scale and
an exact area mean. OpenCV takes part where it is installed: Hangtag itself does not need it.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from glob import glob
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from artifact.card import InputSpec, Resize
from artifact.command import Options
from artifact.pixels import decode

Pixels = NDArray[np.uint8]
Decode = Callable[[bytes], Pixels]
IMAGES = "../shared/data/clothing-small/test/*/*.jpg"
LOADS = {
    "numpy": "import numpy",
    "numpy, Pillow": "import numpy; from PIL import Image, JpegImagePlugin, PngImagePlugin",
    "numpy, Pillow, simplejpeg": "import numpy, simplejpeg; from PIL import Image, JpegImagePlugin, PngImagePlugin",
    "artifact.pixels (with pydantic)": "import artifact.pixels",
    "artifact.pixels and cv2": "import artifact.pixels, cv2",
}
MEASURE_LOAD = """
import time; start = time.process_time()
{load}
print(time.process_time() - start, int(open("/proc/self/statm").read().split()[1]) * 4096)
"""


class DecodeOptions(Options):
    """Decode photos in our way and in others, in turn; print time, faithfulness and what the libraries weigh.

    Example: hangtag bench decode --images 'data/shop/*/*.jpg' --sizes 160,224
    """

    images: str = Field(IMAGES, description="a glob of photos; where none matches, photos are drawn")
    count: int = Field(60, ge=1, description="photos, evenly drawn from those that match")
    sizes: list[int] = Field([28, 160, 224], description="sides of the model's input, pixels")
    rounds: int = Field(9, ge=1, description="how often all ways take turns")


def run(arguments: Sequence[str]) -> int:
    """Print the figures; returns 0."""
    options = DecodeOptions.parse("bench decode", arguments)
    photos = read_photos(options.images, options.count)
    for size in options.sizes:
        print(f"\n{len(photos)} photos to {size} x {size}\n")
        report(ways(size), photos, options.rounds, [exact(photo, size) for photo in photos])
    print("\na grey PNG of 28 x 28 to 28 x 28\n")
    report(small_ways(), [small_png()] * 200, options.rounds, None)
    print("\nwhat an import costs\n")
    for name, load in LOADS.items():
        if "cv2" not in load or find_spec("cv2"):
            seconds, memory = cost_of(load)
            print(f"{name:34}{seconds * 1e3:8.0f} ms{memory / 2**20:8.0f} MiB resident")
    return 0


def read_photos(pattern: str, count: int) -> list[bytes]:
    """The matching files, or drawn photos of 400 x 533 if none matches."""
    paths = sorted(glob(pattern))  # noqa: PTH207 - the pattern may lead out of this folder
    if paths:
        return [Path(path).read_bytes() for path in paths[:: max(1, len(paths) // count)][:count]]
    print(f"no file matches {pattern}; photos are drawn instead")
    return [drawn_photo(seed) for seed in range(count)]


def drawn_photo(seed: int, width: int = 400, height: int = 533) -> bytes:
    """A JPEG of coloured clouds of several sizes, which compresses about as a photo does."""
    random, photo = np.random.default_rng(seed), np.zeros((height, width, 3))
    for grain in (4, 16, 64, 200):
        cloud = Image.fromarray(random.integers(0, 256, (grain, grain, 3), np.uint8))
        photo += np.asarray(cloud.resize((width, height), Image.Resampling.BICUBIC), float) / grain**0.5
    return encoded(Image.fromarray((photo * (255 / photo.max())).astype(np.uint8)), "JPEG", quality=85)


def encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    """The picture as a file of this kind."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def small_png() -> bytes:
    """28 x 28 pixels of noise, grey."""
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)), "PNG")


def spec_of(size: int, channels: int) -> InputSpec:
    """A square input, whatever the shape of the photo."""
    return InputSpec.model_validate(
        {"height": size, "width": size, "channels": channels, "resize": Resize(fit="stretch")}
    )


def exact(photo: bytes, size: int) -> NDArray[np.float64]:
    """The photo decoded in full and averaged over exact areas, in floating point: float64 [size, size, 3]."""
    full = simplejpeg.decode_jpeg(photo, "RGB").astype(float)
    rows, columns = (area_weights(length, size) for length in full.shape[:2])
    result: NDArray[np.float64] = np.einsum("yh,hwc,xw->yxc", rows, full, columns, optimize=True)
    return result


def area_weights(length: int, size: int) -> NDArray[np.float64]:
    """What share each of `length` pixels has in each of `size`: float64 [size, length], rows sum to 1."""
    edges = np.linspace(0, length, size + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(length)[None]
    shares: NDArray[np.float64] = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    return shares * (size / length)


def ways(size: int) -> dict[str, Decode]:
    """Each way to make a JPEG the model's input; the first is ours."""
    spec, sampling = spec_of(size, 3), Image.Resampling

    def pillow(photo: bytes, resample: Image.Resampling, *, draft: bool) -> Pixels:
        opened = Image.open(BytesIO(photo), formats=["JPEG"])
        if draft:
            opened.draft("RGB", (size, size))
        return np.array(opened.resize((size, size), resample))

    def with_pillow(photo: bytes, resample: Image.Resampling, least: int) -> Pixels:
        scaled = simplejpeg.decode_jpeg(photo, "RGB", min_height=least, min_width=least)
        return np.array(Image.fromarray(scaled).resize((size, size), resample))

    found: dict[str, Decode] = {
        "decode (ours)": lambda photo: decode(photo, spec),
        "simplejpeg scaled, Pillow HAMMING": lambda photo: with_pillow(photo, sampling.HAMMING, size),
        "simplejpeg scaled, Pillow BOX": lambda photo: with_pillow(photo, sampling.BOX, size),
        "simplejpeg scaled 2x, HAMMING": lambda photo: with_pillow(photo, sampling.HAMMING, 2 * size),
        "Pillow draft, HAMMING": lambda photo: pillow(photo, sampling.HAMMING, draft=True),
        "Pillow full, HAMMING": lambda photo: pillow(photo, sampling.HAMMING, draft=False),
    }
    return found | (opencv_ways(size) if find_spec("cv2") else {})


def opencv_ways(size: int) -> dict[str, Decode]:
    """The ways that need OpenCV."""
    cv2: Any = import_module("cv2")
    cv2.setNumThreads(1)

    def area(pixels: Pixels) -> Pixels:
        resized: Pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
        return resized

    return {
        "simplejpeg scaled, cv2 AREA": lambda photo: area(
            simplejpeg.decode_jpeg(photo, "RGB", min_height=size, min_width=size)
        ),
        "simplejpeg full, cv2 AREA": lambda photo: area(simplejpeg.decode_jpeg(photo, "RGB")),
        "cv2 full, cv2 AREA": lambda photo: area(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR_RGB)),
    }


def small_ways() -> dict[str, Decode]:
    """Each way to read a small grey PNG; the first is ours."""
    spec = spec_of(28, 1)
    found: dict[str, Decode] = {
        "decode (ours)": lambda photo: decode(photo, spec),
        "Pillow, Image.open": lambda photo: np.array(Image.open(BytesIO(photo), formats=["PNG"])),
    }
    if find_spec("cv2"):
        cv2: Any = import_module("cv2")
        found["cv2"] = lambda photo: cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_UNCHANGED)
    return found


def report(
    compared: dict[str, Decode], photos: list[bytes], rounds: int, references: list[NDArray[np.float64]] | None
) -> None:
    """Print a line for each way: its time, the ratio to the first, and how far it is from the references."""
    times: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(rounds):
        for name, way in compared.items():
            start = thread_time()
            for photo in photos:
                way(photo)
            times[name].append((thread_time() - start) / len(photos))
    first = median(next(iter(times.values())))
    for name, way in compared.items():
        far = np.mean([np.abs(way(p) - r).mean() for p, r in zip(photos, references, strict=True)]) if references else 0
        print(f"{name:34}{median(times[name]) * 1e3:8.3f} ms{median(times[name]) / first:8.2f} x{far:8.2f} levels")


def cost_of(load: str) -> tuple[float, float]:
    """Seconds of CPU and resident bytes that an import takes, the median of five fresh interpreters."""
    program = MEASURE_LOAD.format(load=load)
    runs = [
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603 - ours
        for _ in range(5)
    ]
    seconds, memory = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    return median(seconds), median(memory)

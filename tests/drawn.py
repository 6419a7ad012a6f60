"""A small dataset of drawn photos in class folders, and a recipe that learns it in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

RECIPE = """
name = "drawn"
description = "Tells squares by their colour."
seed = 3
seeds = 2

[data]
source = "folders"
folder = "drawn"
licence = "CC0"

[input]
height = 12
width = 12
channels = 3
resize.fit = "pad"

[network]
kind = "residual"
stem = 4
widths = [4, 8]
blocks = [1, 1]
dropout = 0.1

[augmentation]
flip = true
shift = 0.1
erase = 0.2

[schedule]
epochs = 3
batch = 8
peak_rate = 0.02
patience = 3

[baseline]
description = "a first notebook's network"
input = { height = 8, width = 8, channels = 3, resize = { fit = "pad" } }
network = { kind = "plain", convolutions = [4], dense = [8], dropout = 0.1, l2 = 0.001 }
schedule = { optimizer = "adam", decay = "constant", epochs = 1, batch = 8, peak_rate = 0.01, patience = 1 }
"""
TRANSFER = """
name = "drawn"
description = "Tells squares by their colour."
seed = 3

[data]
source = "folders"
folder = "drawn"

[input]
height = 32
width = 32
channels = 3
resize.fit = "pad"

[network]
kind = "transfer"
backbone = "MobileNetV2"
alpha = 0.35
weights = "random"
dense = [8]
dropout = 0.1

[augmentation]
flip = true
zoom = 0.1
mixup = 0.2

[schedule]
optimizer = "adam"
decay = "plateau"
head = { epochs = 2, rate = 0.01 }
epochs = 4
batch = 8
peak_rate = 0.001
plateau_patience = 1
average = 0.5
class_weights = true
patience = 9
"""
COLOURS = {"blue": (40, 60, 220), "green": (60, 200, 40), "red": (220, 50, 40)}


def draw_dataset(root: Path, count: int = 40) -> Path:
    """Draw `count` photos of each colour into `<root>/drawn/<colour>/`, and return the data root."""
    random = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        folder = root / "drawn" / label
        folder.mkdir(parents=True)
        for index in range(count):
            photo = random.integers(0, 40, (20, 16, 3)) + np.array(colour) * (random.random() * 0.3 + 0.5)
            Image.fromarray(photo.astype(np.uint8)).save(folder / f"{index:03}.png")
    return root


def scene(number: int, width: int = 60, height: int = 80) -> Image.Image:
    """A photo with large and small shapes; each number gives quite another one."""
    shapes = np.random.default_rng(number).integers(0, 256, (12, 9, 3)).astype(np.uint8)
    return Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC)


def draw_scenes(root: Path, **labels: range) -> Path:
    """Draw the scenes of each label into `<root>/<label>/<number>.png`, and return the root."""
    for label, numbers in labels.items():
        (root / label).mkdir(parents=True)
        for number in numbers:
            scene(number).save(root / label / f"{number:03}.png")
    return root


def write_recipe(folder: Path, **changes: str) -> Path:
    """The recipe as a file; each change replaces the value of a key, such as epochs="1"."""
    return _write(folder, RECIPE, changes)


def write_transfer(folder: Path, **changes: str) -> Path:
    """A recipe that transfers from a backbone with random weights, changed in the same way."""
    return _write(folder, TRANSFER, changes)


def _write(folder: Path, recipe: str, changes: dict[str, str]) -> Path:
    lines = [
        f"{key} = {changes[key]}" if (key := line.split(" = ")[0]) in changes else line for line in recipe.splitlines()
    ]
    path = folder / "drawn.toml"
    path.write_text("\n".join(lines))
    return path

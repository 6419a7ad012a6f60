"""Which dataset a recipe means, and which a path."""

from pathlib import Path

from artifact.errors import DataError
from training.data import Dataset
from training.fashion_mnist import FashionMnist
from training.folders import Folders
from training.manifest import SUFFIXES, Manifest
from training.mapped import Mapped
from training.recipe import Recipe


def open_dataset(recipe: Recipe, root: Path) -> Dataset:
    """The dataset that a recipe names, under the data root; raises DataError where it is not."""
    dataset = _open_source(recipe, root)
    return dataset if recipe.data.classes is None else Mapped(dataset, recipe.data.classes)


def _open_source(recipe: Recipe, root: Path) -> Dataset:
    section = recipe.data
    if section.folder is None:
        return FashionMnist(root, validation=section.validation, seed=recipe.seed)
    path = root / section.folder / (section.manifest or "")
    return (Folders if section.manifest is None else Manifest)(
        path, licence=section.licence, validation=section.validation, test=section.test, seed=recipe.seed
    )


def open_path(path: Path) -> Dataset:
    """The dataset in a folder, or that a manifest names; raises DataError where it is neither."""
    if path.is_dir():
        return Folders(path.resolve())
    if path.suffix.lower() in SUFFIXES:
        return Manifest(path)
    raise DataError(f"{path} is neither a folder of photos nor a manifest ({' or '.join(SUFFIXES)}).")

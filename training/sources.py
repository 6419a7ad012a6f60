"""Which dataset a recipe means."""

from pathlib import Path

from training.data import Dataset
from training.fashion_mnist import FashionMnist
from training.folders import Folders
from training.recipe import Recipe


def open_dataset(recipe: Recipe, root: Path) -> Dataset:
    """The dataset that a recipe names, under the data root; raises DataError where it is not."""
    section = recipe.data
    if section.folder is None:
        return FashionMnist(root, validation=section.validation, seed=recipe.seed)
    return Folders(
        root / section.folder,
        licence=section.licence,
        validation=section.validation,
        test=section.test,
        seed=recipe.seed,
    )

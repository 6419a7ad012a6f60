"""`hangtag train`: photos and a recipe in, a run folder out."""

import importlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.card import RunCard, Split
from artifact.command import Options
from artifact.errors import RecipeError
from artifact.quiet import quiet_stderr
from training.data import Loaded, Photos
from training.recipe import find_recipe, read_recipe
from training.run_folder import RunFolder
from training.sources import open_dataset


class TrainOptions(Options):
    """Train a model by a recipe, and leave a run folder that `hangtag export` takes.

    Example: hangtag train fashion-mnist --data ~/data
    """

    recipe: CliPositionalArg[str] = Field(description="a recipe that comes with Hangtag, or the path of a .toml file")
    data: Path = Field(default=Path("data"), description="the data root: the folder that all datasets stand in")
    runs: Path = Field(default=Path("runs"), description="where the new run folder is made")
    resume: Path | None = Field(default=None, description="a run folder to go on with, after its last finished epoch")


def run(arguments: Sequence[str]) -> int:
    """Train, measure and describe one model."""
    options = TrainOptions.parse("train", arguments)
    recipe_file = find_recipe(options.recipe)
    recipe = read_recipe(recipe_file)
    dataset = open_dataset(recipe, options.data)
    photos = Photos(dataset)
    splits = photos.splits(recipe.input)
    folder = (
        RunFolder.reopen(options.resume, recipe_file) if options.resume else RunFolder.create(options.runs, recipe_file)
    )
    _tell_photos(splits, folder)

    load_keras()
    from training.finish import finish  # noqa: PLC0415 - imports keras, which load_keras has to start
    from training.trials import Trials  # noqa: PLC0415 - the same

    trials = Trials(folder, recipe, photos, dataset.labels, options.data)
    again = f"hangtag train {options.recipe} --resume {folder.path}"
    try:
        trials.train()
        card = finish(folder, trials.findings(), trials.network(), dataset, splits, options.data)
    except KeyboardInterrupt:
        print(f"\nStopped; go on with: {again}", flush=True)
        raise
    except OSError as error:
        raise RecipeError(f"{folder.path} cannot be written ({error}); make room, then go on with: {again}") from error
    _tell(card, folder)
    return 0


def _tell_photos(splits: Mapping[Split, Loaded], folder: RunFolder) -> None:
    for loaded in splits.values():
        for name in loaded.skipped:
            print(f"skipped: {name}")
    counts = ", ".join(f"{len(loaded.names):,} {split}" for split, loaded in splits.items())
    print(f"{counts} photos -> {folder.path}", flush=True)


def load_keras() -> None:
    """Load Keras, on TensorFlow unless the user chose another backend, without TensorFlow's remarks on itself."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        importlib.import_module("keras")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # a run has several networks; it warns of each


def _tell(card: RunCard, folder: RunFolder) -> None:
    for split, figures in card.figures.items():
        low, high = figures.accuracy_interval
        print(
            f"{split}: {figures.accuracy:.2%} of {figures.count:,} right (95 % interval {low:.2%} to {high:.2%}); "
            f"{figures.accepted_share:.2%} accepted, of which {figures.accepted_precision or 0:.2%} right"
        )
    print(f"{card.weights.parameters:,} parameters. Next: hangtag export {folder.path}")

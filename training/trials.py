"""The networks that a run trains, one after the other: the recipe's from each seed, and the baseline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from artifact.card import Split
from artifact.figures import fit_threshold, split_figures
from artifact.samples import MEASURED
from training.augmentation import augmented_samples
from training.calibration import fit_temperature, softmax
from training.checkpoint import Checkpoints
from training.data import Loaded, Photos
from training.findings import Answers, Findings, Trial
from training.networks import describe
from training.recipe import Plan, Recipe
from training.run_folder import RunFolder
from training.trainer import Trainer
from training.veil import veil_all

_BATCH = 64
_AUGMENTED_PHOTOS, _AUGMENTED_EPOCHS = 4, 6


@dataclass(frozen=True)
class Planned:
    """One network to train: the name of its trial, its plan and its seed."""

    title: str
    plan: Plan
    seed: int


def planned(recipe: Recipe) -> list[Planned]:
    """All networks of a recipe: the one that is published first, and the baseline last."""
    seeds = range(recipe.seed, recipe.seed + recipe.seeds)
    ours = [Planned(f"seed-{seed}", recipe, seed) for seed in seeds]
    return ours + ([Planned("baseline", recipe.baseline, recipe.seed)] if recipe.baseline else [])


class Trials:
    """Trains and measures the networks of one run."""

    def __init__(self, run: RunFolder, recipe: Recipe, photos: Photos, labels: tuple[str, ...], weights: Path) -> None:
        """`weights` is the data root, under which the weights of a transfer lie."""
        self._run = run
        self._recipe = recipe
        self._photos = photos
        self._labels = labels
        self._weights = weights

    def train(self) -> None:
        """Train each network, as far as it is not trained yet."""
        for what in planned(self._recipe):
            splits = self._photos.splits(what.plan.input)
            self._trainer(what).train(splits["train"].samples, splits["validation"].samples)

    def network(self) -> Any:
        """The network to publish, as its best epoch left it: pixels to logits."""
        return self._trainer(planned(self._recipe)[0]).best_network()

    def findings(self) -> Findings:
        """How each network answers: the one that is published on all splits, the others where they are compared."""
        first, *others = planned(self._recipe)
        trials = [self._measure(first, get_args(Split)), *(self._measure(what, MEASURED) for what in others)]
        splits = self._photos.splits(self._recipe.input)
        shown = (lambda photos: photos) if self._recipe.data.share_photos else veil_all
        return Findings(
            recipe=self._recipe,
            labels=self._labels,
            trials=tuple(trials[: self._recipe.seeds]),
            baseline=trials[-1] if self._recipe.baseline else None,
            pixels=shown(splits["test"].samples.pixels),
            augmented=shown(augmented_samples(self._some(splits["train"]), self._recipe, _AUGMENTED_EPOCHS)),
        )

    def _some(self, loaded: Loaded) -> NDArray[np.uint8]:
        """A few photos of different labels, as far as there are."""
        firsts = np.unique(loaded.samples.labels, return_index=True)[1]
        return loaded.samples.pixels[np.resize(firsts, _AUGMENTED_PHOTOS)]

    def _measure(self, what: Planned, wanted: tuple[Split, ...]) -> Trial:
        """Calibrate a network on the validation split, and see how it answers."""
        network, splits = self._trainer(what).best_network(), self._photos.splits(what.plan.input)
        logits = {split: predict(network, splits[split].samples.pixels) for split in wanted}
        temperature = fit_temperature(logits["validation"], splits["validation"].samples.labels)
        answers = {split: _answers(splits[split], logits[split], temperature) for split in wanted}
        validation = answers["validation"]
        threshold = fit_threshold(validation.scores, validation.labels, self._recipe.calibration.precision)
        return Trial(
            plan=what.plan,
            seed=what.seed,
            network=describe(what.plan.network),
            parameters=network.count_params(),
            progress=Checkpoints(self._run.trial(what.title, what.plan).checkpoints).progress(),
            temperature=temperature,
            threshold=threshold,
            answers=answers,
            figures={
                split: split_figures(answers[split].scores, answers[split].labels, threshold) for split in MEASURED
            },
        )

    def _trainer(self, what: Planned) -> Trainer:
        return Trainer(self._run.trial(what.title, what.plan), what.plan, what.seed, len(self._labels), self._weights)


def predict(network: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a Keras model answers to pixels, uint8 [N, H, W, C]: float32 [N, K]."""
    return np.asarray(network.predict(pixels, batch_size=_BATCH, verbose=0), np.float32)


def _answers(loaded: Loaded, logits: NDArray[np.float32], temperature: float) -> Answers:
    scores = softmax(logits, temperature).astype(np.float32)
    return Answers(loaded.names, loaded.samples.labels, logits, scores)

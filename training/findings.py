"""What is known when all training of a run is over; its card and its report are made from nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artifact.card import Split, SplitFigures
from artifact.figures import Labels
from training.checkpoint import Progress
from training.recipe import Plan, Recipe


@dataclass(frozen=True)
class Answers:
    """How a network answers the photos of one split, in the split's order."""

    names: tuple[str, ...]
    labels: Labels
    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    """[N, K], calibrated: softmax(logits / temperature)."""


@dataclass(frozen=True)
class Trial:
    """One network that a run trained, by one plan and from one seed, and how it answers."""

    plan: Plan
    seed: int
    network: str
    parameters: int
    progress: Progress
    temperature: float
    threshold: float
    answers: dict[Split, Answers]
    figures: dict[Split, SplitFigures]


@dataclass(frozen=True)
class Findings:
    """All that a run found out; `trials` are one per seed, and the first of them is the model that is published."""

    recipe: Recipe
    labels: tuple[str, ...]
    trials: tuple[Trial, ...]
    baseline: Trial | None
    pixels: NDArray[np.uint8]
    """The test photos as the model sees them, [N, H, W, C]."""
    augmented: NDArray[np.uint8]
    """A few training photos, each as training saw it in several epochs: [photos, epochs, H, W, C]."""

    @property
    def published(self) -> Trial:
        """The trial whose network is published; which one it is was decided before training."""
        return self.trials[0]

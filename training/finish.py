"""The end of a run: the best epoch becomes a calibrated model, is measured, and gets its card."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.card import RunCard, Split, SplitFigures, TrainingData, Weights
from artifact.digest import digest_files
from artifact.figures import calibration_error, confusion_matrix, fit_threshold, label_figures, split_figures
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.pixels import decode
from artifact.samples import Samples
from training import report
from training.calibration import fit_temperature, softmax
from training.checkpoint import Checkpoints
from training.data import Dataset, digest_samples, first_of_each_label
from training.networks import calibrated
from training.recipe import Recipe
from training.run_folder import DIGESTED_FILES, MODEL_FILE, RunFolder, write_whole
from training.trainer import best_network

MEASURED: tuple[Split, ...] = ("validation", "test")
_BATCH = 256
_GOLDEN_PER_LABEL = 3


@dataclass(frozen=True)
class Trained:
    """The calibrated model of a run's best epoch, and how it answers; `scores` are those of the test split."""

    model: Any
    temperature: float
    threshold: float
    figures: dict[Split, SplitFigures]
    errors: dict[Split, dict[str, float]]
    scores: NDArray[np.float32]


def finish(run: RunFolder, recipe: Recipe, dataset: Dataset, splits: Mapping[Split, Samples]) -> RunCard:
    """Turn a trained run into a finished one; doing it again gives the same."""
    run.card.unlink(missing_ok=True)  # until all is written again, the run is unfinished
    trained = _calibrate(best_network(run, recipe, len(dataset.labels)), splits, recipe.calibration.precision)
    trained.model.save(run.path / MODEL_FILE)
    _golden_samples(dataset, recipe, trained.model).save(run.path / GOLDEN_FILE)
    _report(run, trained, splits["test"].labels, dataset.labels)
    card = RunCard(
        name=recipe.name,
        description=recipe.description,
        created=datetime.now(UTC).replace(microsecond=0),
        labels=dataset.labels,
        input=recipe.input,
        temperature=trained.temperature,
        accept_threshold=trained.threshold,
        figures=trained.figures,
        data=_training_data(recipe, dataset, splits),
        weights=_weights(recipe, trained.model),
        code_revision=run.revision,
        files=digest_files(run.path, DIGESTED_FILES),
    )
    write_whole(run.card, card.to_json())
    return card


def _calibrate(network: Any, splits: Mapping[Split, Samples], precision: float) -> Trained:
    """Fit temperature and threshold on the validation split, and measure both splits with them."""
    labels = {split: splits[split].labels for split in MEASURED}
    logits = {split: predict(network, splits[split].pixels) for split in MEASURED}
    temperature = fit_temperature(logits["validation"], labels["validation"])
    model = calibrated(network, temperature)
    scores = {split: predict(model, splits[split].pixels) for split in MEASURED}
    threshold = fit_threshold(scores["validation"], labels["validation"], precision)
    figures = {split: split_figures(scores[split], labels[split], threshold) for split in MEASURED}
    errors = {
        split: {
            "before": calibration_error(softmax(logits[split]), labels[split]),
            "after": figures[split].calibration_error,
        }
        for split in MEASURED
    }
    return Trained(model, temperature, threshold, figures, errors, scores["test"])


def predict(model: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a Keras model answers to pixels, uint8 [N, H, W, C]: float32 [N, K]."""
    return np.asarray(model.predict(pixels, batch_size=_BATCH, verbose=0), np.float32)


def _golden_samples(dataset: Dataset, recipe: Recipe, model: Any) -> GoldenSamples:
    """A few validation photos of each label, and the model's scores."""
    photos = first_of_each_label(dataset, "validation", _GOLDEN_PER_LABEL)
    pixels = np.stack([decode(photo.data, recipe.input) for photo in photos])
    return GoldenSamples(tuple(photo.data for photo in photos), pixels, predict(model, pixels))


def _report(run: RunFolder, trained: Trained, labels: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Write all files of the report; `labels` are the test split's."""
    progress, confusion = Checkpoints(run.checkpoints).progress(), confusion_matrix(trained.scores, labels)
    metrics = {
        "figures": {split: figures.model_dump() for split, figures in trained.figures.items()},
        "calibration": {"temperature": trained.temperature, "calibration_error": trained.errors},
        "test": {"labels": label_figures(confusion, names), "confusion": confusion.tolist()},
    }
    report.write_metrics(run, metrics, progress)
    report.write_history(run, progress)  # the last epoch may have been saved just before a kill
    report.write_predictions(run, trained.scores, labels)
    report.draw_curves(run, progress)
    report.draw_confusion(run, confusion, names)


def _training_data(recipe: Recipe, dataset: Dataset, splits: Mapping[Split, Samples]) -> TrainingData:
    return TrainingData(
        name=recipe.data.folder or recipe.data.source,
        source=dataset.source,
        licence=dataset.licence,
        digest=digest_samples(splits.values()),
        counts={split: len(samples.labels) for split, samples in splits.items()},
    )


def _weights(recipe: Recipe, model: Any) -> Weights:
    widths, blocks = recipe.network.widths, recipe.network.blocks
    return Weights(
        network=f"{model.name}, widths {'-'.join(map(str, widths))}, blocks {'-'.join(map(str, blocks))}",
        parameters=model.count_params(),
        initial=f"random, seed {recipe.seed}",
        licence="Apache-2.0",
    )

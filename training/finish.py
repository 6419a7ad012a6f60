"""The end of a run: the best epoch becomes a calibrated model, is measured, and gets its card."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.card import RunCard, Split, SplitFigures, TrainingData, Weights, digest_files
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.pixels import decode
from training import report
from training.calibration import fit_temperature, fit_threshold, softmax
from training.checkpoint import Checkpoints, Progress
from training.data import Dataset, Samples, digest_samples, first_of_each_label
from training.figures import calibration_error, confusion_matrix, split_figures
from training.networks import calibrated
from training.recipe import Recipe
from training.revision import code_revision
from training.run_folder import DIGESTED_FILES, MODEL_FILE, RunFolder, write_whole
from training.trainer import best_network

MEASURED: tuple[Split, ...] = ("validation", "test")
_BATCH = 256
_GOLDEN_PER_LABEL = 3


def finish(run: RunFolder, recipe: Recipe, dataset: Dataset, splits: Mapping[Split, Samples]) -> RunCard:
    """Turn a trained run into a finished one; doing it again gives the same."""
    progress = Checkpoints(run.checkpoints).progress()
    network = best_network(run, recipe, len(dataset.labels))
    logits = {split: predict(network, splits[split].pixels) for split in MEASURED}
    temperature = fit_temperature(logits["validation"], splits["validation"].labels)
    model = calibrated(network, temperature)
    scores = {split: predict(model, splits[split].pixels) for split in MEASURED}
    threshold = fit_threshold(scores["validation"], splits["validation"].labels, recipe.calibration.precision)
    figures = {split: split_figures(scores[split], splits[split].labels, threshold) for split in MEASURED}

    model.save(run.path / MODEL_FILE)
    _golden_samples(dataset, recipe, model).save(run.path / GOLDEN_FILE)
    calibration = {"temperature": temperature, "calibration_error": _errors(logits, scores, splits)}
    _report(run, progress, figures, calibration, scores["test"], splits["test"].labels, dataset.labels)
    card = RunCard(
        name=recipe.name,
        description=recipe.description,
        created=datetime.now(UTC).replace(microsecond=0),
        labels=dataset.labels,
        input=recipe.input,
        temperature=temperature,
        accept_threshold=threshold,
        figures=figures,
        data=_training_data(recipe, dataset, splits),
        weights=_weights(recipe, model),
        code_revision=code_revision(),
        files=digest_files(run.path, DIGESTED_FILES),
    )
    write_whole(run.card, card.to_json())
    return card


def predict(model: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a Keras model answers to pixels, uint8 [N, H, W, C]: float32 [N, K]."""
    return np.asarray(model.predict(pixels, batch_size=_BATCH, verbose=0), np.float32)


def _golden_samples(dataset: Dataset, recipe: Recipe, model: Any) -> GoldenSamples:
    """A few validation photos of each label, and the model's scores."""
    photos = first_of_each_label(dataset, "validation", _GOLDEN_PER_LABEL)
    pixels = np.stack([decode(photo.data, recipe.input) for photo in photos])
    return GoldenSamples(tuple(photo.data for photo in photos), pixels, predict(model, pixels))


def _errors(
    logits: Mapping[Split, NDArray[np.float32]],
    scores: Mapping[Split, NDArray[np.float32]],
    splits: Mapping[Split, Samples],
) -> dict[str, dict[str, float]]:
    """The calibration error of each measured split, before and after the temperature."""
    return {
        split: {
            "before": calibration_error(softmax(logits[split]), splits[split].labels),
            "after": calibration_error(scores[split], splits[split].labels),
        }
        for split in MEASURED
    }


def _report(
    run: RunFolder,
    progress: Progress,
    figures: dict[Split, SplitFigures],
    calibration: dict[str, Any],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: tuple[str, ...],
) -> None:
    """Write the report's files but history.csv, which stands already; scores and labels are the test split's."""
    report.write_metrics(run, progress, figures, calibration, report.label_report(scores, labels, names))
    report.write_predictions(run, scores, labels)
    report.draw_curves(run, progress)
    report.draw_confusion(run, confusion_matrix(scores, labels), names)


def _training_data(recipe: Recipe, dataset: Dataset, splits: Mapping[Split, Samples]) -> TrainingData:
    return TrainingData(
        name=recipe.data.folder or recipe.data.source,
        source=dataset.source,
        licence=dataset.licence,
        digest=digest_samples(splits.values()),
        counts={split: len(samples.labels) for split, samples in splits.items()},
    )


def _weights(recipe: Recipe, model: Any) -> Weights:
    return Weights(
        network=model.name,
        parameters=model.count_params(),
        initial=f"random, seed {recipe.seed}",
        licence="Apache-2.0",
    )

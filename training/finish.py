"""The end of a run: what was found becomes a model, its golden samples and a report, and the card that ends it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from artifact.card import RunCard, Split, TrainingData, Weights
from artifact.digest import digest_files
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.pixels import decode
from artifact.samples import MEASURED, RunSamples
from training.auditor import audit
from training.data import Dataset, Loaded, digest_samples, first_of_each_label
from training.findings import Findings
from training.networks import calibrated
from training.origin import Origin, hardware, tools
from training.png import as_png
from training.recipe import Recipe
from training.report import write_report
from training.run_folder import DIGESTED_FILES, MODEL_FILE, SCORES_FILE, RunFolder, write_whole
from training.transfer import initial_weights
from training.trials import predict
from training.veil import veil

_GOLDEN_PER_LABEL = 3
_CALIBRATION_PHOTOS = 512


def finish(
    run: RunFolder, findings: Findings, network: Any, dataset: Dataset, splits: Mapping[Split, Loaded], weights: Path
) -> RunCard:
    """Turn a trained run into a finished one; doing it again gives the same."""
    run.card.unlink(missing_ok=True)  # until all is written again, the run is unfinished
    recipe, ours = findings.recipe, findings.published
    model = calibrated(network, ours.temperature)
    model.save(run.path / MODEL_FILE)
    _golden_samples(dataset, recipe, model).save(run.path / GOLDEN_FILE)
    _run_samples(splits, recipe.seed).save(run.path)
    _save_scores(run, findings)
    write_report(run.report, findings, _origin(run, dataset, splits), audit(dataset))
    card = RunCard(
        name=recipe.name,
        description=recipe.description,
        created=datetime.now(UTC).replace(microsecond=0),
        labels=findings.labels,
        input=recipe.input,
        temperature=ours.temperature,
        accept_threshold=ours.threshold,
        accept_precision=recipe.calibration.precision,
        figures=ours.figures,
        data=_training_data(recipe, dataset, splits),
        weights=_weights(findings, weights),
        code_revision=run.revision,
        files=digest_files(run.path, DIGESTED_FILES),
    )
    write_whole(run.card, card.to_json())
    return card


def _origin(run: RunFolder, dataset: Dataset, splits: Mapping[Split, Loaded]) -> Origin:
    return Origin(
        revision=run.revision,
        source=dataset.source,
        licence=dataset.licence,
        skipped=tuple(name for loaded in splits.values() for name in loaded.skipped),
        hardware=hardware(),
        tools=tools(),
    )


def _golden_samples(dataset: Dataset, recipe: Recipe, model: Any) -> GoldenSamples:
    """A few validation photos of each label, and the model's scores."""
    images = [photo.data for photo in first_of_each_label(dataset, "validation", _GOLDEN_PER_LABEL)]
    if not recipe.data.share_photos:
        images = [as_png(veil(decode(image, recipe.input))) for image in images]
    pixels = np.stack([decode(image, recipe.input) for image in images])
    return GoldenSamples(tuple(images), pixels, predict(model, pixels))


def _run_samples(splits: Mapping[Split, Loaded], seed: int) -> RunSamples:
    """What export measures and quantises with; of the training photos, some that are drawn by the seed."""
    pixels = splits["train"].samples.pixels
    chosen = np.random.default_rng(seed).permutation(len(pixels))[:_CALIBRATION_PHOTOS]
    return RunSamples(pixels[np.sort(chosen)], {split: splits[split].samples for split in MEASURED})


def _save_scores(run: RunFolder, findings: Findings) -> None:
    """Keep every answer, of all splits, for whoever looks for wrong labels."""
    arrays: dict[str, Any] = {
        f"{split}_{field}": np.asarray(getattr(answers, field))
        for split, answers in findings.published.answers.items()
        for field in ("names", "labels", "scores")
    }
    np.savez_compressed(run.path / SCORES_FILE, **arrays)


def _training_data(recipe: Recipe, dataset: Dataset, splits: Mapping[Split, Loaded]) -> TrainingData:
    return TrainingData(
        name=recipe.data.folder or recipe.data.source,
        source=dataset.source,
        licence=dataset.licence,
        digest=digest_samples(loaded.samples for loaded in splits.values()),
        counts={split: len(loaded.names) for split, loaded in splits.items()},
    )


def _weights(findings: Findings, root: Path) -> Weights:
    section, seed = findings.recipe.network, findings.published.seed
    begun = initial_weights(section, root) if section.kind == "transfer" else "random"
    return Weights(
        network=findings.published.network,
        parameters=findings.published.parameters,
        initial=f"{begun}, seed {seed}",
        licence=section.licence if section.kind == "transfer" else "Apache-2.0",
    )

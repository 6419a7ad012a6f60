"""The models that come with Hangtag, held to what their cards promise."""

from pathlib import Path

import numpy as np
import pytest

from artifact.repository import Repository
from artifact.session import Session
from export.verify import TOLERANCE, check_pixels, largest_difference
from support import ROOT
from training.data import load_samples
from training.fashion_mnist import FashionMnist

MODELS = Repository(ROOT / "models")


@pytest.mark.parametrize("name", MODELS.names())
def test_a_published_model_still_answers_its_golden_samples(name: str):
    artifact = MODELS.open(name, MODELS.versions(name)[-1])
    check_pixels(artifact.golden, artifact.card.input)
    session = Session(artifact.model, artifact.card)
    if artifact.card.export.precision == "float32":
        assert largest_difference(session.run, artifact.golden) <= TOLERANCE
    else:
        artifact.golden.verify(session.run, artifact.card.input, tolerance=artifact.card.export.golden_tolerance)


def test_fashion_mnist_is_right_on_94_of_100_real_test_photos_as_keras_was(real_root: Path):
    version = MODELS.versions("fashion-mnist")[-1]
    artifact = MODELS.open("fashion-mnist", version)
    samples = load_samples(FashionMnist(real_root), "test", artifact.card.input).samples
    session = Session(artifact.model, artifact.card, threads=2)
    scores = np.concatenate([session.run(pixels) for pixels in np.split(samples.pixels, 50)])
    with np.load(ROOT / "models" / "fashion-mnist" / version / "report" / "predictions.npz") as keras:
        assert np.array_equal(keras["labels"], samples.labels)
        assert np.abs(scores - keras["scores"]).max() <= TOLERANCE
        assert np.array_equal(scores.argmax(axis=1), keras["scores"].argmax(axis=1))
    accuracy = np.mean(scores.argmax(axis=1) == samples.labels)
    assert accuracy == artifact.card.figures["test"].accuracy >= 0.94

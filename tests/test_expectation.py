"""What is expected of a version comes from its own answers to the test photos, and stands in the metrics."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from artifact.errors import ArtifactError
from artifact.expectation import Expectation
from artifact.repository import Repository
from support import LABELS, ROOT, Service, card, publish

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0]])


def test_shares_and_confidence_are_those_of_the_answers_to_the_test_photos(tmp_path: Path):
    publish(tmp_path, predictions=SCORES)
    assert Repository(tmp_path).open("tiny", "1").expectation == Expectation(
        labels={"dark": 0.75, "middle": 0.25, "light": 0.0}, confidence=0.85, accepted=1.0
    )


def test_a_version_without_answers_to_test_photos_is_loaded_and_nothing_is_expected(service: Service):
    assert service.metric("hangtag_model_ready", model_name="tiny") == 1
    assert "hangtag_expected_confidence{" not in httpx.get(f"{service.url}/metrics").text


def test_nothing_is_expected_where_no_photos_were_held_out(tmp_path: Path):
    [figures] = card().figures.values()
    publish(tmp_path, card().model_copy(update={"figures": {"validation": figures}}), predictions=SCORES)
    assert Repository(tmp_path).open("tiny", "1").expectation is None


@pytest.mark.parametrize("scores", [SCORES[:, :2], SCORES[:0], SCORES[0], np.array([["dark"] * 3])])
def test_answers_of_another_model_are_refused(tmp_path: Path, scores: np.ndarray):
    publish(tmp_path, predictions=scores)
    with pytest.raises(ArtifactError, match="does not hold scores of tiny 1"):
        Repository(tmp_path).open("tiny", "1")


def test_a_file_that_holds_no_arrays_is_refused():
    with pytest.raises(ArtifactError, match="publish the version anew"):
        Expectation.read(b"no arrays", card())


def test_the_service_exports_what_it_expects_when_a_version_is_loaded(tmp_path: Path):
    publish(tmp_path, predictions=SCORES)
    with Service(tmp_path) as running:
        shares = {label: running.metric("hangtag_expected_predictions_ratio", label=label) for label in LABELS}
        assert shares == {"dark": 0.75, "middle": 0.25, "light": 0.0}
        assert running.metric("hangtag_expected_confidence", model_version="1") == pytest.approx(0.85)
        assert running.metric("hangtag_expected_accepted_ratio", model_version="1") == 1.0


def test_every_model_that_comes_with_hangtag_says_what_to_expect():
    repository = Repository(ROOT / "models")
    for name in repository.names():
        found = repository.open(name, repository.versions(name)[-1]).expectation
        assert found is not None
        assert sum(found.labels.values()) == pytest.approx(1)
        assert 0.5 < found.confidence < 1

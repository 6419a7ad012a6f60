"""Each family of networks, tiny and with random weights, from photos to an answer over HTTP."""

from pathlib import Path

import keras
import numpy as np
import pytest

import hangtag
from artifact.card import InputSpec, Resize
from artifact.errors import DataError, RecipeError
from drawn import write_transfer
from support import Service
from training.networks import build_network
from training.recipe import TransferNetwork
from training.transfer import as_pretrained, set_trainable

SPEC = InputSpec(height=32, width=32, channels=3, resize=Resize(fit="pad"))
BACKBONES = (
    "MobileNetV2",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("VGG16", "ResNet50", "EfficientNetB0")),
)


def transfer(**options: object) -> TransferNetwork:
    return TransferNetwork(
        kind="transfer", **{"backbone": "MobileNetV2", "alpha": 0.35, "weights": "random", **options}
    )


def recipe_of(backbone: str, folder: Path) -> Path:
    """A recipe that trains the head of a backbone for one epoch; fine-tuning is tried in the tests of training."""
    folder.mkdir()
    changes = {"weights": '"random"\nfrozen = true', "epochs": "1", "batch": "32", "zoom": "0.0"}
    path = write_transfer(folder, name=f'"{backbone.lower()}"', backbone=f'"{backbone}"', **changes)
    path.write_text(path.read_text().replace("head = { epochs = 2, rate = 0.01 }\n", "").replace("alpha = 0.35\n", ""))
    return path


@pytest.mark.parametrize("backbone", BACKBONES)
def test_each_backbone_answers_over_http(backbone: str, drawn_root: Path, tmp_path: Path):
    recipe, runs, models = recipe_of(backbone, tmp_path / "recipe"), tmp_path / "runs", tmp_path / "models"
    assert hangtag.main(["train", str(recipe), "--data", str(drawn_root), "--runs", str(runs)]) == 0
    [run] = runs.iterdir()
    assert hangtag.main(["export", str(run), "--models", str(models)]) == 0
    with Service(models) as service:
        answer = service.classify((drawn_root / "drawn" / "red" / "000.png").read_bytes(), backbone.lower())
    assert answer.status_code == 200
    assert {prediction["label"] for prediction in answer.json()["predictions"]} == {"blue", "green", "red"}


def test_weights_from_a_file_are_those_of_the_file(tmp_path: Path):
    keras.utils.set_random_seed(1)
    given = build_network(transfer(), SPEC, 3).get_layer("backbone")
    given.save_weights(tmp_path / "given.weights.h5")
    keras.utils.set_random_seed(2)
    loaded = build_network(transfer(weights="given.weights.h5"), SPEC, 3, tmp_path).get_layer("backbone")
    for one, other in zip(given.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path):
    build_network(transfer(alpha=0.5), SPEC, 3).get_layer("backbone").save_weights(tmp_path / "half.weights.h5")
    with pytest.raises(RecipeError, match=r"half\.weights\.h5 does not hold the weights of MobileNetV2 of alpha 0\.35"):
        build_network(transfer(weights="half.weights.h5"), SPEC, 3, tmp_path)


def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path: Path):
    (tmp_path / "no.weights.h5").write_bytes(b"no weights")
    with pytest.raises(RecipeError, match=r"no\.weights\.h5 does not hold the weights"):
        build_network(transfer(weights="no.weights.h5"), SPEC, 3, tmp_path)


def test_missing_weights_are_answered_with_where_they_should_be(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"There are no weights .*gone\.weights\.h5; put the file there, or .*`imagenet`"
    ):
        build_network(transfer(weights="gone.weights.h5"), SPEC, 3, tmp_path)


@pytest.mark.parametrize("change", [{"height": 31}, {"channels": 1}], ids=["too small", "grey"])
def test_an_input_that_a_backbone_cannot_take_is_refused(change: dict[str, int]):
    with pytest.raises(RecipeError, match="takes 3 channels and at least 32 pixels each way"):
        build_network(transfer(), SPEC.model_copy(update=change), 3)


def test_fine_tuning_leaves_the_backbones_batch_norm_as_it_was():
    network = build_network(transfer(dense=(4,)), SPEC, 3)
    set_trainable(network, backbone=False)
    head = {variable.path for variable in network.trainable_variables}
    assert not any("backbone" in path for path in head)
    assert any("gamma" in path for path in head)  # the head's own batch norm learns
    set_trainable(network, backbone=True)
    thawed = {variable.path for variable in network.trainable_variables} - head
    assert thawed
    assert not any("gamma" in path or "beta" in path for path in thawed)


@pytest.mark.parametrize(
    ("backbone", "blue"), [("MobileNetV2", (-1.0, -1.0, 1.0)), ("VGG16", (151.061, -116.779, -123.68))]
)
def test_pixels_reach_a_backbone_as_it_was_trained(backbone: str, blue: tuple[float, float, float]):
    pixels = np.zeros((1, 32, 32, 3), np.float32)
    pixels[..., 2] = 255
    image = keras.Input(SPEC.shape)
    prepared = keras.Model(image, as_pretrained(backbone, image))(pixels)
    assert np.asarray(prepared)[0, 0, 0] == pytest.approx(blue, abs=1e-3)

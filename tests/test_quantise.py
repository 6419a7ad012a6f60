"""INT8: published where it loses next to nothing, refused where it would lose more, and served like any other."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime as ort
import pytest

import hangtag
from artifact.card import RunCard
from artifact.digest import digest_files
from artifact.errors import DataError, ExportError
from artifact.golden import GoldenSamples
from artifact.repository import Repository
from artifact.samples import RunSamples, Samples
from artifact.session import Session, session_options
from benchmarks.accuracy import _kept
from drawn import draw_dataset
from export.bias import shift
from export.loss import measure
from export.publish import publish
from export.quantise import quantise
from graphs import SPEC, graph
from support import Service
from training.data import Photo


@pytest.fixture(scope="module")
def models(drawn_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the drawn model, float and then INT8."""
    root = tmp_path_factory.mktemp("int8")
    for options in ([], ["--int8"]):
        assert hangtag.main(["export", str(drawn_run), "--models", str(root), *options]) == 0
    return root


def test_an_int8_version_says_what_it_lost(models: Path):
    exact, quantised = (Repository(models).open("drawn", version).card for version in ("1", "2"))
    assert (exact.export.precision, exact.export.quantised) == ("float32", None)
    assert quantised.export.precision == "int8"
    assert quantised.export.quantised is not None
    assert quantised.export.quantised.agreement == 1
    assert quantised.export.quantised.photos == 96
    assert quantised.figures["test"].accuracy == exact.figures["test"].accuracy == 1
    assert quantised.export.model_bytes is not None
    assert exact.export.golden_tolerance == 1e-3
    assert 0.01 <= quantised.export.golden_tolerance <= 0.2


def test_its_convolutions_are_in_8_bits_and_its_head_is_not(models: Path):
    artifact = Repository(models).open("drawn", "2")
    scores = Session(artifact.model, artifact.card).run(artifact.golden.pixels)
    exact = Repository(models).open("drawn", "1").golden.scores
    assert 0 < np.abs(scores - exact).max() < 0.2
    assert np.array_equal(scores.argmax(1), exact.argmax(1))
    assert b"DequantizeLinear" in artifact.model


def test_what_turns_pixels_into_numbers_stays_float(models: Path):
    network = onnx.load(models / "drawn" / "2" / "model.onnx").graph
    from_8_bits = {name for node in network.node if node.op_type == "DequantizeLinear" for name in node.output}
    in_floats = {node.op_type for node in network.node if from_8_bits.isdisjoint(node.input)}
    assert in_floats >= {"Cast", "Mul", "Add", "Softmax"}


def test_nothing_is_left_in_the_file_that_no_node_uses(models: Path):
    network = onnx.load(models / "drawn" / "2" / "model.onnx").graph
    assert {value.name for value in network.initializer} <= {name for node in network.node for name in node.input}


def test_a_network_without_convolutions_is_refused():
    with pytest.raises(ExportError, match="no convolutions, and only those are put in 8 bits"):
        quantise(graph(), np.zeros((1, *SPEC.shape), np.uint8))


def test_exact_sums_and_those_of_vnni_are_the_same(models: Path):
    artifact = Repository(models).open("drawn", "2")
    options = session_options(is_vnni_known=False)
    exact = ort.InferenceSession(artifact.model, options, providers=["CPUExecutionProvider"])
    [scores] = exact.run(None, {"image": artifact.golden.pixels})
    assert np.array_equal(scores, Session(artifact.model, artifact.card).run(artifact.golden.pixels))


@pytest.fixture(scope="module")
def served(models: Path) -> Iterator[Service]:
    """A service whose newest version is the INT8 one."""
    with Service(models) as running:
        yield running


def test_the_biases_take_off_what_rounded_weights_add():
    random = np.random.default_rng(0)
    weights, image = random.normal(size=(6, 2, 3, 3)).astype(np.float32), random.random((1, 4, 3, 3), np.float32)
    image[:] = image.mean(axis=(2, 3), keepdims=True)
    step = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 127
    rounded = np.rint(weights / step) * step

    def convolved(kernel: np.ndarray) -> np.ndarray:
        halves = zip(np.split(kernel, 2), np.split(image[0], 2), strict=True)  # two groups
        return np.concatenate([(part * half).sum(axis=(1, 2, 3)) for part, half in halves])

    added = shift(weights, image.mean(axis=(0, 2, 3)))
    assert np.abs(convolved(rounded) - convolved(weights)).max() > 1e-3
    assert convolved(rounded) - added == pytest.approx(convolved(weights), abs=1e-5)


def test_the_service_serves_it(served: Service, drawn_root: Path):
    for label in ("blue", "green", "red"):
        answer = served.classify((drawn_root / "drawn" / label / "000.png").read_bytes(), "drawn")
        assert answer.json()["version"] == "2"
        assert answer.json()["predictions"][0]["label"] == label


def bench(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = hangtag.main(["bench", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def asked(served: Service, drawn_run: Path, data: Path, models: Path) -> list[str]:
    places = ["--url", served.url, "--data", str(data), "--models", str(models)]
    return ["accuracy", str(drawn_run / "recipe.toml"), *places]


def test_its_accuracy_over_http_is_shown_with_interval_and_accepted_share(
    served: Service, drawn_run: Path, drawn_root: Path, models: Path, capsys: pytest.CaptureFixture[str]
):
    code, text = bench(asked(served, drawn_run, drawn_root, models), capsys)
    assert code == 0, text
    assert "drawn 2 (int8)" in text
    assert "12 of 12 right, accuracy 1.0000 (95 % interval 0.7575 to 1.0000)" in text
    assert re.search(r"accepted: [01]\.\d+ at or over 0\.\d+, of which [01]\.\d+ right", text)
    assert "labels that differ from Keras: 0 of 12" in text


def test_a_version_that_is_not_in_service_or_not_in_the_repository_is_refused(
    served: Service, drawn_run: Path, drawn_root: Path, models: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = asked(served, drawn_run, drawn_root, models)
    assert bench([*arguments, "--version", "2"], capsys)[0] == 0
    code, text = bench([*arguments, "--version", "1"], capsys)
    assert code != 0
    assert "did not answer as it should" in text
    assert "404" in text
    code, text = bench([*arguments, "--version", "3"], capsys)
    assert code != 0
    assert "drawn/3/card.json cannot be read" in text


def test_photos_that_are_not_those_of_training_are_refused(
    served: Service, drawn_run: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code, text = bench(asked(served, drawn_run, draw_dataset(tmp_path, 20), models), capsys)
    assert code != 0
    assert "holds 12 answers, and 2 of the test photos here fit to them" in text


def test_answers_are_paired_with_the_photos_that_training_could_decode():
    photos = [Photo(b"", 0, f"root/blue/{name}.png") for name in ("a", "broken", "b")]
    assert _kept(photos, ["blue/a.png", "blue/b.png"]) == [photos[0], photos[2]]


def test_the_models_table_shows_what_was_asked_for(models: Path, capsys: pytest.CaptureFixture[str]):
    places = ["--models", str(models), "--rounds", "1"]
    code, text = bench(["models", *places], capsys)
    assert code == 0
    rows = [line.split()[:3] for line in text.splitlines()]
    assert rows == [["model", "version", "precision"], ["drawn", "1", "float32"], ["drawn", "2", "int8"]]
    assert text.count("100.00% of 12 (75.75% to 100.00%)") == 2
    code, text = bench(["models", "drawn/2", *places], capsys)
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [["drawn", "2"]]


def fragile_run(drawn_run: Path, folder: Path) -> Path:
    """A run whose network tells colours by what is a thousandth of another channel, and lost in 8 bits."""
    run = Path(shutil.copytree(drawn_run, folder / "run"))
    card, golden = RunCard.read(run), GoldenSamples.load(run / "golden.npz")
    pixels = keras.Input(card.input.shape)
    mixed = keras.layers.Conv2D(4, 1, name="mixed")(pixels)
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(mixed))
    model = keras.Model(pixels, keras.layers.Softmax()(keras.layers.Dense(3, name="head")(mean)))
    colours = np.hstack([np.eye(3) / 1000, np.full((3, 1), 100)])
    model.get_layer("mixed").set_weights([colours.reshape(1, 1, 3, 4), np.zeros(4)])
    red, green, blue = np.eye(3) * 300
    model.get_layer("head").set_weights(
        [np.vstack([np.stack([blue, green, red], axis=1), np.zeros((1, 3))]), np.zeros(3)]
    )
    model.save(run / "model.keras")
    replace(golden, scores=model.predict(golden.pixels, verbose=0)).save(run / "golden.npz")
    (run / "card.json").write_text(card.model_copy(update={"files": digest_files(run, card.files)}).to_json())
    return run


def test_a_model_that_loses_too_much_is_not_published(drawn_run: Path, tmp_path: Path):
    run, repository = fragile_run(drawn_run, tmp_path), Repository(tmp_path / "models")
    with pytest.raises(ExportError, match=r"In 8 bits the model gets \d+ more of 12 validation photos wrong .*--int8"):
        publish(run, repository, int8=True)
    assert not (tmp_path / "models").exists()
    publish(run, repository)
    assert repository.versions("drawn") == ["1"]


def test_what_is_allowed_to_be_lost_is_half_a_point_or_one_photo():
    pixels, labels = np.zeros((1000, 1, 1, 1), np.uint8), np.zeros(1000, np.int64)

    def lose(count: int, of: int) -> float:
        def answer(wrong: int):
            scores = np.tile(np.array([0.9, 0.1], np.float32), (of, 1))
            scores[:wrong] = scores[:wrong, ::-1]
            parts = iter(np.split(scores, range(32, of, 32)) * 2)
            return lambda _: next(parts)

        part = Samples(pixels[:of], labels[:of])
        samples = RunSamples(pixels[:8], {"validation": part, "test": part})
        return measure(answer(0), answer(count), samples, 0.9).quantised.accuracy_lost

    assert lose(5, 1000) == pytest.approx(0.005)
    assert lose(1, 20) == pytest.approx(0.05)
    for count, of in ((6, 1000), (2, 20)):
        with pytest.raises(ExportError, match=f"gets {count} more of {of} validation photos wrong"):
            lose(count, of)


def test_a_run_without_its_samples_says_how_to_get_them(tmp_path: Path):
    with pytest.raises(DataError, match=r"samples\.npz is not whole .*--resume"):
        RunSamples.load(tmp_path)

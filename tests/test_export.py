import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import hangtag
from artifact.card import RunCard
from artifact.digest import digest_files
from artifact.errors import DigestMismatch, ExportError, RecipeError
from artifact.golden import GoldenSamples
from artifact.repository import Repository
from artifact.session import CARD_KEY, Session
from export.convert import check_layout, convert
from export.publish import publish
from export.run import read_run


@pytest.fixture
def run(drawn_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to break."""
    return Path(shutil.copytree(drawn_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def exported(drawn_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("exported")
    assert hangtag.main(["export", str(drawn_run), "--models", str(models)]) == 0
    return models


def change_golden(run: Path, **changes: object) -> None:
    """Change the golden samples, and the card with them, as if training had written them so."""
    golden = GoldenSamples.load(run / "golden.npz")
    GoldenSamples(**vars(golden) | changes).save(run / "golden.npz")
    card = RunCard.read(run)
    (run / "card.json").write_text(card.model_copy(update={"files": digest_files(run, card.files)}).to_json())


def refused(run: Path, models: Path, kind: type[Exception], words: str) -> None:
    """Export refuses the run, and leaves the repository as it was."""
    with pytest.raises(kind, match=words):
        publish(run, Repository(models))
    assert not [path for path in models.rglob("*") if path.is_file()]


def test_the_exported_model_answers_as_keras_did_in_any_batch(drawn_run: Path, exported: Path):
    artifact = Repository(exported).open("drawn", "1")
    session = Session(artifact.model, artifact.card)
    with np.load(drawn_run / "report" / "predictions.npz") as predictions:
        expected = predictions["scores"]
    golden = artifact.golden
    assert golden.scores.shape[1] == expected.shape[1]
    for batch in (1, 2, len(golden.pixels)):
        scores = session.run(golden.pixels[:batch])
        assert np.abs(scores - golden.scores[:batch]).max() <= 1e-4


def test_the_published_card_is_the_runs_with_the_export_and_digests(drawn_run: Path, exported: Path):
    run, model = RunCard.read(drawn_run), Repository(exported).open("drawn", "1").card
    assert model.model_dump(exclude={"version", "export", "files"}) == run.model_dump(exclude={"files"})
    assert model.export.opset >= 17
    assert model.export.transposes <= 2
    assert model.export.max_abs_difference <= 1e-4
    assert model.files.keys() == (run.files.keys() - {"model.keras", "samples.npz"}) | {"model.onnx"}
    files = {str(path.relative_to(exported / "drawn" / "1")) for path in (exported / "drawn" / "1").rglob("*.*")}
    assert files == model.files.keys() | {"card.json"}


def test_the_onnx_file_carries_its_card(exported: Path):
    artifact = Repository(exported).open("drawn", "1")
    metadata = {prop.key: prop.value for prop in onnx.load_from_string(artifact.model).metadata_props}
    assert json.loads(metadata[CARD_KEY]) == json.loads(artifact.card.model_dump_json(exclude={"files"}))


def test_batch_normalisation_is_folded_into_the_convolutions(exported: Path):
    kinds = {node.op_type for node in onnx.load(exported / "drawn" / "1" / "model.onnx").graph.node}
    assert "Conv" in kinds
    assert "BatchNormalization" not in kinds


def test_each_export_is_a_new_version(drawn_run: Path, exported: Path, tmp_path: Path):
    shutil.copytree(exported, tmp_path / "models")
    folder, card = publish(drawn_run, Repository(tmp_path / "models"))
    assert (folder, card.version) == (tmp_path / "models" / "drawn" / "2", "2")
    assert Repository(tmp_path / "models").versions("drawn") == ["1", "2"]


def test_an_unfinished_run_is_refused(run: Path, tmp_path: Path):
    (run / "card.json").unlink()
    refused(run, tmp_path / "models", RecipeError, r"has no card.json, so it is no finished run; .* --resume")


def test_a_run_that_is_not_there_is_refused(tmp_path: Path):
    refused(tmp_path / "run", tmp_path / "models", RecipeError, "There is no folder")


def test_a_tampered_model_is_refused_before_it_is_loaded(run: Path, tmp_path: Path):
    with (run / "model.keras").open("ab") as file:
        file.write(b"x")
    refused(run, tmp_path / "models", DigestMismatch, r"model\.keras has the digest .* but its card says")


def test_a_missing_report_is_named(run: Path):
    (run / "report" / "metrics.json").unlink()
    with pytest.raises(DigestMismatch, match=r"metrics\.json cannot be read"):
        read_run(run)


def test_scores_that_differ_are_refused(run: Path, tmp_path: Path):
    scores = GoldenSamples.load(run / "golden.npz").scores
    change_golden(run, scores=scores + np.float32(2e-4))
    refused(run, tmp_path / "models", ExportError, r"At batch 1 .* differ .* by up to 0.0002; at most 1e-04 is allowed")


def test_scores_that_are_no_numbers_are_refused(run: Path, tmp_path: Path):
    change_golden(run, scores=np.full((9, 3), np.nan, np.float32))
    refused(run, tmp_path / "models", ExportError, "differ from the trained model's by up to nan")


def test_scores_of_another_number_of_labels_are_refused(run: Path, tmp_path: Path):
    change_golden(run, scores=np.zeros((9, 4), np.float32))
    refused(run, tmp_path / "models", ExportError, r"The golden scores are \(9, 4\), but the exported model's \(9, 3\)")


def test_pixels_that_decode_otherwise_than_in_training_are_refused(run: Path, tmp_path: Path):
    pixels = GoldenSamples.load(run / "golden.npz").pixels.copy()
    pixels[4, 0, 0, 0] ^= 1
    change_golden(run, pixels=pixels)
    refused(run, tmp_path / "models", ExportError, "Golden image 4 no longer decodes to the pixels that training saw")


def test_a_graph_of_another_shape_than_the_card_says_is_refused(drawn_run: Path):
    card = RunCard.read(drawn_run)
    wrong = card.model_copy(update={"labels": ("blue", "green")})
    with pytest.raises(ExportError, match=r"'scores': \('FLOAT', \['N', 3\]\).* but should have exactly .*\['N', 2\]"):
        convert(drawn_run / "model.keras", wrong)


def test_a_graph_that_turns_its_data_back_and_forth_is_refused():
    def graph(transposes: int) -> onnx.ModelProto:
        turns = [helper.make_node("Transpose", [f"x{n}"], [f"x{n + 1}"]) for n in range(transposes)]
        return helper.make_model(helper.make_graph(turns, "turns", [], []))

    check_layout(graph(2))
    with pytest.raises(ExportError, match="3 Transposes are left"):
        check_layout(graph(3))


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        hangtag.main(["export", "--help"])
    assert "hangtag export runs/" in capsys.readouterr().out

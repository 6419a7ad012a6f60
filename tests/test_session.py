"""The session answers the same whatever company an image is in, and runs where it was told to."""

import os
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from artifact.device import CPU, CUDA, available_cpus, batch_sizes, best_provider, has_vnni, providers
from artifact.errors import GoldenMismatch, ModelMismatch, ProviderUnavailable
from artifact.repository import Repository
from artifact.session import Session, session_options
from graphs import graph
from support import HANGTAG, ROOT, card, sealed


def every_model() -> list[tuple[Path, str]]:
    """Each model that is published here."""
    root = ROOT / "models"
    return [(root, name) for name in Repository(root).names()] if root.is_dir() else []


@pytest.mark.parametrize(("root", "name"), every_model())
def test_an_image_gets_the_same_scores_in_every_batch(root: Path, name: str):
    repository = Repository(root)
    artifact = repository.open(name, repository.versions(name)[-1])
    session = Session(artifact.model, artifact.card)
    pixels = artifact.golden.pixels
    alone = np.concatenate([session.run(image[np.newaxis]) for image in pixels])
    for size in (2, 3, 7, len(pixels)):
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        assert np.abs(np.concatenate([session.run(batch) for batch in batches]) - alone).max() < 1e-5
    turned = session.run(pixels[::-1])[::-1]
    assert np.abs(turned - alone).max() < 1e-5
    threaded = Session(artifact.model, artifact.card, threads=2).run(pixels)
    assert np.abs(threaded - alone).max() < 1e-5


@pytest.mark.parametrize(("root", "name"), every_model())
def test_a_published_model_answers_its_golden_samples_as_the_trained_one_did(root: Path, name: str):
    repository = Repository(root)
    artifact = repository.open(name, repository.versions(name)[-1])
    session = Session(artifact.model, artifact.card)
    tolerance = 1e-4 if artifact.card.export.precision == "float32" else artifact.card.export.golden_tolerance
    assert artifact.golden.verify(session.run, artifact.card.input, tolerance=tolerance) <= tolerance


def test_golden_samples_find_a_model_that_answers_otherwise(models: Path):
    artifact = Repository(models).open("tiny", "1")
    session = Session(artifact.model, artifact.card)
    artifact.golden.verify(session.run, artifact.card.input, tolerance=1e-6)
    with pytest.raises(GoldenMismatch, match="2 labels differ"):
        artifact.golden.verify(lambda pixels: session.run(pixels)[:, ::-1], artifact.card.input, tolerance=0.3)
    with pytest.raises(GoldenMismatch, match="0 labels differ"):
        artifact.golden.verify(lambda pixels: session.run(pixels) * 0.99, artifact.card.input, tolerance=1e-3)
    with pytest.raises(GoldenMismatch):
        artifact.golden.verify(lambda pixels: session.run(pixels) * np.nan, artifact.card.input, tolerance=2)


def test_the_provider_is_chosen_refused_and_fallen_back_from():
    assert best_provider("cpu", [CUDA, CPU]) == CPU
    assert best_provider("auto", [CUDA, CPU]) == CUDA
    assert best_provider("cuda", [CUDA, CPU]) == CUDA
    assert best_provider("auto", [CPU]) == CPU
    with pytest.raises(ProviderUnavailable, match="install onnxruntime-gpu"):
        best_provider("cuda", [CPU])
    assert [name for name, _ in providers(CPU)] == [CPU]
    assert [name for name, _ in providers(CUDA)] == [CUDA, CPU]
    assert "gpu_mem_limit" not in providers(CUDA)[0][1]
    assert providers(CUDA, 2**30)[0][1]["gpu_mem_limit"] == "1073741824"


def test_a_gpu_meets_few_sizes_of_batch_and_a_cpu_any():
    assert batch_sizes(CUDA, 1) == (1,)
    assert batch_sizes(CUDA, 8) == (1, 2, 4, 8)
    assert batch_sizes(CUDA, 24) == (1, 2, 4, 8, 16, 24)
    assert batch_sizes(CPU, 24) == ()


def test_a_batch_of_another_size_is_filled_up_and_its_scores_are_the_same(models: Path):
    artifact = Repository(models).open("tiny", "1")
    session, sizes = Session(artifact.model, artifact.card), []
    pixels = np.concatenate([artifact.golden.pixels] * 2)
    alone = [session.run(image[np.newaxis])[0] for image in pixels]

    class Spy:
        def run(self, outputs: list[str], inputs: dict[str, np.ndarray], options: None) -> list[np.ndarray]:
            sizes.append(len(inputs["image"]))
            return real.run(outputs, inputs, options)

    real, session._session, session.batch_sizes = session._session, Spy(), (1, 2, 4)
    session.warm_up()
    for count in (1, 2, 3, 4, 5):
        assert np.array_equal(session.run(pixels[:count]), alone[:count])
    assert sizes == [1, 2, 4, 1, 2, 4, 4, 5]


def test_threads_are_set_and_never_spin(models: Path):
    artifact = Repository(models).open("tiny", "1")
    session = Session(artifact.model, artifact.card, threads=3)
    options = session._session.get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.provider in onnxruntime.get_available_providers()


def test_8_bit_sums_are_trusted_where_the_processor_says_that_they_do_not_overflow(tmp_path: Path):
    cpu_info = tmp_path / "cpuinfo"
    assert not has_vnni(cpu_info)  # another system than Linux
    for flags, expected in (("avx512f avx512_vnni", True), ("avx2 avx_vnni", True), ("avx2 fma", False)):
        cpu_info.write_text(f"processor : 0\nflags : {flags}\n")
        assert has_vnni(cpu_info) is expected


def test_sums_are_exact_only_where_they_have_to_be():
    for is_known, expected in ((True, "0"), (False, "1")):
        options = session_options(is_vnni_known=is_known)
        assert options.get_session_config_entry("session.x64quantprecision") == expected


def test_onnxruntime_leaves_nothing_in_the_home_folder(tmp_path: Path):
    subprocess.run(
        [HANGTAG[0], "-c", "import artifact.session"], cwd=ROOT, env=os.environ | {"HOME": str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []


def test_only_the_cores_that_the_process_may_use_are_counted():
    program = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    program += "from artifact.device import available_cpus; print(available_cpus())"
    ran = subprocess.run([HANGTAG[0], "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "1\n"
    assert available_cpus() >= 1


def test_there_is_a_model_to_try():
    assert every_model()


@pytest.mark.parametrize("place", ["weights.bin", "../{name}/weights.bin", "{folder}/weights.bin"])
def test_weights_in_a_file_of_their_own_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    """No digest vouches for them, and onnxruntime would look for them wherever the service was started."""
    monkeypatch.chdir(tmp_path)
    model = graph()
    weights = model.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    where = weights.external_data.add()
    where.key, where.value = "location", place.format(name=tmp_path.name, folder=tmp_path)
    with pytest.raises(ModelMismatch, match="cannot load"):
        Session(sealed(model, card()), card())

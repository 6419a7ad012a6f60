"""On a Ray cluster a catalogue gets the rows that it gets here, whatever becomes of the nodes."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import hangtag
from artifact.cluster import connected
from artifact.errors import ClusterUnavailable, SourceNotFound
from artifact.repository import Repository
from catalog.actor import Labeller, received, sent
from catalog.classifier import Classifier
from catalog.listed import Listed
from catalog.listing import PART_SIZE
from graphs import graph, slow
from support import HANGTAG, PATIENCE, ROOT, eventually, png, publish

Catalogue = Callable[..., list[str]]
LONG = 3 * PATIENCE  # seconds: a Ray that starts on a busy machine takes many of them


@pytest.fixture
def catalogue(tmp_path: Path, models: Path) -> Catalogue:
    """Gives the arguments that label a manifest of so many photos, some of them broken, and the last one missing."""
    for shade in range(0, 250, 10):
        (tmp_path / f"{shade}.png").write_bytes(png(shade))
    (tmp_path / "10.png").write_bytes(b"broken")

    def of(count: int, out: str, *options: str, root: Path = models) -> list[str]:
        names = [f"{10 * number % 250}.png" for number in range(count - 1)]
        (tmp_path / "photos.csv").write_text("\n".join(["path", *names, "missing.png", ""]))
        source = str(tmp_path / "photos.csv")
        return [source, "--model", "tiny", "--models", str(root), "--out", str(tmp_path / out), *options]

    return of


@pytest.fixture
def ray_home() -> Iterator[dict[str, str]]:
    """The environment of a Ray that leaves nothing behind; its sockets' paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="ray") as home:
        yield {"HOME": home, "RAY_TMPDIR": home, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}


@pytest.fixture
def long_catalogue(
    catalogue: Catalogue, tmp_path: Path, ray_home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Catalogue:
    """The same for 12 parts and a slow model, where Ray is at home; `here.csv` is what this machine makes of it."""
    for name, value in ray_home.items():
        monkeypatch.setenv(name, value)
    publish(tmp_path / "models", model=graph(extra=slow(products=1, side=500)))
    of = partial(catalogue, 12 * PART_SIZE, root=tmp_path / "models")
    hangtag.main(["classify", *of("here.csv")])
    return of


def start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*HANGTAG, "classify", *arguments, "--engine", "ray"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def parts(out: Path) -> int:
    """How many parts of an output are written."""
    return len([*out.with_name(f"{out.name}.job").glob("parts/[0-9]*")])


def test_the_rows_of_a_cluster_are_those_of_this_machine(
    catalogue: Catalogue, tmp_path: Path, ray_home: dict[str, str]
):
    assert hangtag.main(["classify", *catalogue(PART_SIZE + 40, "here.jsonl")]) == 3
    running = start(catalogue(PART_SIZE + 40, "there.jsonl"), ray_home)
    said, complained = running.communicate(timeout=LONG)
    assert running.returncode == 3, complained
    assert f"{PART_SIZE + 40} photos by tiny 1" in said
    assert (tmp_path / "there.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()


def test_a_node_without_the_photos_stops_the_job(models: Path):
    classifier = Classifier(Repository(models).open("tiny", "1"))
    labeller = Labeller(lambda: classifier, "/nowhere/1.png")
    with pytest.raises(SourceNotFound, match=r"/nowhere/1\.png is not on the node"):
        [*received(labeller(sent(0, [Listed("1.png", "/nowhere/1.png")])))]


def test_a_cluster_that_does_not_answer_is_named(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]):
    options = ("--engine", "ray", "--address", "127.0.0.1:1")
    assert hangtag.main(["classify", *catalogue(9, "out.csv", *options)]) == 1
    assert "No Ray cluster answers at 127.0.0.1:1" in capsys.readouterr().err


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterUnavailable, match=r"pip install 'hangtag\[ray\]'"), connected("local"):
        pass


def test_a_gpu_is_none_of_an_actors_that_was_given_none(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]):
    assert hangtag.main(["classify", *catalogue(9, "out.csv", "--engine", "ray", "--device", "cuda")]) == 2
    assert "--gpus-per-actor" in capsys.readouterr().err


@pytest.mark.slow
def test_a_node_that_dies_in_mid_job_and_a_caller_that_does_take_no_row_along(
    long_catalogue: Catalogue, tmp_path: Path, ray_home: dict[str, str]
):
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - it reads the environment

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        _, node = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
        arguments = long_catalogue("there.csv", "--address", cluster.address)
        out = tmp_path / "there.csv"

        killed = start(arguments, ray_home)
        eventually(lambda: parts(out) > 0)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=LONG)
        done = parts(out)

        running = start(arguments, ray_home)
        eventually(lambda: parts(out) > done)
        cluster.remove_node(node, allow_graceful=False)
        assert not out.exists()
        _, complained = running.communicate(timeout=LONG)
    finally:
        cluster.shutdown()
    assert running.returncode == 3, complained
    assert out.read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.slow
def test_actors_with_a_quarter_of_a_gpu_each_share_it_and_give_the_same_rows(
    long_catalogue: Catalogue, tmp_path: Path, ray_home: dict[str, str]
):
    import ray  # noqa: PLC0415 - it reads the environment
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    # Ray counts the GPU that it is told of; where there is none, the actors' models run on the CPU.
    head = {"num_cpus": 8, "num_gpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=True, head_node_args=head)
    try:
        options = ("--address", cluster.address, "--gpus-per-actor", "0.25")
        running = start(long_catalogue("there.csv", *options), ray_home)
        eventually(lambda: ray.available_resources().get("GPU", 0) < 0.01)
        assert ray.available_resources()["CPU"] >= 4  # four actors, though there is room for eight
        _, complained = running.communicate(timeout=LONG)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert running.returncode == 3, complained
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()

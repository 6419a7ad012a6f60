"""`hangtag tune`: what it finds is noted beside the model, and believed by a service on a machine of the same kind."""

import json
from pathlib import Path

import pytest

import hangtag
from artifact.device import CPU, available_cpus
from artifact.tuning import TUNING_FILE, Machine, Measured
from benchmarks.tune import choose
from service.settings import Settings
from service.way import Way, way_to_run
from support import Service, png, publish


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version that was tuned, in a repository."""
    root = tmp_path_factory.mktemp("tuned")
    folder = publish(root)
    arguments = ["tiny", "--models", str(root), "--seconds", "0.5", "--plot", str(root / "tiny.png")]
    assert hangtag.main(["tune", *arguments]) == 0
    assert (root / "tiny.png").read_bytes().startswith(b"\x89PNG")
    return folder


def way(runners: int, max_batch: int, rate: float, p99: float) -> Measured:
    return Measured(runners=runners, threads=1, max_batch=max_batch, images_per_second=rate, p50_ms=1, p99_ms=p99)


def test_every_way_is_measured_and_the_choice_is_served(tuned: Path):
    noted = json.loads((tuned / TUNING_FILE).read_text())
    assert noted["chosen"] in noted["measured"]
    assert all(each["images_per_second"] > 0 for each in noted["measured"])
    assert len({(each["runners"], each["threads"], each["max_batch"]) for each in noted["measured"]}) >= 5
    chosen = noted["chosen"]
    with Service(tuned.parent.parent) as running:
        expected = f"{chosen['runners']} runners of {chosen['threads']} threads, batches to {chosen['max_batch']}"
        assert expected in running.log
        assert running.classify(png(0)).status_code == 200


def test_a_setting_wins_and_workers_share_the_runners(tuned: Path):
    chosen = Measured.model_validate(json.loads((tuned / TUNING_FILE).read_text())["chosen"])
    assert way_to_run(Settings(max_batch=3), tuned, CPU) == Way(
        chosen.runners, chosen.threads, 3, 1, max(1, chosen.runners - 1)
    )
    assert way_to_run(Settings(runners=5, threads=2), tuned, CPU) == Way(5, 2, chosen.max_batch, 1, background=4)
    assert way_to_run(Settings(workers=64), tuned, CPU).runners == 1
    other = chosen.threads + 1
    assert way_to_run(Settings(threads=other), tuned, CPU).runners == max(1, available_cpus() // other)


def test_only_on_a_cpu_do_photos_go_by_themselves_beside_more_urgent_ones_and_leave_these_a_runner(tmp_path: Path):
    cpu, gpu = [way_to_run(Settings(runners=3), tmp_path, provider) for provider in (CPU, "CUDAExecutionProvider")]
    assert (cpu.max_beside, cpu.max_batch, cpu.background) == (1, 4, 2)
    assert (gpu.max_beside, gpu.max_batch, gpu.background) == (32, 32, 3)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"machine": 1}'])
def test_what_cannot_be_understood_is_no_tuning(tmp_path: Path, content: str):
    (tmp_path / TUNING_FILE).write_text(content)
    assert way_to_run(Settings(), tmp_path, CPU) == Way(available_cpus(), 1, 4, 1, max(1, available_cpus() - 1))


def test_what_was_tuned_on_another_machine_is_not_believed(tuned: Path, tmp_path: Path):
    noted = json.loads((tuned / TUNING_FILE).read_text())
    noted["chosen"]["max_batch"] = 77
    (tmp_path / TUNING_FILE).write_text(json.dumps(noted))
    assert way_to_run(Settings(), tmp_path, CPU).max_batch == 77
    for key, value in (("processor", "another"), ("cores", 99), ("provider", "another"), ("onnxruntime", "0")):
        changed = noted | {"machine": noted["machine"] | {key: value}}
        (tmp_path / TUNING_FILE).write_text(json.dumps(changed))
        assert way_to_run(Settings(), tmp_path, CPU).max_batch == 4
    assert Machine.here(CPU).model_dump() == noted["machine"]


def test_of_the_fastest_the_one_with_the_shortest_tail_is_chosen():
    fast, as_fast, slow = way(2, 16, 100, 90), way(2, 2, 98, 12), way(1, 1, 80, 5)
    assert choose([fast, as_fast, slow]) is as_fast

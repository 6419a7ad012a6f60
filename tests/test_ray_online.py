"""The service on Ray Serve answers as it does by itself; all tests here share one local Ray."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from artifact.device import available_cpus
from artifact.rollout import Rollout
from support import CLASSIFY, PATIENCE, ROOT, Service, card, code, eventually, png, publish

pytestmark = pytest.mark.slow  # a Ray and its replicas take longer to start than most tests may take together
ONLINE = (sys.executable, str(ROOT / "deploy" / "ray" / "online.py"))


class OnRay(Service):
    """A local Ray with as many replicas as there are cores, two at most, in an environment of its own."""

    def __init__(self, models: Path, home: Path) -> None:
        self.mark = f"test-{uuid4()}"
        count = str(min(2, available_cpus()))
        super().__init__(
            models,
            *("--min-replicas", count, "--max-replicas", count, "--max-body-bytes", "200000"),
            environment={
                "HOME": str(home),
                "RAY_TMPDIR": str(home),
                "PYTHONPATH": str(ROOT),
                "HANGTAG_MARK": self.mark,
            },
            awaited=None,
            program=ONLINE,
        )

    def processes(self) -> list[str]:
        """What runs because of this service, wherever its parent is now."""
        running = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HANGTAG_MARK") == self.mark:
                    running.append(" ".join(process.cmdline()))
            except psutil.Error:  # it has ended meanwhile, or is somebody else's
                continue
        return running


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two versions of the tiny model, of which the first one is stable."""
    root = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        publish(root, card(version=version))
    Rollout(stable="1").write(root / "tiny")
    return root


@pytest.fixture(scope="module")
def online(shelf: Path) -> Iterator[OnRay]:
    with tempfile.TemporaryDirectory(prefix="ray") as home, OnRay(shelf, Path(home)) as running:
        yield running


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """What comes of options that are refused before there is any Ray."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*ONLINE, *options], capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
    )


def test_answers_on_ray_are_those_of_the_service_by_itself(online: OnRay, service: Service):
    for shade in (0, 128, 255):
        here, there = service.classify(png(shade)).json(), online.classify(png(shade)).json()
        assert {**here, "id": None} == {**there, "id": None}


def test_a_request_has_one_id_on_ray_and_refusals_are_problems(online: OnRay):
    answer = httpx.post(f"{online.url}{CLASSIFY}", content=png(1), headers={"X-Request-ID": "shop-7"}, timeout=PATIENCE)
    assert answer.headers.get_list("x-request-id") == ["shop-7"]
    assert answer.json()["id"] == "shop-7"
    assert code(online.classify(bytes(200_001))) == (413, "body_too_large")
    assert code(online.classify(b"no photo")) == (422, "image_type_unsupported")
    assert code(online.classify(png(0), model="none")) == (404, "model_not_found")


def test_a_client_that_hangs_up_on_ray_is_told_apart_from_a_failure(online: OnRay):
    held = online.begin(png(2))
    held.hang_up()
    line = online.wait_for("(.*client_gone.*)")
    assert "cancelled" in line
    assert "499" in line


def test_a_reload_reaches_every_replica(online: OnRay, shelf: Path):
    assert online.classify(png(0)).json()["version"] == "1"
    Rollout(stable="2").write(shelf / "tiny")
    online.signal(signal.SIGHUP)
    eventually(lambda: {online.classify(png(0)).json()["version"] for _ in range(20)} == {"2"})


def test_ray_is_not_started_for_options_that_are_wrong():
    refused = run("--host", "192.0.2.1")
    assert refused.returncode == 1
    assert "whoever reaches 192.0.2.1 could ask" in refused.stderr


def test_a_stop_on_ray_answers_what_was_let_in_and_leaves_no_process(online: OnRay):  # last: it ends the service
    with online.begin(png(255)) as held:
        online.signal(signal.SIGTERM)
        online.wait_for("(Removing)")
        status, answer = held.finish()
    assert status == 200
    assert answer["predictions"][0]["label"] == "light"
    assert online.wait() == 0
    eventually(lambda: not online.processes())

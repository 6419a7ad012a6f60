"""Clients that nobody here wrote ask a real service; they run in an environment of their own."""

import json
import subprocess
from typing import Any

import numpy as np
import pytest

from support import LABELS, PATIENCE, ROOT, Service, png

CLIENTS = ROOT / ".venv-clients" / "bin" / "python"


@pytest.fixture(scope="module")
def found(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each client made of the service."""
    if not CLIENTS.exists():
        pytest.skip("the clients are not installed; `make test` does that")
    photos = [tmp_path_factory.mktemp("photos") / name for name in ("dark.png", "light.png")]
    for photo, shade in zip(photos, (0, 255), strict=True):
        photo.write_bytes(png(shade))
    command = [CLIENTS, ROOT / "tests" / "foreign_clients.py", service.url, *photos]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("client", ["triton", "triton aio", "kserve"])
def test_every_way_to_ask_gets_the_scores_that_v1_gives(service: Service, found: dict[str, Any], client: str):
    right = []
    for shade in (0, 255):
        ranked = {p["label"]: p["score"] for p in service.classify(png(shade)).json()["predictions"]}
        right.append([ranked[label] for label in LABELS])
    assert len(found[client]["scores"]) >= 3
    for way, scores in found[client]["scores"].items():
        np.testing.assert_allclose(scores, right, atol=1e-6, err_msg=way)


def test_tritonclient_knows_what_there_is_and_how_it_is(found: dict[str, Any]):
    told = found["triton"]
    assert [told[what] for what in ("live", "ready", "model ready", "version ready")] == [True] * 4
    assert told["other ready"] is False
    assert told["server"] == "hangtag"
    assert [tensor["name"] for tensor in told["model"]["inputs"]] == ["image", "image_bytes"]
    assert told["index"] == [{"name": "tiny", "version": "1", "state": "READY", "reason": ""}]


def test_tritonclient_gets_its_id_its_classes_and_our_errors(found: dict[str, Any]):
    told = found["triton"]
    assert (told["answer"]["id"], told["answer"]["model_version"]) == ("7", "1")
    assert [best.split(":")[1:] for [best] in told["classes"]] == [["0", "dark"], ["2", "light"]]
    status, message = told["error"]
    assert status == "400"
    assert message == "Input 'image' has shape [1]; send [-1, 8, 8, 1], with 1 or more for -1."


def test_kserve_knows_how_it_is_and_gets_our_errors(found: dict[str, Any]):
    told = found["kserve"]
    assert [told[what] for what in ("live", "ready", "model ready", "other ready")] == [True, True, True, False]
    assert told["error"].startswith("The inputs are none; send exactly one, image or image_bytes., '400")

"""Starting, and failing to start, as an operator sees it."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import onnxruntime
import pytest

from graphs import graph, slow
from service.settings import Settings
from support import HANGTAG, PATIENCE, ROOT, Service, card, png, publish


def hangtag(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HANGTAG, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | environment,
    )


def test_a_signal_while_models_load_leaves_the_rest_unloaded(tmp_path: Path):
    for number in range(20):
        publish(tmp_path, card(name=f"slow{number}"), graph(extra=slow(products=2)))
    with Service(tmp_path, awaited=r"model slow0 (.*) is ready") as running:
        assert httpx.get(f"{running.url}/health/startup").status_code == 503
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    assert "of 20 models are ready" not in running.log


@pytest.mark.parametrize(
    ("file", "damaged", "reason"),
    [
        ("card.json", b'{"name": "broken"}', "labels: Field required"),
        ("model.onnx", b"another model", "model.onnx has the digest sha256:"),
    ],
)
def test_a_broken_model_is_named_and_leaves_the_others_in_service(
    tmp_path: Path, file: str, damaged: bytes, reason: str
):
    publish(tmp_path)
    broken = publish(tmp_path, card(name="broken"))
    (broken / file).write_bytes(damaged)
    with Service(tmp_path) as running:
        assert running.classify(png(0)).status_code == 200
        refused = running.classify(png(0), model="broken")
        assert (refused.status_code, refused.json()["code"]) == (503, "model_unavailable")
        assert running.metric("hangtag_rejected_total", model_name="broken", reason="model_unavailable") == 1
        assert running.metric("hangtag_model_ready", model_name="broken") == 0
        health = httpx.get(f"{running.url}/health/ready")
        assert (health.status_code, health.json()["status"]) == (503, "failed")
        assert health.json()["models"] == {"broken": "failed", "tiny": "ready"}
        assert httpx.get(f"{running.url}/health/startup").status_code == 200
        described = httpx.get(f"{running.url}/v1/models/broken").json()
        assert described["card"] is None
        assert reason in described["reason"]


def test_a_model_that_does_not_answer_as_it_was_trained_never_serves(tmp_path: Path):
    publish(tmp_path, model=graph(centres=(255, 128, 0)), trained=graph(centres=(0, 128, 255)))
    with Service(tmp_path) as running:
        assert running.classify(png(0)).json()["code"] == "model_unavailable"
        reason = httpx.get(f"{running.url}/v1/models/tiny").json()["reason"]
        assert "golden samples" in reason


def test_the_newest_version_is_served(tmp_path: Path):
    for version in ("9", "10"):
        publish(tmp_path, card(version=version))
    with Service(tmp_path) as running:
        assert running.classify(png(0)).json()["version"] == "10"


def test_an_empty_repository_is_refused_with_the_way_out(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        refused = hangtag("serve", "--models", folder, "--port", "0")
        assert refused.returncode == 1
        assert refused.stderr == (
            f"hangtag serve: {folder} holds no model ({folder}/<name>/<version>/card.json); "
            "publish one with `hangtag export`, or name another folder with --models or HANGTAG_MODELS.\n"
        )


def test_a_port_in_use_is_refused_and_its_owner_goes_on(service: Service, models: Path):
    port = str(httpx.URL(service.url).port)
    refused = hangtag("serve", "--models", models, "--port", port)
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken by another program" in refused.stderr
    assert service.classify(png(0)).status_code == 200


def test_an_address_that_is_not_ours_is_refused(models: Path):
    refused = hangtag("serve", "--models", models, "--host", "192.0.2.1", "--port", "0", "--anonymous")
    assert refused.returncode == 1
    assert "Cannot listen on 192.0.2.1" in refused.stderr


def test_a_setting_comes_from_the_environment_and_a_flag_wins(models: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        by_environment = hangtag("serve", HANGTAG_PORT=port, HANGTAG_MODELS=str(models))
        assert f"Port {port} on 127.0.0.1 is taken" in by_environment.stderr
        by_flag = hangtag("serve", "--port", port, HANGTAG_PORT="1", HANGTAG_MODELS=str(models))
        assert f"Port {port} on 127.0.0.1 is taken" in by_flag.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--port", "99999"], {}, "--port: Input should be less than or equal to 65535 (got '99999')"),
        ([], {"HANGTAG_PORT": "soon"}, "--port: Input should be a valid integer"),
        (["--device", "abacus"], {}, "--device"),
        (["--colour", "red"], {}, "--colour"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(arguments: list[str], environment: dict[str, str], complaint: str):
    refused = hangtag("serve", *arguments, **environment)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert "Traceback" not in refused.stderr


def test_cuda_is_refused_where_there_is_none_and_auto_falls_back_to_the_cpu(models: Path):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with Service(models, "--device", "cuda") as running:
        assert "cannot use CUDA" in httpx.get(f"{running.url}/v1/models/tiny").json()["reason"]
    with Service(models, "--device", "auto") as running:
        assert running.classify(png(0)).status_code == 200


def test_every_option_is_shown_by_help_with_an_example():
    shown = hangtag("serve", "--help")
    assert shown.returncode == 0
    for field in Settings.model_fields:
        assert f"--{field.replace('_', '-')}" in shown.stdout
    assert "Example: hangtag serve" in shown.stdout


def test_hangtag_alone_lists_its_commands_and_an_unknown_one_is_wrong_usage():
    assert "serve" in hangtag().stdout
    assert hangtag("--help").returncode == 0
    assert hangtag("juggle").returncode == 2


def test_serving_loads_no_training_stack():
    heavy = "{'keras', 'tensorflow', 'tf2onnx', 'matplotlib', 'onnx'}"
    program = f"import sys, service.command, hangtag; print({heavy} & sys.modules.keys())"
    ran = subprocess.run([HANGTAG[0], "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"

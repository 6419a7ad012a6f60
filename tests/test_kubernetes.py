"""The manifests are what Kubernetes, KServe and the service itself take; no cluster is needed to know that."""

import copy
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from PIL import Image

from artifact.errors import OptionInvalid
from artifact.pixels import DEFAULT_MAX_PIXELS
from artifact.repository import Repository
from artifact.rollout import Rollout
from service.metrics import STAGES, Metrics
from service.settings import Settings
from support import PATIENCE, ROOT, Service, card, publish

Manifest = dict[str, Any]

KUBERNETES = ROOT / "deploy" / "kubernetes"
FOLDERS = ("base", "kserve", "models-volume")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CLIENTS = ROOT / ".venv-clients" / "bin" / "python"
CORE = (".k8s.io", "apps", "autoscaling", "policy")  # groups whose schemas Kubernetes brings; v1 has none
OLDEST = "1.30"  # the first that has preStop's `sleep` without being asked for it
VERSIONS = (OLDEST, kubernetes_validate.latest_version())
NAME = {"app.kubernetes.io/name": "hangtag"}

MIB = 2**20
PIXEL_BYTES, SIDE = 20, 2048  # what a decoder takes at most for a pixel, and the picture by which a test holds that
ASIDE = 256 * MIB  # interpreter, libraries, and six models as they rest: 173 MiB measured
WORST_OF_KIND = {"JPEG": "CMYK", "PNG": "RGBA", "WEBP": "RGBA", "TIFF": "RGBA"}


@cache
def read(path: str) -> Manifest:
    manifest: Manifest = yaml.safe_load((KUBERNETES / path).read_text(encoding="utf-8"))
    return manifest


def objects(folder: str) -> list[str]:
    """The files of a folder that its kustomization adds to the cluster."""
    resources = read(f"{folder}/kustomization.yaml")["resources"]
    return [f"{folder}/{file}" for file in resources if not file.startswith("..")]


def patches(folder: str) -> list[str]:
    """The files of a folder that change what others say."""
    changes = read(f"{folder}/kustomization.yaml").get("patches", [])
    return [f"{folder}/{change['path']}" for change in changes if "path" in change]


def built(folder: str) -> list[Manifest]:
    """What kustomize makes of a folder; skips without kubectl."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("kubectl is not here, which builds a kustomization")
    command = [kubectl, "kustomize", KUBERNETES / folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def is_core(manifest: Manifest) -> bool:
    group = manifest["apiVersion"].rpartition("/")[0]
    return not group or group.endswith(CORE)


def of_kind(kind: str, manifests: list[Manifest]) -> Manifest:
    [found] = [
        manifest for manifest in manifests if manifest["kind"] == kind and manifest["metadata"]["name"] == "hangtag"
    ]
    return found


DEPLOYMENT = read("base/deployment.yaml")
SERVICE = read("base/service.yaml")
AUTOSCALER = read("base/horizontalpodautoscaler.yaml")
BUDGET = read("base/poddisruptionbudget.yaml")
POLICY = read("base/networkpolicy.yaml")
MONITOR = read("base/servicemonitor.yaml")
INFERENCE_SERVICE = read("kserve/inferenceservice.yaml")
KEEPER = read("models-volume/keeper.yaml")
MOUNTED = read("models-volume/mounted.yaml")
ADAPTER = read("prometheus-adapter.yaml")

POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
[PORT] = CONTAINER["ports"]
TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # EXIF: on its side
# Decodes a small picture and a large one, and prints how much more memory the second one took.
PEAK = """
import re, sys
from pathlib import Path
from artifact.card import InputSpec, Resize
from artifact.pixels import decode

def peak(name):
    decode(Path(sys.argv[1], name).read_bytes(), InputSpec(height=96, width=96, channels=3, resize=Resize(fit="pad")))
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

print(-peak("64") + peak("2048"))
"""
# What the predictor of an InferenceService has beside the pod, and what its container is called.
COMPONENT = {"labels", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy"}
PREDICTOR = INFERENCE_SERVICE["spec"]["predictor"]
PODS = [POD, KEEPER["spec"]["template"]["spec"], {k: v for k, v in PREDICTOR.items() if k not in COMPONENT}]


def variables(container: Manifest) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def image(variable: str) -> str:
    """What the image sets a variable to."""
    return re.findall(rf"\b{variable}=(\S+)", dockerfile())[-1]


def worst(models: int, runners: int, settings: Settings) -> int:
    """Bytes that a service takes when clients send to every model the worst that they may."""
    of_a_model = settings.max_held_bytes + runners * PIXEL_BYTES * settings.max_pixels
    return ASIDE + settings.cache_bytes + models * of_a_model


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the service in the Deployment is set to."""
    for name, value in variables(CONTAINER).items():
        monkeypatch.setenv(name, value)
    return Settings.parse("serve", [])


# --- what Kubernetes, kustomize and the operators take ----------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_kustomization_names_every_file_beside_it(folder: str):
    files = {f"{folder}/{path.name}" for path in (KUBERNETES / folder).iterdir()}
    assert {*objects(folder), *patches(folder)} == files - {f"{folder}/kustomization.yaml"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_what_its_schema_says(version: str):
    manifests = [read(file) for folder in FOLDERS for file in objects(folder)]
    checked = [kubernetes_validate.validate(each, version, strict=True) for each in manifests if is_core(each)]
    assert len(checked) == len(manifests) - 2  # ServiceMonitor and InferenceService have tests of their own


def test_a_field_that_kubernetes_does_not_know_would_be_found():
    misspelt = copy.deepcopy(DEPLOYMENT)
    misspelt["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = CONTAINER["readinessProbe"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, OLDEST, strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize_builds_what_kubernetes_takes(folder: str):
    for manifest in filter(is_core, built(folder)):
        for version in VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_kserve_takes_the_place_of_deployment_service_and_autoscaler():
    kinds = {manifest["kind"] for manifest in built("kserve")}
    assert kinds == {"InferenceService", "NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor"}


def test_models_from_a_volume_change_nothing_else_of_the_deployment():
    deployment = of_kind("Deployment", built("models-volume"))
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    added = MOUNTED["spec"]["template"]["spec"]["containers"][0]
    assert variables(container) == variables(CONTAINER) | variables(added)
    assert container["volumeMounts"] == [{"name": "models", "mountPath": image("HANGTAG_MODELS"), "readOnly": True}]
    del pod["volumes"], container["volumeMounts"]
    container["env"] = CONTAINER["env"]
    assert deployment == DEPLOYMENT


def test_the_pods_of_kserve_are_what_a_schema_of_kubernetes_says():
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": PODS[-1]}
    for version in VERSIONS:
        kubernetes_validate.validate(pod, version, strict=True)


def test_kserve_knows_every_field_of_the_inference_service_and_no_misspelt_one():
    if not CLIENTS.exists():
        pytest.skip("the clients are not installed; `make test` does that")
    misspelt = copy.deepcopy(INFERENCE_SERVICE)
    misspelt["spec"]["predictor"]["scaleMetrics"] = misspelt["spec"]["predictor"].pop("scaleMetric")
    answers = []
    for manifest in (INFERENCE_SERVICE, misspelt):
        command = [CLIENTS, ROOT / "tests" / "inference_service.py"]
        done = subprocess.run(
            command, input=json.dumps(manifest), capture_output=True, text=True, timeout=2 * PATIENCE, check=True
        )
        answers.append(json.loads(done.stdout))
    assert answers == [[], [".spec.predictor.scaleMetrics is no field of V1beta1PredictorSpec"]]


def test_the_service_monitor_is_what_the_operator_documents():
    assert (MONITOR["apiVersion"], MONITOR["kind"]) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    assert MONITOR["spec"].keys() == {"jobLabel", "selector", "endpoints"}
    assert MONITOR["spec"]["selector"].keys() == {"matchLabels"}
    [endpoint] = MONITOR["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "scrapeTimeout"}
    interval, timeout = (int(endpoint[key].removesuffix("s")) for key in ("interval", "scrapeTimeout"))
    assert timeout <= interval  # else the operator refuses it


# --- what belongs together --------------------------------------------------------------------------------------------


def test_everything_selects_the_pods_of_the_service():
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        SERVICE["spec"]["selector"],
        BUDGET["spec"]["selector"]["matchLabels"],
        POLICY["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in POD["topologySpreadConstraints"]),
    ]
    assert [labels, PREDICTOR["labels"], *selectors] == [NAME] * (len(selectors) + 2)
    assert not KEEPER["spec"]["template"]["metadata"]["labels"].items() >= NAME.items()


def test_the_autoscaler_moves_the_deployment_and_nobody_else_says_how_many():
    target = AUTOSCALER["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": DEPLOYMENT["apiVersion"], "kind": "Deployment", "name": "hangtag"}
    assert DEPLOYMENT["metadata"]["name"] == "hangtag"
    assert "replicas" not in DEPLOYMENT["spec"]


def test_every_port_leads_to_the_one_that_the_image_exposes():
    assert PORT["containerPort"] == int(re.findall(r"^EXPOSE (\d+)$", dockerfile(), re.MULTILINE)[-1])
    [service_port] = SERVICE["spec"]["ports"]
    [endpoint] = MONITOR["spec"]["endpoints"]
    [rule] = POLICY["spec"]["ingress"]
    assert service_port["targetPort"] == PORT["name"]
    assert endpoint["port"] == service_port["name"]
    assert rule["ports"] == [{"port": PORT["name"], "protocol": PORT["protocol"]}]
    probes = [CONTAINER[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "readiness", "liveness")]
    assert probes == [PORT["name"]] * 3


def test_prometheus_finds_the_service_by_its_labels():
    labels = SERVICE["metadata"]["labels"]
    assert labels.items() >= MONITOR["spec"]["selector"]["matchLabels"].items()
    assert labels[MONITOR["spec"]["jobLabel"]] == "hangtag"


def test_the_pages_that_the_manifests_name_are_there():
    for path in KUBERNETES.glob("**/*.yaml"):
        for page in re.findall(r"docs/[\w./-]+\.md", path.read_text()):
            assert (ROOT / page).exists(), f"{path} names {page}"


def test_every_path_that_is_asked_is_a_route():
    routes = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    probes = [CONTAINER[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")]
    assert {*probes, *(endpoint["path"] for endpoint in MONITOR["spec"]["endpoints"])} <= routes.keys()


def test_every_variable_is_a_setting_and_has_a_value_that_it_can_have(settings: Settings):
    added = MOUNTED["spec"]["template"]["spec"]["containers"][0]
    [keeper] = KEEPER["spec"]["template"]["spec"]["containers"]
    given = variables(CONTAINER) | variables(added) | variables(keeper)
    ours = {name for name in given if name.startswith("HANGTAG_")}
    assert {name.removeprefix("HANGTAG_").lower() for name in ours} <= Settings.model_fields.keys()
    assert given.keys() - ours == {"WATCHFILES_FORCE_POLLING", "WATCHFILES_POLL_DELAY_MS"}
    assert settings.max_pixels == int(variables(CONTAINER)["HANGTAG_MAX_PIXELS"])


def test_the_image_is_the_one_of_this_release():
    [compose] = re.findall(r"^ +image: (hangtag:.*)$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    [version] = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert compose == f"hangtag:{version}"
    assert {container["image"] for pod in PODS for container in pod["containers"]} == {compose}


def test_kserve_runs_the_same_pod():
    of_kserve = copy.deepcopy(PODS[-1])
    [container] = of_kserve["containers"]
    assert container["name"] == "kserve-container"
    assert variables(container) == variables(CONTAINER) | {"PROTOCOL": "v2"}
    container |= {"name": CONTAINER["name"], "env": CONTAINER["env"]}
    assert of_kserve == POD
    assert PREDICTOR["deploymentStrategy"] == DEPLOYMENT["spec"]["strategy"]
    for bound in ("minReplicas", "maxReplicas"):
        assert PREDICTOR[bound] == AUTOSCALER["spec"][bound]
    [cores] = [metric["resource"] for metric in AUTOSCALER["spec"]["metrics"] if metric["type"] == "Resource"]
    assert (cores["name"], cores["target"]["averageUtilization"]) == (
        PREDICTOR["scaleMetric"],
        PREDICTOR["scaleTarget"],
    )


# --- what the service promises, and needs -----------------------------------------------------------------------------


def test_a_pod_has_longer_to_stop_than_the_service_takes(settings: Settings):
    sleep = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > sleep + settings.drain_seconds + settings.shutdown_seconds


def test_a_pod_that_is_not_ready_is_left_out_long_before_one_that_stands_still_is_killed():
    def longest(probe: Manifest) -> int:
        return int(probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"])

    assert longest(CONTAINER["readinessProbe"]) <= 6
    assert longest(CONTAINER["livenessProbe"]) >= 30
    assert DEPLOYMENT["spec"]["progressDeadlineSeconds"] > longest(CONTAINER["startupProbe"])


def test_a_roll_out_takes_no_pod_away_before_another_one_answers():
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert DEPLOYMENT["spec"]["minReadySeconds"] >= 2 * CONTAINER["readinessProbe"]["periodSeconds"]


@pytest.mark.parametrize("pod", PODS, ids=["deployment", "keeper", "kserve"])
def test_a_pod_may_do_nothing_that_it_does_not_need(pod: Manifest):
    [uid, gid] = map(int, re.findall(r"^USER (\d+):(\d+)$", dockerfile(), re.MULTILINE)[0])
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": gid,
        "fsGroup": gid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_variables_that_kubernetes_makes_of_a_service_would_stop_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HANGTAG_PORT", "tcp://10.0.0.1:80")
    with pytest.raises(OptionInvalid, match="--port"):
        Settings.parse("serve", [])


def test_only_labelled_namespaces_and_prometheus_are_let_in_and_nobody_is_asked():
    [rule] = POLICY["spec"]["ingress"]
    assert [source["namespaceSelector"]["matchLabels"] for source in rule["from"]] == [
        {"hangtag-client": "true"},
        {"kubernetes.io/metadata.name": "monitoring"},
    ]
    assert POLICY["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert POLICY["spec"]["egress"] == []


def test_the_autoscaler_asks_for_what_the_adapter_makes_of_the_queue_stage():
    [rule] = ADAPTER["rules"]["custom"]
    [measure] = [metric["pods"] for metric in AUTOSCALER["spec"]["metrics"] if metric["type"] == "Pods"]
    assert measure["metric"]["name"] == rule["name"]["as"]
    stages = Metrics("0").stages
    series = re.findall(r'(\w+)\{stage="(\w+)"', rule["metricsQuery"])
    assert series == [(f"{stages._name}_sum", "queue"), (f"{stages._name}_count", "queue")]
    assert rule["seriesQuery"].startswith(f'{stages._name}_count{{stage="queue"')
    assert "queue" in STAGES
    # The operator names these labels; the adapter finds the pods by them.
    assert rule["resources"]["overrides"].keys() == {"namespace", "pod"}


def test_requests_are_limits_in_whole_cores():
    resources = CONTAINER["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"].isdecimal()


def test_the_memory_limit_holds_the_worst_that_clients_may_send(settings: Settings):
    limits = CONTAINER["resources"]["limits"]
    needed = worst(len(Repository(ROOT / "models").names()), int(limits["cpu"]), settings)
    assert needed <= int(limits["memory"].removesuffix("Gi")) * 1024 * MIB


def test_operations_reckon_with_the_same_memory():
    table = re.findall(r"^\| (\d) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", OPERATIONS, re.MULTILINE)
    assert len(table) == 3
    for models, *cells in table:
        for cell, pixels in zip(cells, (12_000_000, 25_000_000, DEFAULT_MAX_PIXELS), strict=True):
            assert int(cell.replace(",", "")) == round(worst(int(models), 2, Settings(max_pixels=pixels)) / MIB)


@pytest.mark.parametrize(("kind", "mode"), WORST_OF_KIND.items())
def test_no_decoder_takes_more_memory_for_a_pixel_than_is_reckoned_with(kind: str, mode: str, tmp_path: Path):
    for side in (64, SIDE):
        Image.new(mode, (side, side)).save(tmp_path / str(side), kind, exif=TURNED, progressive=True)
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert 0 < round(float(ran.stdout) / SIDE**2) <= PIXEL_BYTES


def test_a_volume_that_tells_of_no_change_is_looked_at(tmp_path: Path):
    added = variables(MOUNTED["spec"]["template"]["spec"]["containers"][0])
    publish(tmp_path)
    publish(tmp_path, card(version="2"))
    with Service(tmp_path, environment=added | {"WATCHFILES_POLL_DELAY_MS": "50"}) as service:
        Rollout(stable="1").write(tmp_path / "tiny")
        assert service.wait_for(r"model tiny: (1 is stable)")

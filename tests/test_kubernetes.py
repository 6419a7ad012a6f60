"""The manifests are what Kubernetes, kustomize, KServe and the operators take; no cluster is needed to know that."""

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from artifact.rollout import Rollout
from manifests import (
    ADAPTER,
    AUTOSCALER,
    CONTAINER,
    DEPLOYMENT,
    FOLDERS,
    INFERENCE_SERVICE,
    KUBERNETES,
    MONITOR,
    MOUNTED,
    OPERATIONS,
    PODS,
    Manifest,
    image,
    objects,
    patches,
    read,
    variables,
)
from service.metrics import STAGES, Metrics
from support import PATIENCE, ROOT, Service, card, publish

CLIENTS = ROOT / ".venv-clients" / "bin" / "python"
CORE = (".k8s.io", "apps", "autoscaling", "policy")  # groups whose schemas Kubernetes brings; v1 has none
MONITORING = "monitoring.coreos.com/v1"
OLDEST = "1.30"  # the first that has preStop's `sleep` without being asked for it
VERSIONS = (OLDEST, kubernetes_validate.latest_version())


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
    deployments = [manifest for manifest in built("models-volume") if manifest["kind"] == "Deployment"]
    [deployment] = [manifest for manifest in deployments if manifest["metadata"]["name"] == "hangtag"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    added = MOUNTED["spec"]["template"]["spec"]["containers"][0]
    assert variables(container) == variables(CONTAINER) | variables(added)
    models = {"name": "models", "mountPath": image("HANGTAG_MODELS"), "readOnly": True}
    container["volumeMounts"].remove(models)
    pod["volumes"].remove({"name": "models", "persistentVolumeClaim": {"claimName": "hangtag-models"}})
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
    assert (MONITOR["apiVersion"], MONITOR["kind"]) == (MONITORING, "ServiceMonitor")
    assert MONITOR["spec"].keys() == {"jobLabel", "selector", "endpoints"}
    assert MONITOR["spec"]["selector"].keys() == {"matchLabels"}
    [endpoint] = MONITOR["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "scrapeTimeout"}
    interval, timeout = (int(endpoint[key].removesuffix("s")) for key in ("interval", "scrapeTimeout"))
    assert timeout <= interval  # else the operator refuses it


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


def test_what_the_adapter_asks_for_is_the_mean_time_in_the_queue_of_each_pod(tmp_path: Path):
    promtool = shutil.which("promtool", path=os.pathsep.join([str(ROOT / ".prometheus"), os.environ["PATH"]]))
    if not promtool:
        pytest.skip("promtool is not here; it comes with Prometheus")
    [rule] = ADAPTER["rules"]["custom"]
    query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.LabelMatchers>>", 'pod=~"a|b"')
    counted = [  # pod, model, stage; seconds and images in each of the steps
        ("a", "closet", "queue", 3, 100),
        ("a", "shoes", "queue", 1, 100),
        ("a", "closet", "decode", 50, 100),
        ("b", "closet", "queue", 5, 10),
        ("c", "closet", "queue", 5, 10),
    ]
    series = [
        {
            "series": f'hangtag_stage_duration_seconds_{kind}{{pod="{pod}",model_name="{model}",stage="{stage}"}}',
            "values": f"0+{step}x8",
        }
        for pod, model, stage, *steps in counted
        for kind, step in zip(("sum", "count"), steps, strict=True)
    ]
    expected = [{"labels": '{pod="a"}', "value": 4 / 200}, {"labels": '{pod="b"}', "value": 0.5}]
    asked = {"expr": query, "eval_time": "2m", "exp_samples": expected}
    test = {"interval": "15s", "input_series": series, "promql_expr_test": [asked]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
    command = [promtool, "test", "rules", tmp_path / "test.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_of_rules_becomes_a_resource_of_the_operator_as_operations_say(tmp_path: Path):
    [loop] = re.findall(r"^    (for file in deploy/.*?^    done)$", OPERATIONS, re.MULTILINE | re.DOTALL)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\ncat\necho ---\n")
    kubectl.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(["bash", "-c", loop], cwd=ROOT, env={"PATH": path}, capture_output=True, check=True)
    resources = [resource for resource in yaml.safe_load_all(done.stdout) if resource]
    files = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
    assert [resource["spec"] for resource in resources] == [yaml.safe_load(file.read_text()) for file in files]
    assert [resource["metadata"]["name"] for resource in resources] == [f"hangtag-{file.stem}" for file in files]
    assert {(resource["apiVersion"], resource["kind"]) for resource in resources} == {(MONITORING, "PrometheusRule")}


def test_a_volume_that_tells_of_no_change_is_looked_at(tmp_path: Path):
    added = variables(MOUNTED["spec"]["template"]["spec"]["containers"][0])
    publish(tmp_path)
    publish(tmp_path, card(version="2"))
    with Service(tmp_path, "--watch", environment=added | {"WATCHFILES_POLL_DELAY_MS": "50"}) as service:
        Rollout(stable="1").write(tmp_path / "tiny")
        assert service.wait_for(r"model tiny: (1 is stable)")

"""What stands in deploy/kubernetes, and in the image that it runs, for the tests of it."""

import re
from functools import cache
from typing import Any

import yaml

from service.settings import Settings
from support import ROOT

Manifest = dict[str, Any]

KUBERNETES = ROOT / "deploy" / "kubernetes"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FOLDERS = ("base", "kserve", "models-volume")


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

# What the predictor of an InferenceService has beside its pod.
COMPONENT = {"labels", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy"}
PREDICTOR = INFERENCE_SERVICE["spec"]["predictor"]
PODS = [POD, KEEPER["spec"]["template"]["spec"], {k: v for k, v in PREDICTOR.items() if k not in COMPONENT}]


def variables(container: Manifest) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def settings_of(container: Manifest) -> Settings:
    """What the service in a container is set to."""
    given = variables(container).items()
    return Settings.model_validate({name.removeprefix("HANGTAG_").lower(): value for name, value in given})


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def image(variable: str) -> str:
    """What the image sets a variable to."""
    return re.findall(rf"\b{variable}=(\S+)", dockerfile())[-1]

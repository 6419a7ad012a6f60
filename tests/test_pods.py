"""What the pods on Kubernetes are: found by all who look for them, and no less careful than the service in them."""

import copy
import json
import re

import pytest

from artifact.errors import OptionInvalid
from manifests import (
    AUTOSCALER,
    BUDGET,
    CONTAINER,
    DEPLOYMENT,
    KEEPER,
    KUBERNETES,
    MONITOR,
    MOUNTED,
    OPERATIONS,
    POD,
    PODS,
    POLICY,
    PORT,
    PREDICTOR,
    SERVICE,
    Manifest,
    dockerfile,
    settings_of,
    variables,
)
from service.settings import Settings
from support import ROOT

NAME = {"app.kubernetes.io/name": "hangtag"}


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


def test_every_variable_is_a_setting_and_has_a_value_that_it_can_have():
    added = MOUNTED["spec"]["template"]["spec"]["containers"][0]
    [keeper] = KEEPER["spec"]["template"]["spec"]["containers"]
    given = variables(CONTAINER) | variables(added) | variables(keeper)
    ours = {name for name in given if name.startswith("HANGTAG_")}
    assert {name.removeprefix("HANGTAG_").lower() for name in ours} <= Settings.model_fields.keys()
    assert given.keys() - ours == {"WATCHFILES_FORCE_POLLING", "WATCHFILES_POLL_DELAY_MS"}
    settings = settings_of(CONTAINER)
    assert (settings.max_pixels, settings.watch) == (25_000_000, True)


def test_the_keys_are_a_secret_that_the_service_can_read_and_sees_change():
    settings = settings_of(CONTAINER)
    assert settings.keys
    [mount] = CONTAINER["volumeMounts"]
    assert (str(settings.keys.parent), mount["readOnly"]) == (mount["mountPath"], True)  # the folder, not the file
    [volume] = POD["volumes"]
    assert volume == {"name": mount["name"], "secret": {"secretName": "hangtag-keys", "defaultMode": 0o440}}
    assert (
        f"secret generic {volume['secret']['secretName']} --namespace hangtag --from-file {settings.keys.name}"
        in OPERATIONS
    )
    assert settings.watch


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


def test_a_pod_has_longer_to_stop_than_the_service_takes():
    settings = settings_of(CONTAINER)
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


def test_requests_are_limits_in_whole_cores():
    resources = CONTAINER["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"].isdecimal()

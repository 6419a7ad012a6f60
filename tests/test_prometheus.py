"""The rules: promtool takes them and their tests, they ask for what is there, and each alert can be acted on."""

import json
import re
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from monitor import DEPLOYED, RULES, exported, groups, rules, tool, used
from service.metrics import Metrics
from support import ROOT

TESTS = sorted((DEPLOYED / "tests").glob("*.yml"))
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS = sorted({rule["alert"] for rule in rules("alert")})


def promtool(*arguments: object) -> str:
    run = subprocess.run([tool("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_configuration_is_valid_and_finds_the_rules():
    said = promtool("check", "config", "--lint=all", "--lint-fatal", DEPLOYED / "prometheus.yml")
    assert sum(map(int, re.findall(r"SUCCESS: (\d+) rules found", said))) == len(rules("record")) + len(rules("alert"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_where_they_should_and_only_there(path):
    promtool("test", "rules", path)


def answered(version: str, label: str, weights: Sequence[float], images: int) -> list[dict[str, object]]:
    """The series of a version with a label that answers so many images in its first ten minutes, and none later."""
    shares = np.array(weights) / sum(weights)
    drawn = np.random.default_rng(int(version)).multinomial(images, shares)
    version = f'model_name="m", model_version="{version}"'
    given = f'hangtag_predictions_total{{{version}, decision="accept", label='
    return [
        {"series": f'hangtag_model_label{{{version}, label="{label}"}}', "values": "1x11"},
        {"series": f"hangtag_expected_confidence{{{version}}}", "values": "0.9x11"},
        *({"series": f'{given}"{each}"}}', "values": f"0 {drawn[each]}x10"} for each in range(len(weights))),
        *(
            {
                "series": f'hangtag_expected_predictions_ratio{{{version}, label="{each}"}}',
                "values": f"{1 / len(weights)}x11",
            }
            for each in range(len(weights))
        ),
    ]


@pytest.mark.parametrize(("images", "weights", "alerts"), [(600, (1, 1), 0), (30_000, (9, 1), 1)])
def test_what_chance_makes_of_hundreds_of_labels_is_no_drift_and_what_it_does_not_is(
    images: int, weights: tuple[int, int], alerts: int, tmp_path: Path
):
    """The canary's labels have these weights in turn, those of the stable version and of the test photos one."""
    labels = 300
    test = {
        "interval": "10m",
        "input_series": [
            *answered("1", "stable", [1] * labels, images),
            *answered("2", "canary", [*weights] * (labels // 2), images),
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertstate="firing", alertname="{name}"}})',
                "eval_time": minute,
                "exp_samples": [{"labels": "{}", "value": 1}] * alerts,
            }
            for name, minute in (("HangtagCanaryDisagrees", "50m"), ("HangtagLabelMixDrifts", "100m"))
        ],
    }
    every = yaml.safe_load(TESTS[0].read_text(encoding="utf-8"))["group_eval_order"]
    path = tmp_path / "chance.yml"
    rule_files = [str(path) for path in RULES]
    content = {"rule_files": rule_files, "evaluation_interval": "10m", "group_eval_order": every, "tests": [test]}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    promtool("test", "rules", path)


def test_every_alert_fires_in_a_test_with_each_of_its_severities_and_there_are_times_when_it_does_not():
    fired = {
        (case["alertname"], alert["exp_labels"]["severity"])
        for path in TESTS
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
        for alert in case.get("exp_alerts", [])
    }
    assert fired == {(rule["alert"], rule["labels"]["severity"]) for rule in rules("alert")}


def test_rules_ask_only_for_what_the_service_exports_or_another_rule_records():
    known = exported() | {rule["record"] for rule in rules("record")}
    for rule in rules("expr"):
        assert used(rule["expr"]) <= known, rule


def test_rules_count_by_buckets_that_there_are():
    metrics = Metrics("0")
    metrics.expect("POST", "/", [200])
    buckets = {
        sample.labels["le"]
        for metric in metrics.request_seconds.collect()
        for sample in metric.samples
        if "le" in sample.labels
    }
    for rule in rules("expr"):
        assert set(re.findall(r'le="([^"]*)"', rule["expr"])) <= buckets


def test_the_objectives_are_about_every_route_that_classifies_and_no_other():
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    selected = {route for rule in rules("record") for route in re.findall(r'route=~"([^"]*)"', rule["expr"])}
    found = {path for path in paths if "post" in paths[path] and any(re.fullmatch(route, path) for route in selected)}
    assert found == {
        "/v1/models/{model}/classify",
        "/v1/models/{model}/versions/{version}/classify",
        "/v1/models/{model}/classify-batch",
        "/v1/models/{model}/versions/{version}/classify-batch",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
    }


def test_misses_are_counted_by_the_interval_at_which_they_are_recorded():
    [interval] = {group["interval"] for group in groups() if group["name"] == "hangtag_slo"}
    factors = {each for rule in rules("alert") for each in re.findall(r"(\d+) \* sum_over_time", rule["expr"])}
    assert (interval, factors) == ("1m", {"60"})


def test_whoever_is_woken_or_told_learns_what_of_and_where_to_read_on():
    for rule in rules("alert"):
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"] | {"summary": "", "description": ""} == {
            "summary": "",
            "description": "",
            "runbook_url": f"docs/operations.md#{rule['alert'].lower()}",
        }
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


def test_the_runbook_has_an_entry_for_each_alert_and_for_no_other():
    assert re.findall(r"^### (Hangtag\w+)$", RUNBOOK, re.MULTILINE) == list(
        dict.fromkeys(r["alert"] for r in rules("alert"))
    )


@pytest.mark.parametrize("alert", ALERTS)
def test_an_entry_of_the_runbook_says_what_it_means_where_to_look_and_what_to_do(alert: str):
    [entry] = re.findall(rf"^### {alert}\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    leads = ("**For users**", "**See more**", "**Do**")
    places = [entry.index(lead) for lead in leads]
    assert places == sorted(places)
    assert all(after - before > 60 for before, after in pairwise([*places, len(entry)]))

"""The rules: promtool takes them and their tests, they ask for what is there, and each alert can be acted on."""

import json
import re
import subprocess
from itertools import pairwise

import pytest
import yaml

from monitor import DEPLOYED, exported, groups, rules, tool, used
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

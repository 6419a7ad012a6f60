"""The dashboards: well made, and each panel shows something when a real Prometheus watches a real service."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import numpy as np
import pytest
import yaml

from artifact.rollout import Rollout
from monitor import DASHBOARDS, Prometheus, exported, panels, rules, tool, used
from support import CLASSIFY, PATIENCE, ROOT, Service, card, png, publish

SCORES = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
FILLED_IN = {
    "$__rate_interval": "5s",
    "$__range": "1m",
    "$model_name": "tiny",
    "$model_version": ".*",
    "$model": ".*",
}


each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)


@each_dashboard
def test_every_panel_has_an_id_of_its_own_a_title_a_description_a_unit_and_a_query(path: Path):
    shown = panels(path)
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["expr"] for target in panel["targets"]]


@each_dashboard
def test_no_two_panels_lie_on_each_other(path: Path):
    places = [panel["gridPos"] for panel in panels(path)]
    covered = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(covered)) == len(covered)
    assert max(x for x, _ in covered) < 24


@each_dashboard
def test_every_panel_asks_the_datasource_that_is_provisioned(path: Path):
    provisioned = ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml"
    (source,) = yaml.safe_load(provisioned.read_text(encoding="utf-8"))["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    assert [panel["title"] for panel in panels(path) if panel["datasource"] != wanted] == []


@each_dashboard
def test_a_dashboard_asks_only_for_what_the_service_exports_or_a_rule_records(path: Path):
    known = exported() | {rule["record"] for rule in rules("record")}
    for expression in queries([path]).values():
        assert used(expression)
        assert used(expression) <= known, expression


def queries(paths: list[Path]) -> dict[str, str]:
    """Each query of some dashboards, by dashboard, panel and letter, with the variables filled in."""
    return {
        f"{path.name}: {panel['title']} ({target['refId']})": filled_in(target["expr"])
        for path in paths
        for panel in panels(path)
        for target in panel["targets"]
    }


def filled_in(expression: str) -> str:
    for variable, value in FILLED_IN.items():
        expression = expression.replace(variable, value)
    return expression


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that watches a service under load, which has a canary and a shadow."""
    tool("prometheus")  # nothing is started for a test that will be skipped
    models, folder = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("prometheus")
    for version in ("1", "2", "3"):
        publish(models, card(version=version), predictions=SCORES)
    Rollout(stable="1", canary="2", canary_share=0.5, shadow="3", shadow_share=1.0).write(models / "tiny")
    with (
        Service(models, "--memory-bytes", str(2**30)) as service,
        load_on(service.url),
        Prometheus(service.url, folder) as prometheus,
    ):
        yield prometheus


@contextmanager
def load_on(url: str) -> Iterator[None]:
    """Ask for images, of which every third is new, every third came before, and every third is none, until the end."""
    ended = Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            for number in itertools.takewhile(lambda _: not ended.is_set(), itertools.count()):
                for image in (png(number % 256, (8, 8 + number // 256)), png(0), b"no image"):
                    client.post(CLASSIFY, content=image, headers={"Content-Type": "image/png"})

    asking = Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


def without_data(prometheus: Prometheus, expressions: dict[str, str]) -> dict[str, str]:
    """The expressions that give no number, though they were asked again and again."""
    deadline = time.monotonic() + PATIENCE
    while expressions and time.monotonic() < deadline:
        expressions = {name: each for name, each in expressions.items() if not prometheus.values(each)}
    return expressions


def test_every_panel_has_data_of_a_service_under_load(watched: Prometheus):
    assert without_data(watched, queries(DASHBOARDS)) == {}


def test_every_rule_that_records_has_data_of_a_service_under_load(watched: Prometheus):
    assert without_data(watched, {rule["record"]: rule["record"] for rule in rules("record")}) == {}


def test_every_rule_can_be_evaluated_and_a_good_service_makes_nobody_get_up(watched: Prometheus):
    evaluated = [rule for group in watched.ask("rules")["groups"] for rule in group["rules"]]
    assert len(evaluated) == len(rules("record")) + len(rules("alert"))
    assert {rule["name"]: rule["lastError"] for rule in evaluated if rule["health"] != "ok"} == {}
    assert watched.values('ALERTS{severity="page"}') == []

"""A real Prometheus with the rules that we deploy, what rules and dashboards ask for, and what there is to ask for."""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Thread, Timer
from typing import Any, Self

import httpx
import pytest
import yaml

from service.metrics import Metrics
from support import PATIENCE, ROOT

DEPLOYED = ROOT / "deploy" / "prometheus"
RULES = sorted((DEPLOYED / "rules").glob("*.yml"))
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "info": ("_info",)}
PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "ALERTS"}
EVERY = "200ms"  # scraped and evaluated, so that a test need not wait

_GROUPING = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
_OPERATORS = {"and", "or", "unless", "bool"}


def tool(name: str) -> str:
    """The program `prometheus` or `promtool`; skips the test where there is none."""
    found = shutil.which(name) or shutil.which(name, path=str(ROOT / ".prometheus"))
    if not found:
        pytest.skip(f"{name} is not here; `make test` gets it where it can")
    return found


@cache
def groups() -> list[dict[str, Any]]:
    """Every group of rules."""
    return [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]


def rules(kind: str) -> list[dict[str, Any]]:
    """Every rule that has this key: `record`, `alert`, or `expr`, which all have."""
    return [rule for group in groups() for rule in group["rules"] if kind in rule]


def panels(path: Path) -> list[dict[str, Any]]:
    """What a dashboard shows, without the headings between."""
    listed = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in listed if panel["type"] != "row"]


def exported() -> set[str]:
    """Each series that the service exports, or Prometheus has of its own."""
    families = list(Metrics("0").registry.collect())
    return PROMETHEUS_OWN | {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}


def used(expression: str) -> set[str]:
    """The series that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|' + _GROUPING, " ", expression)
    return set(re.findall(r"(?<![\w:.$])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - _OPERATORS


class Prometheus:
    """A real Prometheus on a free port that scrapes one service, with the deployed rules."""

    def __init__(self, service: str, folder: Path) -> None:
        program = [tool("prometheus"), f"--config.file={_config(service, folder)}", f"--storage.tsdb.path={folder}"]
        self._process = subprocess.Popen(
            [*program, "--web.listen-address=127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.log = ""
        with ends_after(PATIENCE, self._process):
            address = next(self._addresses(), None)
        assert address, self.log
        self._reader = Thread(target=self._process.stderr.read)
        self._reader.start()
        self._api = httpx.Client(base_url=f"http://{address}/api/v1/")

    def _addresses(self) -> Iterator[str]:
        for line in self._process.stderr:
            self.log += line
            if found := re.search(r'msg="Listening on".* address=(\S+)', line):
                yield found[1]

    def ask(self, path: str, **query: str) -> Any:
        """The data that the API answers with; before it is ready, None."""
        answer = self._api.get(path, params=query)
        assert answer.status_code in (200, 503), answer.text
        return answer.json()["data"] if answer.status_code == httpx.codes.OK else None

    def values(self, expression: str) -> list[float]:
        """What an expression is now, without what is no number."""
        data = self.ask("query", query=expression)
        values = [float(sample["value"][1]) for sample in data["result"]] if data else []
        return [value for value in values if math.isfinite(value)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._process.stderr.close()


@contextmanager
def ends_after(seconds: float, process: "subprocess.Popen[str]") -> Iterator[None]:
    """Kill a process that keeps us waiting for longer."""
    timer = Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _config(service: str, folder: Path) -> Path:
    """Write our configuration and rules anew, for another target and in quick succession."""
    config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY, "scrape_timeout": EVERY}
    config["rule_files"] = ["rules.yml"]
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": [service.removeprefix("http://")]}]
    rules = {"groups": [{"name": group["name"], "rules": group["rules"]} for group in groups()]}
    (folder / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from monitor import DASHBOARDS, RULES
from service.settings import Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
Instruction = tuple[str, str]


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def compose() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = read_yaml("docker-compose.yml")["services"]
    return services


def dockerfile() -> list[list[Instruction]]:
    """The stages of the Dockerfile, each a list of instructions, beginning with FROM."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    stages: list[list[Instruction]] = []
    for word, _, rest in (line.partition(" ") for line in lines if line):
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((word, rest))
    return stages


def copied() -> set[str]:
    """All that the Dockerfile takes from the repository."""
    taken = [rest.split()[:-1] for stage in dockerfile() for word, rest in stage if word == "COPY"]
    return {source for sources in taken for source in sources if not sources[0].startswith("--from")}


def last(word: str) -> str:
    return [rest for found, rest in dockerfile()[-1] if found == word][-1]


def test_every_file_that_compose_mounts_exists():
    sources = [volume.split(":")[0] for service in compose().values() for volume in service["volumes"]]
    files = [source for source in sources if source.startswith("./") and source != "./models"]  # a shop fills models/
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_compose_publishes_on_the_loopback_interface_only():
    assert [
        port for service in compose().values() for port in service["ports"] if not port.startswith("127.0.0.1:")
    ] == []


def test_compose_pins_every_image():
    assert [service["image"] for service in compose().values() if not re.search(r":v?\d+\.\d+", service["image"])] == []


def test_compose_gives_the_service_nothing_that_it_does_not_need():
    service = compose()["hangtag"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(volume.endswith(":ro") for volume in service["volumes"])


def test_compose_waits_longer_for_the_service_than_it_takes_to_drain():
    needed = sum(Settings.model_fields[name].default for name in ("drain_seconds", "shutdown_seconds"))
    assert int(compose()["hangtag"]["stop_grace_period"].removesuffix("s")) > needed


def test_prometheus_scrapes_the_port_that_the_image_exposes():
    (job,) = read_yaml("deploy/prometheus/prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"hangtag:{last('EXPOSE')}"]}]
    assert compose()["hangtag"]["ports"][0].endswith(f":{last('EXPOSE')}")


def test_grafana_knows_how_often_prometheus_scrapes():
    (source,) = read_yaml("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    scraped = read_yaml("deploy/prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped


def test_grafana_finds_the_dashboards_where_compose_mounts_them():
    (provider,) = read_yaml("deploy/grafana/provisioning/dashboards/hangtag.yml")["providers"]
    grafana = compose()["grafana"]
    folder = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in grafana["volumes"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home in [Path(folder, path.name) for path in DASHBOARDS]


def test_prometheus_finds_the_rules_where_compose_mounts_them():
    config = Path("/etc/prometheus/prometheus.yml")
    volumes = compose()["prometheus"]["volumes"]
    assert f"./deploy/prometheus/prometheus.yml:{config}:ro" in volumes
    [rules] = read_yaml("deploy/prometheus/prometheus.yml")["rule_files"]
    assert f"./deploy/prometheus/rules:{(config.parent / rules).parent}:ro" in volumes
    assert all(path.match(rules) for path in RULES)


def test_the_image_runs_as_a_numeric_user_who_is_not_root():
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))


def test_the_image_starts_the_service_without_a_shell_and_stops_it_by_sigterm():
    assert [json.loads(last(word)) for word in ("ENTRYPOINT", "CMD")] == [["hangtag"], ["serve"]]
    assert last("STOPSIGNAL") == "SIGTERM"


def test_the_image_takes_no_training_code_data_or_run():
    assert copied() <= {
        *("README.md", "pyproject.toml", "requirements/serve.txt"),
        *("hangtag.py", "artifact", "service", "models"),
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied()


def test_the_image_has_every_package_or_an_empty_folder_in_its_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.replace(".", "/") for name in project["tool"]["setuptools"]["packages"]}
    made = {folder for _, rest in dockerfile()[0] for folder in re.findall(r"mkdir -p (.*?)\s*&&", rest)}
    empty = set(" ".join(made).split())
    missing = {package for package in packages if package.split("/")[0] not in copied()}
    assert {package for package in missing if not any(path.startswith(package) for path in empty)} == set()
    assert not empty & copied()


def test_the_build_gets_the_pip_configuration_with_its_own_path_to_the_certificates(tmp_path: Path):
    index, certificates = tmp_path / "index/simple", tmp_path / "own.pem"
    index.mkdir(parents=True)
    certificates.write_text("certificate")
    listing = [
        f":env:.cert='{certificates}'",
        "global.index-url='https://user:secret@packages.example/simple'",
        f"global.extra-index-url='file://{index}'",
        "install.index-url='https://packages.example/install'",
        "user.name='nobody'",
    ]
    script = DEPLOY / "pip_secret.py"
    subprocess.run([sys.executable, script, tmp_path], input="\n".join(listing), text=True, check=True)
    assert (tmp_path / "pip.conf").read_text().splitlines() == [
        "[global]",
        "index-url = https://packages.example/install",
        f"extra-index-url = file://{index}",
        "cert = /run/secrets/ca.pem",
    ]
    assert (tmp_path / "ca.pem").read_text() == "certificate"
    assert (tmp_path / "folders").read_text() == f"{index.parent}\n"


def test_without_an_engine_the_image_check_names_the_packages_that_it_needs(tmp_path: Path):
    for tool in ("bash", "dirname", "git", "mktemp", "rm"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHON": "no-python"}
    check = subprocess.run(
        [tmp_path / "bash", DEPLOY / "image-check.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert check.returncode == 1
    assert "apt-get install --yes --no-install-recommends buildah debootstrap" in check.stderr

"""What gets prometheus and promtool: it is done when both are there, in one package as up to bookworm, or in two."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support import ROOT

NEEDED = ("bash", "cp", "dpkg-deb", "head", "id", "mkdir", "mktemp", "rm", "tar", "timeout")
APT = """#!/usr/bin/env bash
[[ ${@: -1} == update ]] || cp "${0%/*}/${@: -1}.deb" .
"""


def package(folder: Path, name: str, programs: tuple[str, ...]) -> None:
    """A package that the apt of this folder can download."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a@b\nDescription: c\n", encoding="utf-8"
    )
    (tree / "usr" / "bin").mkdir(parents=True)
    for program in programs:
        (tree / "usr" / "bin" / program).touch(0o755)
    subprocess.run(["dpkg-deb", "--build", tree, folder / f"{name}.deb"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        ({"prometheus": ("prometheus", "promtool")}, 0),
        ({"prometheus": ("prometheus",), "promtool": ("promtool",)}, 0),
        ({"prometheus": ("prometheus",)}, 1),  # the other one could not be downloaded just then
        ({}, 1),
    ],
)
def test_it_ends_well_only_when_both_programs_are_there(
    packages: dict[str, tuple[str, ...]], code: int, tmp_path: Path
):
    tools, folder = tmp_path / "tools", tmp_path / "folder"
    tools.mkdir()
    for name in NEEDED:
        found = shutil.which(name) or pytest.skip(f"{name} is not here")
        (tools / name).symlink_to(found)
    (tools / "env").symlink_to("/usr/bin/env")
    (tools / "apt-get").write_text(APT, encoding="utf-8")
    (tools / "apt-get").chmod(0o755)
    for name, programs in packages.items():
        package(tools, name, programs)
    fetch = [tools / "bash", ROOT / "deploy" / "prometheus" / "fetch.sh", folder]
    ran = subprocess.run(fetch, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    if code:
        assert "the tests that need one are skipped" in ran.stderr
    else:
        assert {path.name for path in folder.iterdir()} == {"prometheus", "promtool"}

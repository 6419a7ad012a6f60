"""What the README says to type works, and answers what the README says it answers."""

import json
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

import hangtag
from support import ROOT, Service
from training.recipe import Recipe

README = (ROOT / "README.md").read_text()


def block(after: str) -> str:
    """The first indented block that follows a text."""
    lines = README[README.index(after) + len(after) :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("    "))
    end = next((index for index in range(start, len(lines)) if lines[index] and lines[index][0] != " "), len(lines))
    return "\n".join(line.removeprefix("    ") for line in lines[start:end]).strip()


def test_the_first_request_answers_as_the_readme_says():
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    command, shown = (part.strip() for part in block("compares the answer -->").split("\n\n"))
    with Service(ROOT / "models") as running:
        command = command.replace("http://127.0.0.1:8000", running.url)
        ran = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    answer, expected = json.loads(ran.stdout), json.loads(shown)
    for given, said in zip(answer.pop("predictions"), expected.pop("predictions"), strict=True):
        assert given == {"label": said["label"], "score": pytest.approx(said["score"], abs=1e-3)}
    assert answer | {"id": ""} == expected | {"id": ""}


def test_the_python_program_runs_as_it_stands():
    with Service(ROOT / "models") as running:
        program = block("a test runs this program -->").replace("http://127.0.0.1:8000", running.url)
        ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    first, *many = ran.stdout.splitlines()
    assert first == "Ankle boot accept"
    outcomes = dict(line.split(" ", 1) for line in many)
    assert "Ankle boot" in outcomes["docs/boot.png"]
    assert outcomes["docs/reference.md"] == "image_type_unsupported"
    assert outcomes["docs/decisions"] == "photo_unreadable"


def test_the_recipe_for_ones_own_photos_is_valid():
    assert Recipe.model_validate(tomllib.loads(block("and write a recipe, `shop.toml`:"))).data.folder == "shop"


def test_the_transfer_that_takes_its_networks_place_is_valid():
    recipe = tomllib.loads(block("and write a recipe, `shop.toml`:"))
    transfer = tomllib.loads(block("at least 160 pixels each way into `[input]`."))
    assert Recipe.model_validate(recipe | transfer).network.kind == "transfer"


def test_every_make_target_that_is_named_is_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        if target not in {"and", "up"}:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_hangtag_command_that_is_named_is_there():
    for command in re.findall(r"bin/hangtag ([a-z]+)", README):
        assert command in hangtag.COMMANDS

"""What the README says to type works, and answers what the README says it answers."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hangtag
from support import HANGTAG, ROOT, Service
from training.recipe import Recipe

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """A service with the models that come with it."""
    with Service(ROOT / "models") as started:
        yield started


def block(after: str, page: str = README) -> str:
    """The first indented block that follows a text."""
    lines = page[page.index(after) + len(after) :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("    "))
    end = next((index for index in range(start, len(lines)) if lines[index] and lines[index][0] != " "), len(lines))
    return "\n".join(line.removeprefix("    ") for line in lines[start:end]).strip()


def answer(command: str, running: Service) -> dict[str, Any]:
    """The JSON that a command for curl is answered."""
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    typed = command.replace("http://127.0.0.1:8000", running.url)
    ran = subprocess.run(["bash", "-c", typed], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout) | {"id": ""}


def shown(text: str) -> dict[str, Any]:
    """An answer that equals what is shown, whatever its id, and nearly whatever its numbers."""
    return json.loads(text, parse_float=lambda number: pytest.approx(float(number), abs=1e-3)) | {"id": ""}


def test_the_first_request_answers_as_the_readme_says(running: Service):
    command, said = block("compares the answer -->").split("\n\n")
    assert answer(command, running) == shown(said)


def test_the_first_batch_answers_as_the_reference_says(running: Service):
    command, said = block("a test compares the answer -->", REFERENCE).split("\n\n")
    assert command == block("a test runs this request, too -->")
    assert answer(command, running) == shown(said)


def test_the_python_program_runs_as_it_stands(running: Service):
    program = block("a test runs this program -->").replace("http://127.0.0.1:8000", running.url)
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    first, *many, progress = ran.stdout.splitlines()
    assert first == "Ankle boot accept"
    outcomes = dict(line.split(" ", 1) for line in many)
    assert "Ankle boot" in outcomes["docs/boot.png"]
    assert outcomes["docs/reference.md"] == "image_type_unsupported"
    assert outcomes["docs/decisions"] == "photo_unreadable"
    assert re.fullmatch(r"\d+ photos, \d+ failed, \d+/s", progress)


def test_the_catalogue_is_labelled_as_it_stands(tmp_path: Path):
    command = block("a test runs the second command -->").splitlines()[1].split()
    (tmp_path / "photos").mkdir()
    shutil.copy(ROOT / "docs" / "boot.png", tmp_path / "photos")
    environment = os.environ | {"HANGTAG_MODELS": str(ROOT / "models")}
    subprocess.run([*HANGTAG, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert "photos/boot.png,Ankle boot,0.98" in (tmp_path / "labels.csv").read_text()


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

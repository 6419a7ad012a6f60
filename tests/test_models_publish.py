"""What comes into a repository from elsewhere, and what goes out of it again: whole, or not at all."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hangtag
from artifact.repository import Repository
from artifact.rollout import Rollout
from graphs import graph, slow
from support import HANGTAG, PATIENCE, OnShelf, Service, card, files, png, publish

TWO_DAYS = 2 * 24 * 60 * 60


def test_a_version_from_elsewhere_is_published_byte_for_byte(shelf: Path, on_shelf: OnShelf, tmp_path: Path):
    folder = publish(tmp_path / "elsewhere", card(version="7"), report=b"a page")
    (folder / "tuning.json").write_text("belongs to that machine")
    code, out, _ = on_shelf("publish", str(folder))
    assert code == 0
    assert out == (f"{shelf / 'tiny' / '7'}: 3 files; golden samples within 0.0e+00.\ntiny: stable 7\n")
    for name in ("card.json", "model.onnx", "golden.npz", "report/report.html"):
        assert (shelf / "tiny" / "7" / name).read_bytes() == (folder / name).read_bytes()
    assert not (shelf / "tiny" / "7" / "tuning.json").exists()
    with Service(shelf) as running:
        assert running.classify(png(0)).json()["version"] == "7"


def test_a_version_is_published_into_a_repository_that_is_not_there_yet(tmp_path: Path):
    folder = publish(tmp_path / "elsewhere")
    assert hangtag.main(["models", "publish", str(folder), "--models", str(tmp_path / "new" / "models")]) == 0
    assert Repository(tmp_path / "new" / "models").names() == ["tiny"]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "card.json").unlink(), "card.json cannot be read"),
        (lambda folder: (folder / "golden.npz").unlink(), "golden.npz cannot be read"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"another"), "model.onnx has the digest"),
        (lambda folder: rename(folder, "hats"), "the card was changed after the export"),
        (lambda folder: (shutil.rmtree(folder), publish_as_version_3(folder)), "is published already"),
        (lambda folder: (shutil.rmtree(folder), publish_wrong(folder)), "golden samples"),
    ],
    ids=["no card", "no golden samples", "another model", "renamed", "there already", "not as trained"],
)
def test_what_does_not_verify_whole_is_not_published_and_leaves_nothing(
    shelf: Path, on_shelf: OnShelf, tmp_path: Path, damage: Callable[[Path], object], complaint: str
):
    folder = publish(tmp_path / "elsewhere", card(version="7"))
    damage(folder)
    before = files(shelf)
    code, _, err = on_shelf("publish", str(folder))
    assert (code, files(shelf)) == (1, before)
    assert complaint in err


def rename(folder: Path, name: str) -> None:
    document = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(document | {"name": name}))


def publish_as_version_3(folder: Path) -> None:
    publish(folder.parent.parent, card(version="3")).rename(folder)


def publish_wrong(folder: Path) -> None:
    publish(folder.parent.parent, card(version="7"), graph(centres=(255, 128, 0)), trained=graph())


def test_a_card_cannot_name_what_lies_outside_of_its_folder(shelf: Path, on_shelf: OnShelf, tmp_path: Path):
    folder = publish(tmp_path / "elsewhere", card(version="7"))
    for name in ("../../planted", "/planted", "report/../../../planted"):
        document = json.loads((folder / "card.json").read_text())
        document["files"][name] = document["files"]["model.onnx"]
        (folder / "card.json").write_text(json.dumps(document))
        code, _, err = on_shelf("publish", str(folder))
        assert code == 1
        assert "does not stand beside the card" in err
    assert Repository(shelf).versions("tiny") == ["1", "2", "3"]


def test_a_repository_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = publish(tmp_path / "elsewhere")
    (tmp_path / "models").write_text("no folder")
    assert hangtag.main(["models", "publish", str(folder), "--models", str(tmp_path / "models")]) == 1
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_publication_that_is_interrupted_leaves_nothing(shelf: Path, tmp_path: Path):
    folder = publish(tmp_path / "elsewhere", card(version="7"), graph(extra=slow(products=20)))
    before = files(shelf)
    ran = subprocess.Popen(
        [*HANGTAG, "models", "publish", folder, "--models", shelf], stderr=subprocess.PIPE, text=True
    )
    while not list(shelf.glob("tiny/.staging-*/card.json")):
        assert ran.poll() is None
    ran.send_signal(signal.SIGINT)
    assert "interrupted" in ran.communicate(timeout=PATIENCE)[1]
    assert ran.returncode == 130
    assert files(shelf) == before


def test_gc_removes_what_no_label_names_but_the_newest(shelf: Path, on_shelf: OnShelf):
    for version in ("4", "5", "6"):
        publish(shelf, card(version=version))
    Rollout(stable="3", previous="1").write(shelf / "tiny")
    before = files(shelf)
    code, out, _ = on_shelf("gc", "tiny", "--dry-run")
    assert (code, files(shelf)) == (0, before)
    size = sum(path.stat().st_size for version in "24" for path in (shelf / "tiny" / version).iterdir())
    assert out.count("would be removed") == 2
    assert f"{size:,} bytes would be freed." in out
    code, out, _ = on_shelf("gc", "tiny")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()[:-1]] == [
        str(shelf / "tiny" / "2"),
        str(shelf / "tiny" / "4"),
    ]
    assert out.splitlines()[-1] == f"{size:,} bytes freed."
    assert Repository(shelf).versions("tiny") == ["1", "3", "5", "6"]
    assert not Repository(shelf).staged()
    assert on_shelf("gc", "--all", "--keep", "1")[1].count("removed") == 1
    assert Repository(shelf).versions("tiny") == ["1", "3", "6"]


def test_gc_removes_what_was_staged_long_ago_and_nothing_that_is_written_now(shelf: Path, on_shelf: OnShelf):
    repository = Repository(shelf)
    left, now = repository.stage("tiny"), repository.stage("tiny")
    (left / "model.onnx").write_bytes(b"half of it")
    (now / "model.onnx").write_bytes(b"half of it")
    os.utime(left, (time.time() - TWO_DAYS,) * 2)
    code, out, _ = on_shelf("gc", "hats")
    assert (code, out) == (0, "0 bytes freed.\n")
    code, out, _ = on_shelf("gc", "--all", "--keep", "9")
    assert (code, out.splitlines()[-1]) == (0, "10 bytes freed.")
    assert repository.staged() == [now]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name a model, or say --all"),
        (["tiny", "--all"], "Name a model, or say --all"),
        (["tiny", "--keep", "0"], "--keep: Input should be greater than or equal to 1"),
    ],
)
def test_gc_has_to_know_what_it_is_to_keep(on_shelf: OnShelf, arguments: list[str], complaint: str):
    code, _, err = on_shelf("gc", *arguments)
    assert code == 2
    assert complaint in err


def test_gc_removes_nothing_of_a_model_whose_labels_cannot_be_read(shelf: Path, on_shelf: OnShelf):
    (shelf / "tiny" / "rollout.json").write_text("{")
    assert on_shelf("gc", "tiny", "--keep", "1")[0] == 1
    assert Repository(shelf).versions("tiny") == ["1", "2", "3"]

"""A damaged artifact never answers: not a file cut short, swapped, edited or missing, not even with mended digests."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from artifact.card import ModelCard
from artifact.digest import digest_files
from artifact.errors import ArtifactError
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.repository import MODEL_FILE, Repository
from artifact.session import Session
from graphs import graph
from support import LABELS, Service, card, png, publish, sealed


@dataclass(frozen=True)
class Scene:
    """A whole version, and others whose files may get into it."""

    folder: Path
    newer: Path  # of the same model, another network
    other: Path  # of another model, with other labels

    @property
    def model(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def golden(self) -> Path:
        return self.folder / GOLDEN_FILE

    @property
    def card(self) -> Path:
        return self.folder / "card.json"


def scene(root: Path, elsewhere: Path, name: str) -> Scene:
    """A version in a repository, and the others in another one."""
    described, other = card(name), card("other", labels=("dark", "light"))
    newer = described.model_copy(update={"version": "2", "labels": LABELS[::-1]})
    return Scene(
        publish(root, described, report=b"a page"),
        publish(elsewhere, newer, graph(centres=(255, 128, 0))),
        publish(elsewhere / name, other, graph(centres=(0, 255))),
    )


def edit(at: Scene, **changes: object) -> None:
    at.card.write_text(json.dumps(json.loads(at.card.read_text()) | changes))


def mend(at: Scene) -> None:
    """Write the digests of the files that are there now on the card, as somebody would who knows how."""
    edit(at, files=digest_files(at.folder, ModelCard.read(at.folder).files))


def take(at: Scene, file: str, source: Path, *, mended: bool = False) -> None:
    shutil.copyfile(source / file, at.folder / file)
    if mended:
        mend(at)


def put(at: Scene, file: str, data: bytes) -> None:
    (at.folder / file).write_bytes(data)
    mend(at)


def replace_whole(at: Scene, source: Path) -> None:
    shutil.rmtree(at.folder)
    shutil.copytree(source, at.folder)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_loop(path: Path) -> None:
    """A link that leads to another one, which leads back."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    back = path.with_name("back")
    path.symlink_to(back)
    back.symlink_to(path)


def change_golden(at: Scene, **changes: object) -> None:
    replace(GoldenSamples.load(at.golden), **changes).save(at.golden)
    mend(at)


DAMAGE: dict[str, Callable[[Scene], object]] = {
    "model without its last byte": lambda at: at.model.write_bytes(at.model.read_bytes()[:-1]),
    "model with a byte more": lambda at: at.model.write_bytes(at.model.read_bytes() + b"\0"),
    "model empty": lambda at: at.model.write_bytes(b""),
    "model empty, mended": lambda at: put(at, MODEL_FILE, b""),
    "model cut in half, mended": lambda at: put(at, MODEL_FILE, at.model.read_bytes()[: at.model.stat().st_size // 2]),
    "model of another version": lambda at: take(at, MODEL_FILE, at.newer),
    "model of another version, mended": lambda at: take(at, MODEL_FILE, at.newer, mended=True),
    "model of another name": lambda at: take(at, MODEL_FILE, at.other),
    "model of another name, mended": lambda at: take(at, MODEL_FILE, at.other, mended=True),
    "model without a card inside, mended": lambda at: put(at, MODEL_FILE, graph().SerializeToString()),
    "model with other weights and the right card inside, mended": lambda at: put(
        at, MODEL_FILE, sealed(graph(centres=(255, 128, 0)), ModelCard.read(at.folder))
    ),
    "a folder in the place of the model": lambda at: make_folder(at.model),
    "a link in a circle in the place of the model": lambda at: make_loop(at.model),
    "golden samples empty": lambda at: at.golden.write_bytes(b""),
    "golden samples empty, mended": lambda at: put(at, GOLDEN_FILE, b""),
    "golden samples that are none, mended": lambda at: put(at, GOLDEN_FILE, b"no archive"),
    "golden samples cut short, mended": lambda at: put(at, GOLDEN_FILE, at.golden.read_bytes()[:-30]),
    "golden samples of another model": lambda at: take(at, GOLDEN_FILE, at.other),
    "golden samples of another model, mended": lambda at: take(at, GOLDEN_FILE, at.other, mended=True),
    "golden samples of another version, mended": lambda at: take(at, GOLDEN_FILE, at.newer, mended=True),
    "golden scores of another number, mended": lambda at: change_golden(at, scores=np.zeros((3, 1), np.float32)),
    "golden scores that are no numbers, mended": lambda at: change_golden(
        at, scores=np.full((3, 3), np.nan, np.float32)
    ),
    "golden photos that are none, mended": lambda at: change_golden(at, images=(b"no", b"such", b"photo")),
    "a folder in the place of the golden samples": lambda at: make_folder(at.golden),
    "a link to nothing in the place of the golden samples": lambda at: (
        at.golden.unlink(),
        at.golden.symlink_to("nothing"),
    ),
    "report changed": lambda at: (at.folder / "report" / "report.html").write_bytes(b"another page"),
    "report missing": lambda at: shutil.rmtree(at.folder / "report"),
    "card empty": lambda at: at.card.write_bytes(b""),
    "card that is a list": lambda at: at.card.write_text("[]"),
    "card that is nothing": lambda at: at.card.write_text("null"),
    "card of brackets": lambda at: at.card.write_text("[" * 100_000),
    "card of another version": lambda at: take(at, "card.json", at.newer),
    "card of another name": lambda at: take(at, "card.json", at.other),
    "card with another version": lambda at: edit(at, version="2"),
    "card with a label renamed": lambda at: edit(at, labels=["dark", "middle", "bright"]),
    "card with a label less": lambda at: edit(at, labels=["dark", "middle"]),
    "card with a threshold that is no number": lambda at: edit(at, accept_threshold=float("nan")),
    "card with a threshold of nothing": lambda at: edit(at, accept_threshold=0.0),
    "card with another temperature": lambda at: edit(at, temperature=2.0),
    "card with another description": lambda at: edit(at, description="Tells light pictures from dark ones."),
    "card with no digests": lambda at: edit(at, files={}),
    "card that names a file elsewhere": lambda at: edit(
        at, files=ModelCard.read(at.folder).files | digest_files(at.folder, ["../1/card.json"])
    ),
    "a folder in the place of the card": lambda at: make_folder(at.card),
    "a link in a circle in the place of the card": lambda at: make_loop(at.card),
    "all files of another version": lambda at: replace_whole(at, at.newer),
    "all files of another model": lambda at: replace_whole(at, at.other),
    "a link in a circle in the place of the version": lambda at: make_loop(at.folder),
    "an empty folder": lambda at: (shutil.rmtree(at.folder), at.folder.mkdir()),
}


def answer(root: Path, name: str) -> None:
    """All that the service does with a version before it answers."""
    artifact = Repository(root).open(name, "1")
    session = Session(artifact.model, artifact.card)
    artifact.golden.verify(session.run, artifact.card.input, tolerance=artifact.card.export.golden_tolerance)


@pytest.mark.parametrize("kind", DAMAGE)
def test_no_damaged_artifact_ever_gets_to_answer(tmp_path: Path, kind: str):
    at = scene(tmp_path / "models", tmp_path / "elsewhere", "tiny")
    answer(tmp_path / "models", "tiny")
    DAMAGE[kind](at)
    with pytest.raises(ArtifactError):
        answer(tmp_path / "models", "tiny")


def test_no_damaged_artifact_ever_answers_a_request_and_the_others_go_on(tmp_path: Path):
    names = {f"damaged-{number}": kind for number, kind in enumerate(DAMAGE)}
    publish(tmp_path / "models")
    for name, kind in names.items():
        DAMAGE[kind](scene(tmp_path / "models", tmp_path / "elsewhere" / name, name))
    with Service(tmp_path / "models") as running:
        for name, kind in names.items():
            refused = running.classify(png(0), model=name)
            assert (refused.status_code, refused.json()["code"]) in {
                (503, "model_unavailable"),
                (404, "model_not_found"),
            }, kind
            assert running.classify(png(0)).status_code == 200
        assert running.metric("hangtag_items_total", model_name="tiny", outcome="ok") == len(names)
    assert "not foreseen" not in running.log

"""A damaged artifact is never opened: each kind of damage is tried."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from artifact.card import ModelCard
from artifact.errors import (
    ArtifactError,
    CardInvalid,
    DigestMismatch,
    ModelMismatch,
    ModelNotFound,
    RepositoryEmpty,
    VersionExists,
    VersionNotFound,
)
from artifact.repository import Repository
from artifact.session import Session
from graphs import graph
from support import card, publish


def load(root: Path) -> None:
    """What the service does with an artifact before it may answer."""
    artifact = Repository(root).open("tiny", "1")
    Session(artifact.model, artifact.card)


def edit_card(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "card.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_was_published_is_found_and_opened(tmp_path: Path):
    for name, version in (("shoes", "1"), ("tiny", "2"), ("tiny", "10")):
        publish(tmp_path, card(name=name, version=version))
    repository = Repository(tmp_path)
    assert repository.names() == ["shoes", "tiny"]
    assert repository.versions("tiny") == ["2", "10"]
    assert repository.next_version("tiny") == "11"
    assert repository.next_version("hats") == "1"
    artifact = repository.open("tiny", "10")
    assert artifact.card.version == "10"
    assert len(artifact.golden.images) == 3


DAMAGE: dict[str, tuple[Callable[[Path], object], type[ArtifactError], str]] = {
    "model with a flipped bit": (lambda f: flip_a_bit(f / "model.onnx"), DigestMismatch, "model.onnx has the digest"),
    "model cut short": (lambda f: (f / "model.onnx").write_bytes(b"onnx"), DigestMismatch, "model.onnx has the digest"),
    "model missing": (lambda f: (f / "model.onnx").unlink(), DigestMismatch, "model.onnx cannot be read"),
    "golden samples with a flipped bit": (lambda f: flip_a_bit(f / "golden.npz"), DigestMismatch, "golden.npz"),
    "golden samples missing": (lambda f: (f / "golden.npz").unlink(), DigestMismatch, "golden.npz cannot be read"),
    "card missing": (lambda f: (f / "card.json").unlink(), CardInvalid, "card.json cannot be read"),
    "card cut short": (lambda f: (f / "card.json").write_text('{"name":'), CardInvalid, "is not a valid card"),
    "card that is no text": (lambda f: (f / "card.json").write_bytes(b"\xff\xfe"), CardInvalid, "is not a valid card"),
    "card with an unknown key": (lambda f: edit_card(f, lambda c: c.update(colour=1)), CardInvalid, "colour"),
    "card of a later schema": (
        lambda f: edit_card(f, lambda c: c.update(schema_version=2)),
        CardInvalid,
        "schema_version",
    ),
    "card with a label twice": (
        lambda f: edit_card(f, lambda c: c.update(labels=["a", "a", "b"])),
        CardInvalid,
        "labels",
    ),
    "card of another model": (
        lambda f: edit_card(f, lambda c: c.update(name="hats")),
        CardInvalid,
        "is the card of hats 1",
    ),
    "card without the model's digest": (
        lambda f: edit_card(f, lambda c: c["files"].pop("model.onnx")),
        CardInvalid,
        "names no digest for model.onnx",
    ),
    "labels swapped on the card": (
        lambda f: edit_card(f, lambda c: c["labels"].reverse()),
        DigestMismatch,
        "the card was changed after the export",
    ),
    "threshold lowered on the card": (
        lambda f: edit_card(f, lambda c: c.update(accept_threshold=0.1)),
        DigestMismatch,
        "the card was changed after the export",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_artifact_is_refused_with_the_file_that_is_wrong(tmp_path: Path, kind: str):
    folder = publish(tmp_path)
    load(tmp_path)
    damage, error, message = DAMAGE[kind]
    damage(folder)
    with pytest.raises(error, match=re.escape(message)):
        load(tmp_path)


def older_card() -> ModelCard:
    """A card as it was written before it had keys for the accept precision, the size, the tolerance and INT8."""
    written = json.loads(card().model_dump_json())
    del written["accept_precision"]
    for key in ("model_bytes", "golden_tolerance", "quantised"):
        del written["export"][key]
    return ModelCard.model_validate(written)


def test_a_model_published_before_a_key_was_added_to_the_card_still_verifies(tmp_path: Path):
    folder = publish(tmp_path, older_card())
    written = json.loads((folder / "card.json").read_text())
    for key in ("golden_tolerance", "model_bytes", "quantised"):
        written["export"].pop(key)
    written.pop("accept_precision")
    (folder / "card.json").write_text(json.dumps(written, indent=2))
    load(tmp_path)
    edit_card(folder, lambda c: c["export"].update(golden_tolerance=0.2))
    with pytest.raises(DigestMismatch, match="the card was changed after the export"):
        load(tmp_path)


def test_a_digest_mismatch_names_both_digests(tmp_path: Path):
    folder = publish(tmp_path)
    flip_a_bit(folder / "model.onnx")
    with pytest.raises(DigestMismatch) as caught:
        load(tmp_path)
    assert len(re.findall(r"sha256:[0-9a-f]{64}", str(caught.value))) == 2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (graph(image="picture"), "inputs are"),
        (graph(scores="probabilities"), "outputs are"),
        (graph(centres=(0, 255)), "outputs are"),
        (graph(spec=card().input.model_copy(update={"height": 9})), "inputs are"),
    ],
)
def test_a_graph_that_is_not_as_its_card_says_is_refused(tmp_path: Path, model, message: str):
    with pytest.raises(ModelMismatch, match=message):
        publish(tmp_path, model=model)


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(ModelMismatch, match="not a valid model"):
        Session(b"\x00 no model", card())


def test_a_version_is_published_once(tmp_path: Path):
    folder = publish(tmp_path)
    before = (folder / "card.json").read_bytes()
    with pytest.raises(VersionExists, match="never changes"):
        publish(tmp_path, card().model_copy(update={"description": "another"}))
    assert (folder / "card.json").read_bytes() == before


def test_what_is_only_staged_is_not_seen(tmp_path: Path):
    repository = Repository(tmp_path)
    repository.stage("tiny")
    with pytest.raises(RepositoryEmpty):
        repository.names()
    with pytest.raises(ModelNotFound):
        repository.versions("tiny")


@pytest.mark.parametrize("name", ["..", "../models/tiny", "/", "", ".staging-1", "Tiny"])
def test_a_name_is_never_a_path(models: Path, name: str):
    with pytest.raises(ModelNotFound):
        Repository(models).open(name, "1")


@pytest.mark.parametrize("version", ["2", "..", "01", "latest"])
def test_an_unknown_version_is_refused(models: Path, version: str):
    with pytest.raises(VersionNotFound):
        Repository(models).open("tiny", version)

import io

import numpy as np
from PIL import Image

import hangtag
from artifact.card import RunCard
from artifact.golden import GoldenSamples
from drawn import draw_dataset, write_recipe
from training.veil import veil, veil_all


def test_a_veiled_photo_has_no_more_than_8_cells_along_its_longer_side():
    photo = np.random.default_rng(0).integers(0, 256, (64, 48, 3)).astype(np.uint8)
    veiled = veil(photo)
    assert veiled.shape == photo.shape
    assert len(np.unique(veiled.reshape(-1, 3), axis=0)) <= 8 * 6
    assert np.array_equal(veiled[:8, :8], np.broadcast_to(veiled[0, 0], (8, 8, 3)))
    assert abs(float(veiled.mean()) - float(photo.mean())) < 1


def test_grey_photos_and_many_at_once_are_veiled_alike():
    photos = np.random.default_rng(0).integers(0, 256, (2, 3, 28, 28, 1)).astype(np.uint8)
    assert np.array_equal(veil_all(photos)[1, 2], veil(photos[1, 2]))


def test_a_model_of_photos_that_may_not_be_passed_on_carries_none(tmp_path):
    root = draw_dataset(tmp_path / "data", 12)
    recipe = write_recipe(tmp_path, seeds="1", epochs="2", licence='"not stated"\nshare_photos = false')
    assert hangtag.main(["train", str(recipe), "--data", str(root), "--runs", str(tmp_path / "runs")]) == 0
    [run] = (tmp_path / "runs").iterdir()
    originals = {path.read_bytes() for path in (root / "drawn").rglob("*.png")}
    golden = GoldenSamples.load(run / "golden.npz")
    assert originals.isdisjoint(golden.images)
    assert RunCard.read(run).labels == ("blue", "green", "red")
    for image in golden.images:
        photo = np.asarray(Image.open(io.BytesIO(image)))
        assert np.array_equal(photo, veil(photo))
    assert "may not be passed on" in (run / "report" / "report.html").read_text()

from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import draw_scenes, scene
from training.files import SPLITS
from training.folders import Folders
from training.near import fingerprint, near_groups
from training.split import deal

SHARES = {"validation": 0.15, "test": 0.15}


def saved(photo: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = BytesIO()
    photo.save(out, kind, **options)
    return out.getvalue()


def where(dataset: Folders) -> dict[str, str]:
    return {photo.name: split for split in SPLITS for photo in dataset.photos(split)}


def dealt(labels: list[int], groups: list[int], **changes) -> list[str]:
    digests = [f"{number:04}" for number in range(len(labels))]
    return deal(labels, groups, digests, **{"shares": SHARES, "seed": 1} | changes)


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: saved(photo, "JPEG", quality=50),
        lambda photo: saved(photo, "WEBP"),
        lambda photo: saved(photo.resize((90, 120))),
        lambda photo: saved(photo.point(lambda value: value * 0.9)),
        lambda photo: saved(photo.convert("L")),
    ],
    ids=["saved anew", "another format", "resized", "darker", "grey"],
)
def test_a_photo_that_was_changed_a_little_is_a_near_duplicate(change):
    prints = [fingerprint(saved(scene(number))) for number in range(5)]
    assert near_groups(np.array([*prints, fingerprint(change(scene(3)))])).tolist() == [0, 1, 2, 3, 4, 3]


def test_whoever_is_near_one_of_a_group_belongs_to_it():
    chain = np.zeros((4, 4), np.uint64)
    chain[1, 0], chain[2, 0], chain[3, 3] = 2**20 - 1, 2**40 - 1, 2**64 - 1
    assert near_groups(chain, at_most=20).tolist() == [0, 0, 0, 1]
    assert near_groups(chain, at_most=19).tolist() == [0, 1, 2, 3]
    assert near_groups(chain[:0]).tolist() == []


def test_groups_do_not_depend_on_how_many_are_compared_at_once(monkeypatch: pytest.MonkeyPatch):
    prints = np.random.default_rng(0).integers(0, 2**64, (300, 4), np.uint64)
    prints[::7] = prints[0] ^ np.random.default_rng(1).integers(0, 2**8, (43, 4), np.uint64)
    at_once = near_groups(prints)
    assert len(set(at_once[::7])) == 1
    monkeypatch.setattr("training.near._PAIRS_AT_ONCE", 1)
    assert np.array_equal(near_groups(prints), at_once)


def test_ten_thousand_copies_of_one_photo_are_one_group():
    assert not near_groups(np.ones((10_000, 4), np.uint64)).any()


@pytest.mark.parametrize("sizes", [(3, 3), (100, 7), (1000, 4, 40), (20, 20, 20)])
def test_every_label_is_held_out_in_its_share_but_at_least_once(sizes: tuple[int, ...]):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    splits = dealt(labels, list(range(len(labels))))
    for label, size in enumerate(sizes):
        counts = Counter(split for split, of in zip(splits, labels, strict=True) if of == label)
        assert counts["validation"] == counts["test"] == max(1, round(0.15 * size))


def test_groups_stay_on_one_side_and_shares_come_close():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(400), random.integers(1, 5, 400)).tolist()
    labels = random.integers(0, 3, len(groups)).tolist()  # groups with photos of several labels, too
    splits = dealt(labels, groups)
    assert all(len({s for s, g in zip(splits, groups, strict=True) if g == group}) == 1 for group in range(400))
    for label in range(3):
        counts = Counter(split for split, of in zip(splits, labels, strict=True) if of == label)
        for split in SHARES:
            assert counts[split] / counts.total() == pytest.approx(0.15, abs=0.02)


def test_a_label_in_few_groups_is_on_every_side_if_it_can_be():
    assert sorted(dealt([0] * 12, [0] * 4 + [1] * 4 + [2] * 4)) == ["test"] * 4 + ["train"] * 4 + ["validation"] * 4


def test_the_seed_decides_and_the_order_does_not():
    labels, groups = [0, 1] * 50, list(range(100))
    digests = [f"{number:04}" for number in range(100)]
    one = deal(labels, groups, digests, SHARES, seed=1)
    assert deal(labels, groups, digests, SHARES, seed=1) == one
    assert deal(labels, groups, digests, SHARES, seed=2) != one
    assert deal(labels[::-1], groups, digests[::-1], SHARES, seed=1) == one[::-1]


def test_the_same_photos_are_held_out_wherever_they_stand_and_whatever_they_are_called(tmp_path: Path):
    here = draw_scenes(tmp_path / "here", a=range(20), b=range(20, 40))
    there = draw_scenes(tmp_path / "there", a=range(20), b=range(20, 40))
    for photo in sorted(there.rglob("*.png")):
        photo.rename(photo.with_name(f"{999 - int(photo.stem)}.png"))
    renamed = {
        f"{Path(name).parent}/{999 - int(Path(name).stem):03}.png": split
        for name, split in where(Folders(there)).items()
    }
    assert renamed == where(Folders(here))


def test_near_duplicates_stay_on_one_side_whatever_their_labels_are(tmp_path: Path):
    root = draw_scenes(tmp_path / "shop", a=range(20), b=range(20, 40))
    for number in range(20):
        scene(number).resize((90, 120)).save(root / "b" / f"copy-{number:03}.jpg", quality=70)
    splits = where(Folders(root, validation=0.2, test=0.2))
    assert all(splits[f"a/{number:03}.png"] == splits[f"b/copy-{number:03}.jpg"] for number in range(20))
    assert Counter(split for name, split in splits.items() if name.startswith("a")) == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("furniture", {"train": 207, "validation": 24, "test": 24}),
        ("trousers-jeans", {"train": 671, "validation": 84, "test": 84}),
    ],
)
def test_real_product_photos_are_split_in_their_shares(real_root: Path, name: str, counts: dict[str, int]):
    if not (real_root / name).is_dir():
        pytest.skip(f"{name} is not in {real_root}")
    assert Counter(where(Folders(real_root / name)).values()) == counts


def test_the_same_furniture_in_another_colour_is_on_the_same_side(real_root: Path):
    if not (real_root / "furniture").is_dir():
        pytest.skip(f"furniture is not in {real_root}")
    splits = where(Folders(real_root / "furniture", seed=5))
    sofas = [split for name, split in splits.items() if name.startswith("sofa/Bag Sofa Velvet")]
    assert len(sofas) > 3
    assert len(set(sofas)) == 1

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from artifact.card import InputSpec, Resize
from artifact.errors import DataError
from artifact.pixels import decode
from artifact.samples import Samples
from drawn import draw_dataset
from training.data import digest_samples, first_of_each_label, hold_out, load_samples
from training.fashion_mnist import FashionMnist, read_idx
from training.files import SPLITS
from training.folders import Folders
from training.mapped import Mapped

GREY = InputSpec(height=28, width=28, channels=1, resize=Resize(fit="stretch"))
SMALL = InputSpec(height=12, width=12, channels=3, resize=Resize(fit="pad"))


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes())


def test_an_idx_file_is_read_with_its_shape(tmp_path: Path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(idx(array))
    assert np.array_equal(read_idx(tmp_path / "a.gz"), array)


@pytest.mark.parametrize(
    "content",
    [
        idx(np.zeros((9, 9), np.uint8))[:-9],
        b"",
        b"no gzip",
        gzip.compress(b""),
        gzip.compress(b"\0\0\x08\x02\0\0"),
        gzip.compress(b"\0\0\x08\x01\0\0\0\x05four"),
        gzip.compress(b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0"),
    ],
    ids=["truncated", "empty", "no gzip", "nothing inside", "header cut", "too short", "floats"],
)
def test_a_damaged_idx_file_is_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.gz is not a whole"):
        read_idx(tmp_path / "a.gz")


def test_fashion_mnist_reaches_the_model_bit_for_bit(real_root: Path):
    photos = list(FashionMnist(real_root).photos("test"))
    images = read_idx(real_root / "fashion-mnist" / "t10k-images-idx3-ubyte.gz")
    assert len(photos) == len(images) == 10_000
    for photo, image in zip(photos[::97], images[::97], strict=True):
        assert np.array_equal(decode(photo.data, GREY)[:, :, 0], image)


def test_validation_is_held_out_of_training_evenly_and_always_the_same(tmp_path: Path):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(200, dtype=np.uint8) % 10))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(idx(np.zeros((200, 28, 28), np.uint8)))
    dataset = FashionMnist(tmp_path, validation=0.1, seed=1)
    validation = list(dataset.photos("validation"))
    training = {photo.name for photo in dataset.photos("train")}
    assert np.bincount([photo.label for photo in validation]).tolist() == [2] * 10
    assert len(training) == 180
    assert training.isdisjoint(photo.name for photo in validation)
    assert validation == list(FashionMnist(tmp_path, validation=0.1, seed=1).photos("validation"))


def test_what_is_held_out_has_each_label_in_its_share():
    labels = np.array([0] * 100 + [1] * 30 + [2], np.int64)
    held = hold_out(labels, 0.1, seed=5)
    assert np.bincount(labels[held]).tolist() == [10, 3, 1]
    assert not np.array_equal(held, hold_out(labels, 0.1, seed=6))


def test_folders_without_a_split_are_split_without_overlap(tmp_path: Path):
    dataset = Folders(draw_dataset(tmp_path) / "drawn", validation=0.2, test=0.1)
    names = {split: [photo.name for photo in dataset.photos(split)] for split in ("train", "validation", "test")}
    assert dataset.labels == ("blue", "green", "red")
    assert {split: len(found) for split, found in names.items()} == {"train": 84, "validation": 24, "test": 12}
    assert len({name for found in names.values() for name in found}) == 120


def test_a_split_that_folders_bring_is_kept(tmp_path: Path):
    for split in ("train", "validation", "test"):
        draw_dataset(tmp_path / split, count=1)
        (tmp_path / split / "drawn").rename(tmp_path / split / "labels")
        for label in (tmp_path / split / "labels").iterdir():
            label.rename(tmp_path / split / label.name)
        (tmp_path / split / "labels").rmdir()
    photos = list(Folders(tmp_path).photos("validation"))
    assert [photo.name for photo in photos] == [f"validation/{label}/000.png" for label in ("blue", "green", "red")]
    assert [photo.label for photo in photos] == [0, 1, 2]


def test_hidden_files_are_no_photos(tmp_path: Path):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    (root / "blue" / ".DS_Store").write_bytes(b"x")
    (root / ".git").mkdir()
    assert len(load_samples(Folders(root), "train", SMALL).names) == 6


def test_photos_that_cannot_be_decoded_are_skipped_and_named(tmp_path: Path):
    root = draw_dataset(tmp_path, count=10) / "drawn"
    (root / "blue" / "003.png").write_bytes(b"no photo")
    (root / "red" / "notes.txt").write_bytes(b"")
    loaded = load_samples(Folders(root), "train", SMALL)
    assert loaded.skipped == ("blue/003.png (image_type_unsupported)", "red/notes.txt (image_empty)")
    assert loaded.names[0] == "blue/000.png"
    assert len(loaded.names) == len(loaded.samples.pixels) == len(loaded.samples.labels) == 23
    assert not {"blue/003.png", "red/notes.txt"} & set(loaded.names)


def test_what_cannot_be_decoded_takes_no_place_in_what_is_held_out(tmp_path: Path):
    root = draw_dataset(tmp_path, count=5) / "drawn"
    for name in ("a.png", "b.png"):
        (root / "red" / name).write_bytes(b"no photo")
    dataset = Folders(root)
    assert [len(load_samples(dataset, split, SMALL).names) for split in SPLITS] == [9, 3, 3]
    assert not any(load_samples(dataset, split, SMALL).skipped for split in ("validation", "test"))


def test_a_label_that_lost_more_than_half_of_its_photos_is_an_error_that_names_them(tmp_path: Path):
    root = draw_dataset(tmp_path, count=20) / "drawn"
    for photo in sorted((root / "red").iterdir())[:13]:
        photo.write_bytes(b"no photo")
    words = (
        r"^13 of the 18 photos of red in the train split of drawn cannot be decoded: red/000.png .* and 3 more; replace"
    )
    with pytest.raises(DataError, match=words):
        load_samples(Folders(root), "train", SMALL)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: [p.unlink() for p in (root / "red").iterdir()], "There is no photo of red in the train split"),
        (
            lambda root: [p.unlink() for p in list((root / "red").iterdir())[2:]],
            "no photo of red in the train split of drawn; .* three or more that are no near-duplicates",
        ),
        (
            lambda root: (root / "train" / "red").mkdir(parents=True),
            "has blue, green, red beside train; beside it there",
        ),
        (lambda root: (root / "red" / "more").mkdir(), "more is a folder; in a label's folder there should be photos"),
        (lambda root: root.rename(root.with_name("gone")), "drawn cannot be read .* should be a folder of photos"),
    ],
    ids=["an empty label", "too few photos", "no split", "a folder in a label", "no folder"],
)
def test_a_folder_that_cannot_be_learnt_from_says_why(tmp_path: Path, spoil, words: str):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    spoil(root)
    with pytest.raises(DataError, match=words):
        [load_samples(Folders(root), split, SMALL) for split in SPLITS]


def test_files_beside_the_labels_are_strays_and_not_used(tmp_path: Path):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    (root / "LICENSE").write_text("CC0")
    assert Folders(root).strays == ("LICENSE",)
    assert Folders(root).labels == ("blue", "green", "red")


def test_one_label_is_nothing_to_choose_from(tmp_path: Path):
    with pytest.raises(DataError, match="has no folder; it needs a folder of photos for each label"):
        Folders(tmp_path)
    (tmp_path / "only").mkdir()
    with pytest.raises(DataError, match=r"has only only; .* at least two labels"):
        Folders(tmp_path)


@pytest.mark.parametrize(
    ("brought", "counts"),
    [
        (("train", "test"), {"train": 27, "validation": 3, "test": 30}),
        (("train", "validation"), {"train": 24, "validation": 30, "test": 6}),
        (("train",), {"train": 21, "validation": 3, "test": 6}),
    ],
)
def test_a_split_that_folders_do_not_bring_is_held_out_of_train(tmp_path: Path, brought, counts: dict[str, int]):
    for split in brought:
        draw_dataset(tmp_path / ".drawing", count=10)
        (tmp_path / ".drawing" / "drawn").rename(tmp_path / split)
    dataset = Folders(tmp_path, validation=0.1, test=0.2)
    assert {split: len(list(dataset.photos(split))) for split in SPLITS} == counts
    held = [photo.name for split in SPLITS if split not in brought for photo in dataset.photos(split)]
    assert all(name.startswith("train/") for name in held)


def test_classes_stand_for_some_labels_in_the_recipes_order(tmp_path: Path):
    dataset = Mapped(Folders(draw_dataset(tmp_path, count=10) / "drawn"), {"warm": ["red"], "cold": ["green", "blue"]})
    assert dataset.labels == ("warm", "cold")
    assert [photo.label for photo in dataset.photos("test")] == [1, 1, 0]
    some = Mapped(Folders(tmp_path / "drawn"), {"warm": ["red"], "cold": ["blue"]})
    assert [photo.name.split("/")[0] for photo in some.photos("test")] == ["blue", "red"]


def test_classes_of_labels_that_are_not_there_are_answered_with_those_that_are(tmp_path: Path):
    dataset = Folders(draw_dataset(tmp_path, count=1) / "drawn")
    with pytest.raises(DataError, match=r"name pink, which drawn has not; its labels are blue, green, red\.$"):
        Mapped(dataset, {"warm": ["red", "pink"], "cold": ["blue"]})


def test_one_class_is_nothing_to_choose_from(tmp_path: Path):
    with pytest.raises(DataError, match="fewer than two labels"):
        Mapped(Folders(draw_dataset(tmp_path, count=1) / "drawn"), {"warm": ["red"]})


def test_a_file_name_of_any_bytes_can_be_written_down(tmp_path: Path):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    try:
        (root / "red" / "003.png").rename(root / "red" / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert r"red/\udcff.png" in {photo.name for split in SPLITS for photo in Folders(root).photos(split)}


def test_the_first_photos_of_each_label_are_chosen(tmp_path: Path):
    chosen = first_of_each_label(Folders(draw_dataset(tmp_path) / "drawn"), "validation", 2)
    assert [photo.label for photo in chosen] == [0, 0, 1, 1, 2, 2]


def test_a_photo_that_cannot_be_decoded_is_not_chosen(tmp_path: Path):
    draw_dataset(tmp_path / "validation", count=3)
    (tmp_path / "validation" / "drawn").rename(tmp_path / "train")
    (tmp_path / "train" / "blue" / "000.png").write_bytes(b"no photo")
    chosen = first_of_each_label(Folders(tmp_path), "train", 3)
    assert "train/blue/000.png" not in {photo.name for photo in chosen}


def test_the_digest_tells_pixels_labels_and_order_apart():
    def digest(pixels: list[int], labels: list[int]) -> str:
        return digest_samples([Samples(np.array(pixels, np.uint8).reshape(-1, 1, 1, 1), np.array(labels, np.int64))])

    digests = {digest([1, 2], [0, 1]), digest([1, 3], [0, 1]), digest([1, 2], [1, 1]), digest([2, 1], [1, 0])}
    assert len(digests) == 4
    assert digest([1, 2], [0, 1]) == digest([1, 2], [0, 1])

import gzip
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
from training.folders import SPLITS, Folders

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
    assert [photo.name for photo in photos] == [
        str(tmp_path / "validation" / label / "000.png") for label in ("blue", "green", "red")
    ]
    assert [photo.label for photo in photos] == [0, 1, 2]


def test_hidden_files_are_no_photos(tmp_path: Path):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    (root / "blue" / ".DS_Store").write_bytes(b"x")
    (root / ".git").mkdir()
    assert len(load_samples(Folders(root), "train", SMALL).names) == 6


def test_photos_that_cannot_be_read_are_named_all_at_once(tmp_path: Path):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    for label in ("blue", "red"):
        for photo in (root / label).iterdir():
            photo.write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"^4 photos cannot be read: .*blue.*image_type_unsupported.*red.*; replace"):
        load_samples(Folders(root), "train", SMALL)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: [p.unlink() for p in (root / "red").iterdir()], "red has no photos"),
        (lambda root: [p.unlink() for p in list((root / "red").iterdir())[2:]], "red has 2 photos; each split needs"),
        (lambda root: (root / "notes.txt").write_text(""), "notes.txt, which are not labels"),
        (lambda root: (root / "red" / "more").mkdir(), "more cannot be read .* should be a photo"),
        (lambda root: root.rename(root.with_name("gone")), "drawn cannot be read .* should be a folder of photos"),
    ],
    ids=["an empty label", "too few photos", "a stray file", "a folder in a label", "no folder"],
)
def test_a_folder_that_cannot_be_learnt_from_says_why(tmp_path: Path, spoil, words: str):
    root = draw_dataset(tmp_path, count=4) / "drawn"
    spoil(root)
    with pytest.raises(DataError, match=words):
        [list(Folders(root).photos(split)) for split in SPLITS]


def test_one_label_is_nothing_to_choose_from(tmp_path: Path):
    (tmp_path / "only").mkdir()
    with pytest.raises(DataError, match="at least two labels"):
        Folders(tmp_path)


def test_the_first_photos_of_each_label_are_chosen(tmp_path: Path):
    chosen = first_of_each_label(Folders(draw_dataset(tmp_path) / "drawn"), "validation", 2)
    assert [photo.label for photo in chosen] == [0, 0, 1, 1, 2, 2]


def test_the_digest_tells_pixels_labels_and_order_apart():
    def digest(pixels: list[int], labels: list[int]) -> str:
        return digest_samples([Samples(np.array(pixels, np.uint8).reshape(-1, 1, 1, 1), np.array(labels, np.int64))])

    digests = {digest([1, 2], [0, 1]), digest([1, 3], [0, 1]), digest([1, 2], [1, 1]), digest([2, 1], [1, 0])}
    assert len(digests) == 4
    assert digest([1, 2], [0, 1]) == digest([1, 2], [0, 1])

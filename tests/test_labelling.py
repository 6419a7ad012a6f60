"""From listed photos to what is found of them: which run together, who has a core meanwhile, and what is kept."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from artifact.errors import HangtagError, PhotoMissing, UnsupportedImageType
from artifact.repository import Repository
from catalog import labelling
from catalog.classifier import Classifier
from catalog.labelling import Turns, label
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import Found
from graphs import failing_at, graph, without_scores_at
from support import png, publish

GOOD = [png(shade) for shade in (0, 128, 255, 10, 200)]
BAD = b"no photo"


class Photo(bytes):
    """A photo's bytes, counted while they are in memory."""

    there = 0

    def __new__(cls, data: bytes) -> Self:
        cls.there += 1
        return super().__new__(cls, data)

    def __del__(self) -> None:
        type(self).there -= 1


class Album(Reader):
    """Has photos by their names."""

    def __init__(self, photos: dict[str, bytes]) -> None:
        super().__init__()
        self._photos = photos

    def read(self, listed: Listed) -> bytes:
        if listed.path not in self._photos:
            raise PhotoMissing(f"{listed.path} is not there.") from FileNotFoundError(listed.path)
        return Photo(self._photos[listed.path])


class Groups(Classifier):
    """Answers photos, and notes how many at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(Repository(root).open("tiny", "1"))
        self.sizes = list[int]()

    def scores(self, images: Sequence[bytes]) -> list[Found]:
        self.sizes.append(len(images))
        return super().scores(images)


class Laid(Turns):
    """Turns, and how often one was laid aside."""

    count = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        self.count += 1
        with super().aside():
            yield


def listed(names: Sequence[str]) -> list[Listed]:
    return [Listed(name, name) for name in names]


def said(found: Found) -> object:
    """What can be compared of it."""
    return (type(found), str(found)) if isinstance(found, HangtagError) else found.tolist()


@pytest.fixture
def groups(models: Path) -> Groups:
    return Groups(models)


@pytest.mark.parametrize("max_batch", [1, 2, 4])
@pytest.mark.parametrize(
    "images",
    [[], [BAD], [BAD, BAD, BAD], [BAD, *GOOD], [*GOOD, BAD], [*GOOD[:2], BAD, BAD, *GOOD[2:], b""], GOOD],
    ids=["none", "one bad", "all bad", "the first", "the last", "in the middle", "all good"],
)
def test_each_photo_gets_its_own_scores_or_error_whatever_is_beside_it(
    models: Path, images: list[bytes], max_batch: int
):
    classifier = Classifier(Repository(models).open("tiny", "1"), max_batch=max_batch)
    alone = [said(*classifier.scores([image])) for image in images]
    assert [said(each) for each in classifier.scores(images)] == alone


@pytest.mark.parametrize("extra", [failing_at, without_scores_at])
def test_a_photo_that_the_model_cannot_answer_takes_no_other_along(tmp_path: Path, extra):
    publish(tmp_path, model=graph(extra=extra(77)))
    classifier = Classifier(Repository(tmp_path).open("tiny", "1"), max_batch=4)
    found = classifier.scores([BAD, GOOD[0], png(77), GOOD[1], GOOD[2], BAD, GOOD[3], png(77)])
    codes = [each.code if isinstance(each, HangtagError) else int(np.argmax(each)) for each in found]
    bad, failed = UnsupportedImageType.code, "inference_failed"
    assert codes == [bad, 0, failed, 1, 2, bad, 0, failed]


def test_no_more_photos_are_in_hand_at_once_than_may_be(groups: Groups, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(labelling, "_HELD_BYTES", 3 * len(GOOD[0]) - 1)
    names = [str(number) for number in range(10)]
    album = Album(dict.fromkeys(names, GOOD[0]) | {"5": GOOD[0] * 3})
    found = label(listed(names), album, groups, Turns(1, groups.provider))
    assert len(found) == 10
    assert groups.sizes == [3, 3, 3, 1]


def test_a_turn_is_laid_aside_once_for_all_photos_that_come_slowly(groups: Groups, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(labelling, "_SLOW_SECONDS", 0.0)
    turns = Laid(1, groups.provider)
    with turns:
        label(listed(["0"] * 9), Album({"0": GOOD[0]}), groups, turns)
    assert turns.count == 1


def test_what_is_kept_of_a_photo_that_failed_keeps_no_photo_in_memory(groups: Groups):
    album = Album({"good": GOOD[0], "bad": BAD, "empty": b"", "cut": GOOD[0][:-20]})
    before = Photo.there
    gc.disable()
    try:
        found = label(
            listed(["good", "gone", "bad", "good", "empty", "cut", "good"]), album, groups, Turns(1, groups.provider)
        )
        assert Photo.there == before
    finally:
        gc.enable()
    codes = [each.code for each in found if isinstance(each, HangtagError)]
    assert codes == ["photo_missing", "image_type_unsupported", "image_empty", "image_truncated"]

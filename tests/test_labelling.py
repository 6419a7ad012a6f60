"""From listed photos to what is found of them: which run together, who has a core meanwhile, and what is kept."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from artifact.errors import PhotoMissing, UnsupportedImageType
from artifact.repository import Repository
from catalog import labelling
from catalog.classifier import Classifier
from catalog.labelling import Turns, group_size, label
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.rows import Found, joined
from graphs import failing_at, graph, telling_at, without_scores_at
from support import png, publish

GOOD = [png(shade) for shade in (0, 128, 255, 10, 200)]
BAD = b"no photo"


class Photo(bytes):
    """A photo's bytes, counted while they are in memory."""

    there = most = 0

    def __new__(cls, data: bytes) -> Self:
        cls.there += 1
        cls.most = max(cls.most, cls.there)
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


def said(found: Found) -> list[object]:
    """What can be compared of it, for each photo."""
    return [
        (type(found.errors[place]), str(found.errors[place])) if place in found.errors else scores
        for place, scores in enumerate(found.scores.tolist())
    ]


def found_of(classifier: Classifier, images: Sequence[bytes]) -> Found:
    return classifier.scores(classifier.decoded(iter(images), len(images)))


@pytest.fixture
def classifier(models: Path) -> Classifier:
    return Classifier(Repository(models).open("tiny", "1"))


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
    alone = [said(found_of(classifier, [image])) for image in images]
    assert [[each] for each in said(found_of(classifier, images))] == alone


@pytest.mark.parametrize("extra", [failing_at, without_scores_at])
def test_a_photo_that_the_model_cannot_answer_takes_no_other_along(tmp_path: Path, extra):
    publish(tmp_path, model=graph(extra=extra(77)))
    classifier = Classifier(Repository(tmp_path).open("tiny", "1"), max_batch=4)
    found = found_of(classifier, [BAD, GOOD[0], png(77), GOOD[1], GOOD[2], BAD, GOOD[3], png(77)])
    codes = {place: error.code for place, error in found.errors.items()}
    bad, failed = UnsupportedImageType.code, "inference_failed"
    assert codes == {0: bad, 2: failed, 5: bad, 7: failed}
    assert found.scores[[1, 3, 4, 6]].argmax(axis=1).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("marked", "mates"),
    [(0, {1, 3, 4}), (14, {13, 15}), (16, {20, 21, 22}), (31, set()), (33, {32, 34, 35}), (35, {32, 33, 34})],
)
@pytest.mark.parametrize("at_once", [16, 32, 48])
@pytest.mark.parametrize("held", [1, 10**6])
def test_photos_run_together_by_their_places_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marked: int, mates: set[int], at_once: int, held: int
):
    monkeypatch.setattr(labelling, "_HELD_BYTES", held)
    publish(tmp_path, model=graph(extra=telling_at(77)))
    classifier = Classifier(Repository(tmp_path).open("tiny", "1"), max_batch=4)
    photos = {str(place): png(64) for place in range(36)} | {str(marked): png(77)}
    photos |= {"2": BAD, "18": BAD}
    del photos["17"], photos["19"]
    names, turns = listed([str(place) for place in range(36)]), Turns(1, classifier.provider)
    found = joined(
        [
            label(names[start : start + at_once], Album(photos), classifier, turns)
            for start in range(0, len(names), at_once)
        ]
    )
    assert {place: type(error) for place, error in found.errors.items()} == {
        **dict.fromkeys((2, 18), UnsupportedImageType),
        **dict.fromkeys((17, 19), PhotoMissing),
    }
    usual = found_of(classifier, [png(64)]).scores[0]
    changed = {place for place, scores in enumerate(found.scores) if not np.allclose(scores, usual, atol=1e-3)}
    assert changed - found.errors.keys() - {marked} == mates


def test_no_more_photos_are_in_hand_at_once_than_may_be(classifier: Classifier, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(labelling, "_HELD_BYTES", 3 * len(GOOD[0]) - 1)
    monkeypatch.setattr(Photo, "most", Photo.there)
    before = Photo.there
    album = Album({"0": GOOD[0]})
    found = label(listed(["0"] * 60), album, classifier, Turns(1, classifier.provider))
    assert len(found.scores) == 60
    assert Photo.most - before == 3 + 1  # and the one that was decoded last


@pytest.mark.parametrize(
    ("max_batch", "held", "size"),
    [(4, 10**6, 64), (4, 47, 32), (4, 1, 16), (24, 10**6, 48), (100, 10**6, 100), (100, 1, 100)],
)
def test_a_thread_takes_whole_blocks_and_fewer_photos_where_they_are_large(
    models: Path, monkeypatch: pytest.MonkeyPatch, max_batch: int, held: int, size: int
):
    monkeypatch.setattr(labelling, "_HELD_PIXELS", held * 8 * 8)
    classifier = Classifier(Repository(models).open("tiny", "1"), max_batch=max_batch)
    assert group_size(classifier, Listed("a", "/a.png")) == size
    assert group_size(classifier, Listed("a", "/a.zip", "1 a.png")) == size
    assert group_size(classifier, Listed("a", "/a.tar", "1 2 a.png")) == size
    assert group_size(classifier, Listed("a", "/a.tar.gz", "1 2 a.png")) == classifier.block


@pytest.mark.parametrize(("each", "together", "count"), [(0.0, 0.0, 1), (1e9, 0.0, 0), (0.0, 1e9, 0)])
def test_a_turn_is_laid_aside_once_for_all_photos_that_come_slowly(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, each: float, together: float, count: int
):
    monkeypatch.setattr(labelling, "_SLOW_SECONDS", each)
    monkeypatch.setattr(labelling, "_PATIENCE_SECONDS", together)
    turns = Laid(1, classifier.provider)
    with turns:
        label(listed(["0"] * 9), Album({"0": GOOD[0]}), classifier, turns)
    assert turns.count == count
    assert turns.is_reading_slow == bool(count)


def test_after_photos_that_came_slowly_the_next_ones_are_read_without_a_turn_until_they_come_quickly(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
):
    turns, album = Laid(1, classifier.provider), Album({"0": GOOD[0]})

    def aside_for_one(patience: float) -> int:
        monkeypatch.setattr(labelling, "_PATIENCE_SECONDS", patience)
        before = turns.count
        label(listed(["0"]), album, classifier, turns)
        return turns.count - before

    with turns:
        assert [aside_for_one(1e9), aside_for_one(-1e9)] == [0, 1]
        assert [aside_for_one(-1e9), aside_for_one(1e9)] == [1, 1]
        assert [aside_for_one(1e9), aside_for_one(1e9)] == [0, 0]


def test_what_is_kept_of_a_photo_that_failed_keeps_no_photo_in_memory(classifier: Classifier):
    album = Album({"good": GOOD[0], "bad": BAD, "empty": b"", "cut": GOOD[0][:-20]})
    names = ["good", "gone", "bad", "good", "empty", "cut", "good"]
    before = Photo.there
    gc.disable()
    try:
        found = label(listed(names), album, classifier, Turns(1, classifier.provider))
        assert Photo.there == before
    finally:
        gc.enable()
    codes = [error.code for _, error in sorted(found.errors.items())]
    assert codes == ["photo_missing", "image_type_unsupported", "image_empty", "image_truncated"]

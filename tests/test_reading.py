"""A photo's bytes, or an error of its own that says what is wrong with it."""

import os
import tracemalloc
from pathlib import Path

import pytest

from artifact.errors import PhotoForbidden, PhotoMissing, PhotoTooLarge
from catalog.listed import Listed
from catalog.reading import Reader
from support import closed


def photo(path: Path) -> Listed:
    return Listed(path.name, str(path))


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_file_is_read_whole(tmp_path: Path, size: int):
    data = os.urandom(size)
    (tmp_path / "a.png").write_bytes(data)
    assert Reader(max_photo_bytes=1000).read(photo(tmp_path / "a.png")) == data


def test_a_file_that_is_too_large_is_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(bytes(1001))
    with pytest.raises(PhotoTooLarge, match=r"a\.png has more than 1000 bytes"):
        Reader(max_photo_bytes=1000).read(photo(tmp_path / "a.png"))


def test_a_small_photo_takes_no_more_memory_than_it_has_bytes(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(bytes(1000))
    reader = Reader()
    tracemalloc.start()
    reader.read(photo(tmp_path / "a.png"))
    assert tracemalloc.get_traced_memory()[1] < 500_000
    tracemalloc.stop()


def test_what_is_not_there_or_is_no_file_is_missing(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    reader = Reader()
    for name in ("pipe.png", "folder.png", "loop.png", "gone.png", "nothing.png", "pipe.png/a.png", "x" * 300):
        with pytest.raises(PhotoMissing, match=f"{Path(name).name[:5]}.* is not there, or is no file"):
            reader.read(photo(tmp_path / name))


def test_what_may_not_be_read_is_forbidden(tmp_path: Path):
    (tmp_path / "a.png").touch()
    with closed(tmp_path / "a.png"), pytest.raises(PhotoForbidden, match=r"a\.png may not be read"):
        Reader().read(photo(tmp_path / "a.png"))

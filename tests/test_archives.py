"""Photos come out of zip and tar files as they went in, by any number of threads; what is damaged is said."""

import bz2
import gzip
import io
import lzma
import os
import random
import resource
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import ZIP_STORED

import pytest

from artifact.errors import PhotoDamaged, PhotoMissing, PhotoTooLarge, SourceEmpty, SourceUnreadable
from catalog.disk import Disk
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.sources import list_photos
from catalog.unpacked import Unpacked
from catalog.zips import OpenZip
from support import packed, png, tarred

PHOTOS = {"a/2.png": png(2), "a/10.png": png(10), "b.JPG": png(3), "a/1.png": png(1), "\u00e9.png": png(9)}
TARS = ("tar", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz")
KINDS = ("zip", *TARS)


def archive(folder: Path, suffix: str, files: Mapping[str, bytes] = PHOTOS) -> Path:
    path = folder / f"shop.{suffix}"
    path.write_bytes(packed(files) if suffix == "zip" else tarred(files, suffix))
    return path


def listing(path: Path) -> list[Listed]:
    return [*list_photos([str(path)])]


@pytest.mark.parametrize("suffix", KINDS)
def test_photos_come_out_as_they_went_in_and_in_the_archives_order(tmp_path: Path, suffix: str):
    path = archive(tmp_path, suffix)
    photos = listing(path)
    assert [photo.path for photo in photos] == [f"{path}/{name}" for name in PHOTOS]
    assert [Reader().read(photo) for photo in photos] == [*PHOTOS.values()]
    assert photos == listing(path)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tgz"])
def test_threads_read_an_archive_side_by_side_in_any_order(tmp_path: Path, suffix: str):
    noise = random.Random(1)  # noqa: S311 - for a test
    files = {f"{index}.png": noise.randbytes(noise.randrange(3000)) for index in range(100)}
    photos = listing(archive(tmp_path, suffix, files))
    noise.shuffle(photos)
    reader = Reader()
    with ThreadPoolExecutor(8) as pool:
        for photo, data in zip(photos, pool.map(reader.read, photos), strict=True):
            assert data == files[photo.path.rpartition("/")[2]]


@pytest.mark.parametrize("suffix", KINDS)
def test_only_what_looks_like_a_photo_is_listed_and_the_rest_is_counted(tmp_path: Path, suffix: str):
    litter = {
        "a/readme.txt": b"x",
        "more.zip": b"x",
        ".hidden/1.png": b"x",
        "__MACOSX/._b.jpg": b"x",
        "a/._2.png": b"x",
    }
    path = archive(tmp_path, suffix, litter | PHOTOS)
    passed_over: Counter[str] = Counter()
    assert len([*list_photos([str(path)], passed_over=passed_over)]) == len(PHOTOS)
    assert passed_over == {".txt": 1, ".zip": 1}
    with pytest.raises(SourceEmpty, match="no photos in it; 2 files"):
        listing(archive(tmp_path, suffix, litter))


@pytest.mark.parametrize("suffix", KINDS)
def test_a_path_in_an_archive_is_only_a_name(tmp_path: Path, suffix: str):
    names = ["../../etc/a.png", "/b.png", "./c.png", "C:\\d.png", "e e.png"]
    path = archive(tmp_path, suffix, {name: png(index) for index, name in enumerate(names)})
    photos = listing(path)
    assert [photo.path for photo in photos] == [f"{path}/{name.removeprefix('./')}" for name in names]
    assert [Reader().read(photo) for photo in photos] == [png(index) for index in range(len(names))]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tar_is_read_with_long_and_foreign_names(tmp_path: Path, form: int):
    long = "/".join(["folder" * 4] * 6) + "/" + "n" * 60 + ".png"
    names = [long, "caf\udce9.png", "\u00e9.png", "a.png", "a\\b.png"]
    path = tmp_path / "shop.tar"
    path.write_bytes(tarred({name: png(index) for index, name in enumerate(names)}, form=form))
    photos = listing(path)
    assert [photo.path for photo in photos] == [f"{path}/{name}" for name in (long, r"caf\xe9.png", *names[2:])]
    assert [Reader().read(photo) for photo in photos] == [png(index) for index in range(len(names))]


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_photos_of_the_same_name_are_each_read(tmp_path: Path, suffix: str):
    path = tmp_path / f"shop.{suffix}"
    if suffix == "zip":
        path.write_bytes(packed({"a.png": png(1), "b.png": png(2)}).replace(b"b.png", b"a.png"))
    else:
        path.write_bytes(tarred({"a.png": png(1)})[:1024] + tarred({"a.png": png(2)}))
    assert [Reader().read(photo) for photo in listing(path)] == [png(1), png(2)]


def test_links_in_a_tar_file_are_counted(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(0))
    (tmp_path / "b.png").hardlink_to(tmp_path / "a.png")
    (tmp_path / "c.png").symlink_to("a.png")
    path = tmp_path / "shop.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a.png", "b.png", "c.png"):
            tar.add(tmp_path / name, name)
    passed_over: Counter[str] = Counter()
    assert [photo.path for photo in list_photos([str(path)], passed_over=passed_over)] == [f"{path}/a.png"]
    assert passed_over == {".png (a link)": 2}


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def scratched(data: bytes) -> bytes:
    middle = len(data) // 2
    return (
        data[: middle - 300] + bytes(value ^ 0xFF for value in data[middle - 300 : middle + 300]) + data[middle + 300 :]
    )


@pytest.mark.parametrize("damage", [cut, scratched, lambda _: b"", lambda _: b"no archive " * 99])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_damaged_archive_stops_the_listing(tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]):
    files = {f"{index}.png": random.Random(index).randbytes(400) for index in range(20)}  # noqa: S311 - for a test
    path = archive(tmp_path, suffix, files)
    path.write_bytes(damage(path.read_bytes()))
    if suffix == "zip" and damage is scratched:  # only its photos are damaged, one or two
        assert len(listing(path)) == len(files)
    else:
        with pytest.raises(SourceUnreadable, match=r"shop\..* is damaged|shop\..* cannot be read|no whole tar"):
            listing(path)


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz"])
def test_a_compressed_tar_file_with_a_wrong_check_sum_stops_the_listing(tmp_path: Path, suffix: str):
    path = archive(tmp_path, suffix, {"a.png": random.Random(1).randbytes(5000)})  # noqa: S311 - for a test
    data = bytearray(path.read_bytes())
    data[2500] ^= 1  # in the photo, which cannot be compressed, and so stands there as it is
    path.write_bytes(data)
    with pytest.raises(SourceUnreadable, match=r"no whole tar file of its kind \(.*(CRC|Corrupt)"):
        listing(path)


def test_one_damaged_photo_in_a_zip_file_is_an_error_of_its_own(tmp_path: Path):
    path = tmp_path / "shop.zip"
    path.write_bytes(packed(PHOTOS, ZIP_STORED).replace(PHOTOS["b.JPG"], bytes(len(PHOTOS["b.JPG"]))))
    reader, photos = Reader(), listing(path)
    with pytest.raises(PhotoDamaged, match=r"b\.JPG in the zip file cannot be read"):
        reader.read(photos[2])
    assert [reader.read(photo) for photo in photos[:2]] == [PHOTOS["a/2.png"], PHOTOS["a/10.png"]]


def test_an_encrypted_zip_file_stops_the_listing(tmp_path: Path):
    path = tmp_path / "shop.zip"
    data = bytearray(packed(PHOTOS))
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceUnreadable, match=r"shop\.zip is encrypted; unpack it"):
        listing(path)


@pytest.mark.parametrize("suffix", KINDS)
def test_an_entry_that_is_too_large_is_refused_before_it_is_unpacked(tmp_path: Path, suffix: str):
    photos = listing(archive(tmp_path, suffix, {"large.png": os.urandom(1001), "small.png": os.urandom(1000)}))
    reader = Reader(max_photo_bytes=1000)
    with pytest.raises(PhotoTooLarge, match=r"large\.png .* 1001 bytes"):
        reader.read(photos[0])
    assert len(reader.read(photos[1])) == 1000


@pytest.mark.parametrize("suffix", ["zip", "tar", "tgz"])
def test_an_archive_that_was_replaced_after_the_listing_gives_no_wrong_photo(tmp_path: Path, suffix: str):
    photos = listing(archive(tmp_path, suffix))
    archive(tmp_path, suffix, dict(reversed(PHOTOS.items())))
    for photo in photos[:2]:
        with pytest.raises(PhotoDamaged, match=r"not in the (zip|tar) file where it was"):
            Reader().read(photo)
    archive(tmp_path, suffix, {}).write_bytes(b"something else")
    with pytest.raises(PhotoDamaged):
        Reader().read(photos[0])
    archive(tmp_path, suffix).unlink()
    with pytest.raises(PhotoMissing):
        Reader().read(photos[0])


NOISE = random.Random(1).randbytes(200_000)  # noqa: S311 - for a test


class Counting(io.FileIO):
    """A file that counts the bytes that are read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size) or b""
        Counting.count += len(data)
        return data


class CountedDisk(Disk):
    def open(self, path: str) -> BinaryIO:
        return cast("BinaryIO", Counting(path))


class AskedDisk(Disk):
    """A disk that notes what is read of its files."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def read(self, path: str, start: int, end: int) -> bytes:
        self.asked.append((start, end))
        return super().read(path, start, end)


def test_a_photo_in_a_zip_file_is_fetched_at_once_and_no_other(tmp_path: Path):
    files = {f"{index}.png": random.Random(index).randbytes(5000) for index in range(9)}  # noqa: S311 - for a test
    path, disk = archive(tmp_path, "zip", files), AskedDisk()
    opened = OpenZip(disk, str(path), 10_000)
    disk.asked.clear()
    for photo in listing(path):
        assert opened.read(photo.entry) == files[photo.path.rpartition("/")[2]]
    assert len(disk.asked) == len(files)
    assert all(end - start < 5000 + 1100 for start, end in disk.asked)


@pytest.fixture(params=["tar.gz", "tar.bz2", "tar.xz"])
def compressed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / f"shop.{request.param}"
    opener = {"tar.gz": gzip.open, "tar.bz2": bz2.open, "tar.xz": lzma.open}[request.param]
    with opener(path, "wb") as file:
        file.write(NOISE)
    Counting.count = 0
    return path


def test_a_compressed_file_is_unpacked_once_by_those_who_keep_about_its_order(compressed: Path):
    opened = Unpacked(CountedDisk(), str(compressed), chunk=1000, kept=20)
    for start in sorted(range(0, len(NOISE), 500), key=lambda start: start + random.Random(start).randrange(10_000)):  # noqa: S311 - for a test
        assert opened.read(start, start + 500) == NOISE[start : start + 500]
    assert Counting.count == compressed.stat().st_size
    assert opened.read(0, 1_000_000) == NOISE
    assert opened.read(len(NOISE) - 7000, 1_000_000) == NOISE[-7000:]
    assert opened.read(300_000, 300_100) == b""
    assert Counting.count == 2 * compressed.stat().st_size


def test_a_compressed_file_is_unpacked_a_few_times_in_whatever_order_it_is_read(compressed: Path):
    opened = Unpacked(CountedDisk(), str(compressed), chunk=1000, kept=20)
    for start in random.Random(1).sample(range(0, len(NOISE), 500), len(NOISE) // 500):  # noqa: S311 - for a test
        assert opened.read(start, start + 500) == NOISE[start : start + 500]
    assert Counting.count <= 5 * compressed.stat().st_size  # 20 * 2 ** 4 chunks are more than there are


@pytest.mark.parametrize("suffix", ["zip", "tgz"])
def test_many_archives_are_read_side_by_side(tmp_path: Path, suffix: str):
    for index in range(100):
        (tmp_path / f"{index}").mkdir()
        archive(tmp_path / f"{index}", suffix, {"a.png": png(index), "b.png": png(255 - index)})
    photos = [*list_photos([f"{tmp_path}/*/shop.{suffix}"])]
    random.Random(1).shuffle(photos)  # noqa: S311 - for a test
    reader = Reader()
    with ThreadPoolExecutor(8) as pool:
        for photo, data in zip(photos, pool.map(reader.read, photos), strict=True):
            index = int(Path(photo.where).parent.name)
            assert data == png(index if photo.path.endswith("a.png") else 255 - index)


def test_no_room_for_what_is_unpacked_is_no_error_of_a_photo(tmp_path: Path):
    [photo] = listing(archive(tmp_path, "tgz", {"a.png": NOISE}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(
            SourceUnreadable, match=r"shop\.tgz cannot be unpacked .*\(No space left on device\); let TMPDIR be"
        ):
            Reader().read(photo)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Reader().read(photo) == NOISE

"""Photos come out of a zip file one by one, and no zip file does harm."""

import io
import struct
import tracemalloc
import zlib
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest

from artifact.errors import ArchiveInvalid, EntryUnreadable, TooManyBytes, TooManyEntries
from artifact.zipped import Zipped, check_count
from support import packed, png

MOST = 100_000  # bytes of an image


def opened(data: bytes) -> Zipped:
    return Zipped(io.BytesIO(data), MOST)


def names(data: bytes) -> list[str]:
    return [entry.filename for entry in opened(data).entries]


def only(data: bytes) -> bytes:
    """The one file in a zip file."""
    zipped = opened(data)
    [entry] = zipped.entries
    return zipped.read(entry)


def patched(data: bytes, field: int, kind: str, value: int) -> bytes:
    """A zip file whose directory says something else of its first entry, and its local head, too, where it says it."""
    changed = bytearray(data)
    struct.pack_into(kind, changed, data.index(b"PK\1\2") + field, value)
    if field < 28:
        struct.pack_into(kind, changed, field - 2, value)
    return bytes(changed)


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
def test_each_file_comes_out_as_it_went_in(method: int):
    photos = {f"{shade}.png": png(shade) for shade in (0, 99, 255)}
    zipped = opened(packed(photos, method))
    assert {entry.filename: zipped.read(entry) for entry in zipped.entries} == photos
    assert zipped.skipped == 0


def test_folders_and_what_systems_leave_behind_are_skipped_and_counted():
    litter = ["shop/", ".DS_Store", "shop/._a.png", "__MACOSX/shop/._a.png", ".git/config"]
    zipped = opened(packed(dict.fromkeys(litter, b"") | {"shop/a.png": png(0)}))
    assert [entry.filename for entry in zipped.entries] == ["shop/a.png"]
    assert zipped.skipped == len(litter)


def test_a_path_is_only_a_name():
    paths = ["/etc/passwd", "../../a.png", "./b.png", "C:\\c.png", "same.png", "\u202egnp.exe"]
    assert names(packed(dict.fromkeys(paths, png(0)))) == paths


def test_names_are_no_longer_than_a_path_may_be():
    assert names(packed({"a" * 4096: png(0)})) == ["a" * 4096]
    with pytest.raises(ArchiveInvalid, match="has 4097 characters, and at most 4096"):
        names(packed({"a.png": png(0), "a/" * 2048 + "b": png(0)}))


@pytest.mark.parametrize(
    "data", [b"", b"no zip", png(0), packed({"a": b"b"})[:-30]], ids=["nothing", "text", "a photo", "half a zip file"]
)
def test_what_is_no_zip_file_is_refused(data: bytes):
    with pytest.raises(ArchiveInvalid, match="no zip file, or its directory is damaged"):
        opened(data)


def test_any_damage_ends_in_an_error_of_ours():
    whole = packed({"a.png": png(0), "b.png": bytes(500)})
    for at in range(len(whole)):
        for flip in (1, 128, 255):
            damaged = bytearray(whole)
            damaged[at] ^= flip
            try:
                zipped = opened(bytes(damaged))
            except ArchiveInvalid:
                continue
            for entry in zipped.entries:
                try:
                    zipped.read(entry)
                except (EntryUnreadable, TooManyBytes):
                    continue


def test_an_entry_that_declares_too_many_bytes_is_not_inflated():
    with pytest.raises(TooManyBytes, match="has 100001 bytes, and at most 100000 are taken"):
        only(packed({"a": bytes(MOST + 1)}, ZIP_STORED))


def test_an_entry_that_shrank_as_no_photo_does_is_not_inflated():
    with pytest.raises(EntryUnreadable, match="compressed to less than 1/100"):
        only(packed({"a": bytes(MOST)}))


@pytest.mark.parametrize("said", [1000, 9_999])
def test_an_entry_that_inflates_to_more_than_it_declares_costs_no_more_than_it_declares(said: int):
    bomb = patched(packed({"a": bytes(50_000_000)}), 24, "<I", said)
    zipped = opened(bomb)
    tracemalloc.start()
    with pytest.raises(EntryUnreadable, match="damaged"):
        zipped.read(zipped.entries[0])
    assert tracemalloc.get_traced_memory()[1] < 10 * MOST
    tracemalloc.stop()


def test_an_entry_that_inflates_to_less_than_it_declares_is_refused():
    with pytest.raises(EntryUnreadable, match="has 1000 bytes, and the directory says 1001"):
        only(patched(packed({"a": bytes(range(250)) * 4}), 24, "<I", 1001))


def test_an_entry_that_is_not_what_its_checksum_says_is_refused():
    with pytest.raises(EntryUnreadable, match="damaged"):
        only(patched(packed({"a": b"abc"}), 16, "<I", zlib.crc32(b"abd")))


def test_an_encrypted_entry_is_refused():
    with pytest.raises(EntryUnreadable, match="encrypted"):
        only(patched(packed({"a": b"abc"}), 8, "<H", 1))


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_methods_that_zipfile_inflates_without_a_limit_are_refused(method: int):
    with pytest.raises(EntryUnreadable, match=f"compressed by method {method}"):
        only(packed({"a": bytes(50)}, method))


def test_entries_that_share_their_bytes_are_refused():
    whole = packed({"a": png(0)})
    directory, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    entry = whole[directory:end]
    counts = struct.pack("<HHII", 2, 2, 2 * len(entry), directory)
    with pytest.raises(ArchiveInvalid, match="overlap"):
        opened(whole[:directory] + entry * 2 + whole[end : end + 8] + counts + whole[-2:])


def test_a_zip_file_with_too_many_entries_is_refused_before_its_directory_is_read():
    many = packed({str(number): b"" for number in range(101)})
    check_count(many, 101)
    with pytest.raises(TooManyEntries, match="has 101 entries, and at most 100 are taken"):
        check_count(many, 100)


def test_a_zip_file_of_the_large_kind_is_taken():
    out = io.BytesIO()
    with ZipFile(out, "w") as file, file.open(ZipInfo("a.png"), "w", force_zip64=True) as entry:
        entry.write(png(7))
    assert only(out.getvalue()) == png(7)

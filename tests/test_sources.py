"""Folders, globs and single photos become the same list each time, and what is wrong with a source is said."""

import inspect
import os
import re
import sys
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

from artifact.errors import (
    SourceEmpty,
    SourceForbidden,
    SourceNotFound,
    SourceUnknown,
    SourceUnreadable,
)
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.sources import list_photos
from support import closed, packed, png

FILES = ("b/2.png", "b.png", "a/z/1.JPG", "a/10.jpeg", "a/9.webp", "\u00e9.png", "b-c/1.tif", "phone.HEIC")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the test runs in, with a folder `photos`."""
    for name in FILES:
        put(tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data or png(0))
    return path


def paths(*sources: str) -> list[str]:
    return [listed.path for listed in list_photos(sources)]


def test_a_folder_is_listed_in_the_order_of_the_paths_below_it(shop: Path):
    assert paths("photos") == sorted((f"photos/{name}" for name in FILES), key=str.encode)
    assert paths("photos/", str(shop / "photos")) == [*paths("photos"), *(f"{shop}/{path}" for path in paths("photos"))]


def test_a_photo_is_found_again_from_another_folder(shop: Path, monkeypatch: pytest.MonkeyPatch):
    listed = [*list_photos(["photos"]), *list_photos(["photos/b.png"]), *list_photos(["photos/*.png"])]
    monkeypatch.chdir("/")
    assert {Reader().read(photo) for photo in listed} == {png(0)}
    assert all(photo.where == str(shop / photo.path) for photo in listed)


def test_files_that_are_no_photos_by_their_names_are_passed_over_and_counted(shop: Path):
    for name in ("list.csv", "READ.me", "b/more.zip", "b/Thumbs.db", "b/x.DB", "nothing"):
        put(shop / "photos" / name)
    for name in (".hidden.png", ".cache/1.png", "b/._2.png"):
        put(shop / "photos" / name)
    passed_over: Counter[str] = Counter()
    assert len(list(list_photos(["photos"], passed_over=passed_over))) == len(FILES)
    assert passed_over == {".csv": 1, ".me": 1, ".zip": 1, ".db": 2, "": 1}


def test_a_folder_without_photos_is_an_error_that_counts_what_else_is_in_it(shop: Path):
    put(shop / "texts" / "a.txt")
    with pytest.raises(SourceEmpty, match=r"texts has no photos in it; 1 file .* passed over"):
        paths("photos", "texts")
    (shop / "nothing").mkdir()
    with pytest.raises(SourceEmpty, match=r"nothing has no photos in it\."):
        paths("nothing")


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("photos/*.png", ["b.png", "\u00e9.png"]),
        ("photos/**/*.png", ["b.png", "b/2.png", "\u00e9.png"]),
        ("photos/?/*", ["a/10.jpeg", "a/9.webp", "b/2.png"]),
        ("photos/[!a]*/1.*", ["b-c/1.tif"]),
        ("photos/a/**", ["a/10.jpeg", "a/9.webp", "a/z/1.JPG"]),
        ("ph*/b.png", ["b.png"]),
        ("./photos/b*.png", ["b.png"]),
    ],
)
def test_a_glob_stands_for_the_files_that_it_matches(shop: Path, glob: str, names: list[str]):
    above = "./photos" if glob.startswith(".") else "photos"
    assert paths(glob) == [f"{above}/{name}" for name in names]
    if not glob.startswith("."):
        assert paths(f"{shop}/{glob}") == [f"{shop}/photos/{name}" for name in names]


def test_a_glob_takes_each_file_as_if_it_was_named(shop: Path):
    put(shop / "in" / "1.zip", packed({"a.png": png(0)}))
    put(shop / "in" / "2.csv", b"path\n../photos/b.png\n")
    put(shop / "in" / "3.unknown")
    put(shop / "in" / "4" / "deeper.png")
    put(shop / "in" / ".5.png")
    assert paths("in/*") == ["in/1.zip/a.png", "../photos/b.png", "in/3.unknown"]


def test_a_glob_looks_no_deeper_than_it_has_to(shop: Path):
    (shop / "photos" / "a" / "deep").mkdir()
    with closed(shop / "photos" / "a" / "deep"):
        assert paths("photos/*/*.webp") == ["photos/a/9.webp"]


@pytest.mark.usefixtures("shop")
def test_a_glob_that_matches_nothing_or_cannot_be_one_is_an_error():
    with pytest.raises(SourceEmpty, match=r"photos/\*\.bmp matches no photo"):
        paths("photos/*.bmp")
    with pytest.raises(SourceNotFound, match="nowhere"):
        paths("nowhere/*.png")
    with pytest.raises(SourceUnknown, match=r"'\*\*' can only be"):
        paths("photos/**.png")


def test_a_file_with_signs_of_a_glob_in_its_name_is_that_file(shop: Path):
    put(shop / "shoe[1].png")
    assert paths("shoe[1].png") == ["shoe[1].png"]


def test_a_photo_that_is_named_is_taken_whatever_it_is_called(shop: Path):
    put(shop / "12345.v2")
    put(shop / "12345")
    assert paths("12345.v2", "12345", "photos/b.png") == ["12345.v2", "12345", "photos/b.png"]


@pytest.mark.parametrize("name", ["shop.rar", "list.xlsx", "notes", "photos.7z"])
def test_a_file_that_nobody_knows_is_refused_with_what_is_taken(shop: Path, name: str):
    put(shop / name, b"something else")
    with pytest.raises(SourceUnknown, match=rf"{name} is no photo, no manifest \(\.csv.* and no archive \(\.zip"):
        paths(name)


@pytest.mark.usefixtures("shop")
def test_all_sources_are_looked_for_before_the_first_is_listed():
    with pytest.raises(SourceNotFound, match=r"There is no phtos\."):
        list_photos(["photos", "phtos"])
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        list_photos(["x" * 300])
    with pytest.raises(SourceUnreadable, match="null byte"):
        list_photos(["a\0b"])


@pytest.mark.parametrize("url", ["https://shop.example/a.png", "s3://", "s3:///a.png", "s3://b*/a.png", "ftp://x/a"])
def test_a_url_of_something_else_is_refused_with_those_that_are_taken(url: str):
    with pytest.raises(SourceUnknown, match=f"{re.escape(url)} .*s3://BUCKET/"):
        list_photos([url])


def test_a_folder_that_may_not_be_read_stops_the_listing(shop: Path):
    with closed(shop / "photos" / "b"):
        with pytest.raises(SourceForbidden, match=r"photos/b/ may not be read"):
            paths("photos")
        with pytest.raises(SourceForbidden, match=r"photos/b/2\.png may not be read"):
            paths("photos/b/2.png")


def test_folders_may_be_deeper_than_the_stack_of_python(tmp_path: Path):
    deep, limit = "d/" * 200, sys.getrecursionlimit()
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "a.png").write_bytes(b"")
    try:
        sys.setrecursionlimit(len(inspect.stack()) + 100)
        assert [photo.path for photo in list_photos([str(tmp_path)])] == [f"{tmp_path}/{deep}a.png"]
    finally:
        sys.setrecursionlimit(limit)


def test_links_are_followed_but_in_no_circle(shop: Path):
    a = shop / "photos" / "a"
    (a / "up").symlink_to("..")
    (a / "self").symlink_to(".")
    (a / "across").symlink_to("../b")
    (shop / "photos" / "b" / "back").symlink_to("../a")
    (shop / "photos" / "b" / "linked.png").symlink_to("../b.png")
    (shop / "photos" / "b" / "gone.png").symlink_to("nowhere.png")
    (shop / "photos" / "b" / "itself.png").symlink_to("itself.png")
    found = paths("photos")
    assert found == sorted(found, key=str.encode)
    assert {
        "photos/a/across/2.png",
        "photos/b/itself.png",
        "photos/b/back/9.webp",
        "photos/b/gone.png",
        "photos/b/linked.png",
    } <= {*found}
    assert not [path for path in found if re.search("up/|self/|across/back|back/across", path)]


def test_what_is_no_file_is_none(shop: Path):
    os.mkfifo(shop / "photos" / "b" / "pipe.png")
    (shop / "photos" / "b" / "folder.png").mkdir()
    assert paths("photos/b") == ["photos/b/2.png"]
    os.mkfifo(shop / "pipe")
    with pytest.raises(SourceNotFound, match="pipe"):
        paths("pipe")


def test_a_name_that_is_no_utf_8_is_listed_readably_and_found(shop: Path):
    put(shop / os.fsdecode(b"caf\xe9") / "100% gr\u00fcn #1?.png", png(7))
    [photo] = list_photos([os.fsdecode(b"caf\xe9")])
    assert photo.path == r"caf\xe9/100% gr" + "\u00fcn #1?.png"
    assert Listed(*(text.encode().decode() for text in photo)) == photo
    assert Reader().read(photo) == png(7)


def test_a_file_url_is_the_path_that_it_stands_for(shop: Path):
    folder = put(shop / "100%" / "a%20b.png").parent
    put(folder / os.fsdecode(b"caf\xe9.png"))
    for source in (folder, folder / "a%20b.png", f"{folder}/*b.png"):
        url = Path(source).as_uri().replace("%2A", "*")
        assert [*list_photos([url])] == [*list_photos([str(source)])]
    assert {Reader().read(photo) for photo in list_photos([folder.as_uri()])} == {png(0)}


def test_an_empty_source_is_none():
    with pytest.raises(SourceNotFound, match="empty text"):
        list_photos([""])


@pytest.mark.usefixtures("shop")
def test_the_order_is_that_of_the_sources():
    sources = ("photos/b", "photos/b.png", "photos/a/*")
    alone = {source: paths(source) for source in sources}
    for order in permutations(sources):
        assert paths(*order) == [path for source in order for path in alone[source]]
    assert paths("photos/b", "photos/b") == 2 * alone["photos/b"]

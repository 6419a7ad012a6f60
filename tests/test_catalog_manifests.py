"""Each row of a manifest is a photo, in order, whatever program wrote it; what is wrong is said by its line."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from artifact.errors import ColumnMissing, PathMissing, PhotoMissing, SourceEmpty, SourceForbidden, SourceUnreadable
from catalog.listed import Listed
from catalog.reading import Reader
from catalog.sources import list_photos
from support import closed, png

ROWS = ["b.png", "a.png", "sub/c.png", "b.png"]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for index, name in enumerate(sorted({*ROWS})):
        (tmp_path / name).write_bytes(png(index))
    return tmp_path


def rows(manifest: Path, column: str = "path") -> list[str]:
    return [listed.path for listed in list_photos([str(manifest)], column)]


def written(path: Path, values: list[str | None], column: str = "path", kind: pa.DataType | None = None) -> Path:
    """A manifest by its suffix, with another column before this one."""
    if path.suffix == ".parquet":
        table = {"id": range(len(values)), column: pa.array(values, kind)}
        parquet.write_table(pa.table(table), path, row_group_size=3)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": [1], column: value}) + "\n" for value in values))
    else:
        path.write_text(f"id,{column}\n" + "".join(f"1,{value or ''}\n" for value in values))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".CSV"])
def test_each_row_is_a_photo_as_often_as_it_comes_and_is_called_as_there(shop: Path, suffix: str):
    manifest = written(shop / f"list{suffix}", [*ROWS])
    photos = [*list_photos([str(manifest)])]
    assert photos == [Listed(name, str(shop / name)) for name in ROWS]
    assert [Reader().read(photo) for photo in photos] == [png(1), png(0), png(2), png(1)]
    assert rows(written(shop / f"other{suffix}", [*ROWS], "image url"), "image url") == ROWS


def test_a_relative_path_is_seen_from_the_manifest_and_others_are_taken_as_they_are(
    shop: Path, monkeypatch: pytest.MonkeyPatch
):
    there = (shop / "a.png").as_uri()
    paths = ["../a.png", str(shop / "a.png"), there, "s3://shop/a.png"]
    written(shop / "sub" / "list.csv", [*paths])
    monkeypatch.chdir(shop)
    photos = [*list_photos(["sub/list.csv"])]
    assert [photo.where for photo in photos] == [f"{shop}/sub/../a.png", str(shop / "a.png"), there, "s3://shop/a.png"]
    assert {Reader().read(photo) for photo in photos[:3]} == {png(0)}
    monkeypatch.chdir(shop / "sub")
    assert [*list_photos(["list.csv"])] == photos


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_row_without_a_path_is_an_error_of_its_own(shop: Path, suffix: str):
    photos = [*list_photos([str(written(shop / f"list{suffix}", ["a.png", None, "", "b.png"]))])]
    assert [photo.path for photo in photos] == [
        "a.png",
        f"{shop}/list{suffix} row 2",
        f"{shop}/list{suffix} row 3",
        "b.png",
    ]
    for photo in photos[1:3]:
        with pytest.raises(PathMissing, match=rf"list{suffix} row [23] names no photo"):
            Reader().read(photo)


@pytest.mark.parametrize(
    "path", ["gone.png", "sub", "a.png/b.png", "https://shop.example/a.png", "a\0b.png", "x" * 999]
)
def test_a_row_whose_photo_is_not_there_is_an_error_of_its_own(shop: Path, path: str):
    [photo] = list_photos([str(written(shop / "list.jsonl", [path]))])
    with pytest.raises(PhotoMissing):
        Reader().read(photo)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_manifest_without_the_column_is_refused_with_those_that_it_has(shop: Path, suffix: str):
    manifest = written(shop / f"list{suffix}", [*ROWS], "photo")
    with pytest.raises(ColumnMissing, match=rf"list{suffix} has no column `path`.* --column: id, photo\."):
        rows(manifest)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_manifest_without_rows_is_an_error(shop: Path, suffix: str):
    with pytest.raises(SourceEmpty, match=rf"list{suffix} has no rows"):
        rows(written(shop / f"list{suffix}", [], kind=pa.string()))


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.png,x\nb.png,y\n",
        "\ufefflabel;path\r\nx;a.png\r\ny;b.png\r\n",
        "label\tpath\nx\ta.png\n\n\ny\tb.png",
        '"path","say"\n"a.png","a\nb, ""c"""\n"b.png",\n',
        "path\na.png\nb.png\n",
        "note,path,\nx,a.png\nx,b.png,1,2,3\n",
    ],
)
def test_a_csv_file_may_be_that_of_any_spreadsheet(shop: Path, text: str):
    (shop / "list.csv").write_text(text, newline="")
    assert rows(shop / "list.csv") == ["a.png", "b.png"]


def test_a_short_row_of_a_csv_file_has_no_path(shop: Path):
    (shop / "list.csv").write_text("label,path\nx\n,a.png\n")
    assert rows(shop / "list.csv") == [f"{shop}/list.csv row 1", "a.png"]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_a_parquet_file_may_have_text_of_any_kind(shop: Path, kind: pa.DataType):
    assert rows(written(shop / "list.parquet", [*ROWS], kind=kind)) == ROWS


def test_a_path_with_half_a_character_is_listed_as_text(shop: Path):
    (shop / "list.jsonl").write_text('{"path": "a\\ud800.png"}\n\n  \n{"path": 7}\n')
    assert rows(shop / "list.jsonl") == ["a.png", f"{shop}/list.jsonl row 2"]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("list.csv", b"path\ncaf\xe9.png\n", "no UTF-8 text; save it as such"),
        ("list.csv", b'path\na.png\n"b.png\n', "no CSV in line 3"),
        ("list.csv", b"path,path\na,b\n", "the column `path` more than once"),
        ("list.csv", b"x" * 200_000, "no CSV in its first line: field larger than"),
        ("list.csv", gzip.compress(b"path\na.png\n", mtime=0), "no UTF-8 text"),
        ("list.jsonl", b'{"path": "a.png"}\n{"path": \n', r"Line 2 of .*list\.jsonl is no JSON"),
        ("list.jsonl", b'["a.png"]\n', r"Line 1 of .*list\.jsonl is no JSON object"),
        ("list.jsonl", b"[" * 100_000, "Line 1 of .* is no JSON"),
        ("list.parquet", b"PAR1 no more", "no Parquet file that can be read"),
        ("list.parquet", b"", "no Parquet file that can be read"),
    ],
)
def test_an_unreadable_manifest_is_refused_with_what_is_wrong(shop: Path, name: str, data: bytes, told: str):
    (shop / name).write_bytes(data)
    with pytest.raises(SourceUnreadable, match=told):
        rows(shop / name)


@pytest.mark.parametrize(("name", "data"), [("list.csv", b""), ("list.csv", b"\n\npath\n"), ("list.jsonl", b"{}")])
def test_a_manifest_that_names_no_columns_is_told_which_is_wanted(shop: Path, name: str, data: bytes):
    (shop / name).write_bytes(data)
    with pytest.raises(ColumnMissing, match="names no columns in its first line; the one with the paths is `file`"):
        rows(shop / name, "file")


def test_a_parquet_column_that_is_no_text_is_refused(shop: Path):
    parquet.write_table(pa.table({"path": [1, 2]}), shop / "list.parquet")
    with pytest.raises(SourceUnreadable, match="has int64 in its column `path`"):
        rows(shop / "list.parquet")


def test_a_manifest_that_may_not_be_read_is_refused(shop: Path):
    with (
        closed(written(shop / "list.csv", [*ROWS])),
        pytest.raises(SourceForbidden, match=r"list\.csv may not be read"),
    ):
        rows(shop / "list.csv")

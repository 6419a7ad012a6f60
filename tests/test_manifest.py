from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from artifact.errors import DataError
from drawn import draw_scenes
from training.files import SPLITS
from training.manifest import Manifest

ROWS = """path,label,split
a/000.png,tops,train
a/001.png,bottoms,validation
b/010.png,tops,test
b/011.png,bottoms,test
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_scenes(tmp_path / "shop", a=range(10), b=range(10, 20))


def write(folder: Path, text: str) -> Path:
    path = folder / "photos.csv"
    path.write_text(text)
    return path


def names(dataset: Manifest) -> dict[str, list[str]]:
    return {split: [photo.name for photo in dataset.photos(split)] for split in SPLITS}


def test_a_manifests_labels_and_split_are_kept(folder: Path):
    dataset = Manifest(write(folder, ROWS))
    assert dataset.labels == ("bottoms", "tops")
    assert dataset.source == "shop/photos.csv"
    assert names(dataset) == {"train": ["a/000.png"], "validation": ["a/001.png"], "test": ["b/011.png", "b/010.png"]}


def test_parquet_is_read_as_csv_is(folder: Path):
    table = pa.table(
        {
            "label": pa.array([7, 12, 7, 12]).dictionary_encode(),
            "price": [1.5, None, 2.5, 3.5],
            "path": ["a/000.png", "a/001.png", "b/010.png", "b/011.png"],
            "split": ["train", "train", "validation", "test"],
        }
    )
    parquet.write_table(table, folder / "photos.parquet")
    dataset = Manifest(folder / "photos.parquet")
    assert dataset.labels == ("12", "7")
    assert [len(photos) for photos in names(dataset).values()] == [2, 1, 1]


def test_labels_that_look_like_numbers_stay_as_they_are_written(folder: Path):
    assert Manifest(write(folder, "label,path\n007,a/000.png\nNA,a/001.png\n")).labels == ("007", "NA")


def test_the_order_of_rows_changes_nothing(folder: Path):
    rows = [f"{file.relative_to(folder).as_posix()},{file.parent.name}" for file in sorted(folder.rglob("*.png"))]
    one = names(Manifest(write(folder, "\n".join(["path,label", *rows]))))
    assert [len(photos) for photos in one.values()] == [16, 2, 2]
    assert names(Manifest(write(folder, "\n".join(["path,label", *reversed(rows)])))) == one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\na/000.png,x\n", r"has the columns file, label; it needs `path` and `label`, once each"),
        ("path,label,path\na/000.png,x,a/000.png\n", "once each"),
        (ROWS.replace("validation", "val"), r"1 row with another split than train, validation, test: row 2 \(a/001"),
        (ROWS.replace("validation", ""), r"1 row with another split than .*: row 2"),
        (ROWS.replace("a/000.png,tops", "a/000.png, "), r"1 row without a label: row 1 \(a/000\.png\)"),
        (ROWS.replace("b/010.png", ""), r"1 row without a path: row 3 \(no path\)"),
        (
            ROWS.replace("b/01", "c/01"),
            r"2 rows whose file is not there: row 3 \(c/010\.png\), 4 \(c/011\.png\); correct",
        ),
        (ROWS.replace("b/010.png", "b"), r"1 row whose path is that of a folder: row 3 \(b\)"),
        (ROWS.replace("b/010.png", "../x.png"), r"1 row with a path out of the manifest's folder: row 3"),
        (ROWS.replace("b/010.png", "/x.png"), r"1 row with a path out of the manifest's folder: row 3"),
        (ROWS.replace("b/010.png", "x" * 5000), r"1 row whose file is not there: row 3"),
        (ROWS.replace("bottoms", "tops"), r"has only tops; it needs .* at least two labels"),
        ("path,label\n", r"has no rows; it needs a row for each photo"),
        ("", r"photos\.csv cannot be read \(Empty CSV file\); it should be a CSV or Parquet file"),
        ("path,label\na/000.png,x,y,z\n", r"cannot be read \(CSV parse error: .*Expected 2 columns, got 4"),
    ],
)
def test_a_manifest_that_is_wrong_says_where(folder: Path, text: str, words: str):
    with pytest.raises(DataError, match=words):
        Manifest(write(folder, text))


def test_many_wrong_rows_are_counted_and_the_first_named(folder: Path):
    rows = [f"gone/{number}.png,x" for number in range(25)]
    with pytest.raises(DataError, match=r"25 rows whose file is not there: row 1 .*, 10 \(gone/9\.png\) and 15 more;"):
        Manifest(write(folder, "\n".join(["path,label", *rows])))


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet", "text.parquet", "latin.csv"])
def test_what_is_no_manifest_is_named(folder: Path, name: str):
    (folder / "text.parquet").write_text(ROWS)
    (folder / "latin.csv").write_bytes("path,label\na/000.png,Jäckchen\n".encode("latin-1"))
    with pytest.raises(DataError, match=rf"{name} cannot be read \(.*\); it should be a CSV or Parquet file"):
        Manifest(folder / name)

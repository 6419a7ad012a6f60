"""A catalogue from everywhere, labelled, and what a person corrected of it trained on: as its user goes about it."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

import hangtag
from artifact.card import RunCard
from buckets import URL, Bucket
from drawn import COLOURS, RECIPE, draw_dataset
from graphs import graph
from labelled import Classify, begun, rows
from support import eventually, packed, png, publish
from training.files import SPLITS
from training.recipe import read_recipe
from training.sources import open_dataset

LIGHT, UNSURE = 255, 64  # nearest to no label by far enough
BROKEN = b"no photo"
FOLDERS, MANIFEST = '"folders"\nfolder = "drawn"', '"manifest"\nfolder = "review"\nmanifest = "corrected.csv"'
ON_CORRECTIONS = RECIPE.partition("[baseline]")[0].replace(FOLDERS, MANIFEST).replace("seeds = 2\n", "")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with Bucket(monkeypatch) as running:
        yield running.empty()


@pytest.fixture
def sources(tmp_path: Path, bucket: Bucket) -> list[str]:
    """A folder, a zip, a manifest and a prefix of a bucket; a light photo and one to review in each, two bad ones."""
    pair = {"light.png": png(LIGHT), "unsure.png": png(UNSURE)}
    for name in ("folder", "elsewhere"):
        (tmp_path / name).mkdir()
        for file, photo in pair.items():
            (tmp_path / name / file).write_bytes(photo)
    (tmp_path / "photos.zip").write_bytes(packed(pair | {"../broken.png": BROKEN}))
    (tmp_path / "photos.csv").write_text("sku,photo\n1,elsewhere/light.png\n2,elsewhere/unsure.png\n3,gone.png\n")
    bucket.put({f"photos/{name}": photo for name, photo in pair.items()})
    return [*(str(tmp_path / name) for name in ("folder", "photos.zip", "photos.csv")), f"{URL}/photos"]


def read(out: Path) -> list[tuple[str | None, ...]]:
    """Path, label, decision and error of each row."""
    if out.suffix == ".csv":
        with out.open(newline="", encoding="utf-8") as file:
            found = [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]
    else:
        found = rows(out) if out.suffix == ".jsonl" else parquet.read_table(out).to_pylist()
    return [(Path(row["path"]).name, row["label"], row["decision"], row["error"]) for row in found]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_catalogue_from_everywhere_is_one_table_and_one_review(
    suffix: str, classify: Classify, sources: list[str], tmp_path: Path
):
    out, review = tmp_path / f"labels.{suffix}", tmp_path / "review"
    command = (*sources, "--column", "photo", "--out", out, "--review", review)
    code, said, _ = classify(*command)
    pair = [("light.png", "light", "accept", None), ("unsure.png", "dark", "review", None)]
    broken, gone = [("broken.png", None, None, "image_type_unsupported")], [("gone.png", None, None, "photo_missing")]
    assert code == 3
    assert read(out) == [*pair, *pair, *broken, *pair, *gone, *pair]
    assert f"{review}: 4 photos for a person" in said
    table = corrected(review, lambda source: source)
    assert len(table) == 4
    assert {(review / each["path"]).read_bytes() for each in table} == {png(UNSURE)}
    assert classify(*command)[:2] == (
        3,
        f"{out} is complete; nothing was to be done.\n" + said[said.index("labels ") :],
    )


def corrected(review: Path, label: Callable[[str], str]) -> list[dict[str, str]]:
    """The table of a review, and beside it another one with the labels that a person gives by the photos' names."""
    with (review / "review.csv").open(newline="", encoding="utf-8-sig") as file:
        table = list(csv.DictReader(file))
    with (review / "corrected.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(each | {"label": label(each["source"])} for each in table)
    return table


@pytest.fixture
def corrections(classify: Classify, tmp_path: Path) -> Path:
    """A data root with a review of drawn photos, of none of which the model was sure, and that a person corrected."""
    publish(tmp_path / "models", model=graph(centres=(127, 128, 129)))
    data = draw_dataset(tmp_path / "data", 12)
    out, review = tmp_path / "labels.csv", data / "review"
    assert classify(data / "drawn", "--out", out, "--review", review, shelf=tmp_path / "models")[0] == 0
    assert len(corrected(review, lambda source: Path(source).parent.name)) == 12 * len(COLOURS)
    (data / "drawn.toml").write_text(ON_CORRECTIONS)
    return data


def test_what_a_person_corrected_is_a_dataset(corrections: Path):
    dataset = open_dataset(read_recipe(corrections / "drawn.toml"), corrections)
    assert dataset.labels == tuple(COLOURS)
    assert sum(len(list(dataset.photos(split))) for split in SPLITS) == 12 * len(COLOURS)


@pytest.mark.slow
def test_what_a_person_corrected_is_trained_on(corrections: Path, tmp_path: Path):
    recipe, runs = str(corrections / "drawn.toml"), str(tmp_path / "runs")
    assert hangtag.main(["train", recipe, "--data", str(corrections), "--runs", runs]) == 0
    [run] = (tmp_path / "runs").iterdir()
    assert RunCard.read(run).labels == tuple(COLOURS)
    assert RunCard.read(run).data.source == "review/corrected.csv"


def test_killed_while_it_makes_the_review_the_same_command_goes_on(models: Path, tmp_path: Path):
    (tmp_path / "unsure.png").write_bytes(png(UNSURE))
    manifest, out, review = (tmp_path / name for name in ("all.csv", "labels.csv", "review"))
    manifest.write_text("path\n" + 300 * "unsure.png\n")
    command = (manifest, "--model", "tiny", "--models", models, "--out", out, "--review", review)
    with begun(*command) as process:
        begun_photos = tmp_path / ".review.partial" / "photos" / "0000"
        eventually(lambda: begun_photos.exists() or process.poll() is not None)
        process.kill()
    assert not review.exists() or len(list(review.glob("photos/*/*.png"))) == 300
    with begun(*command) as process:
        said = process.communicate()[0]
    assert process.returncode == 0, said
    assert len(list(review.glob("photos/*/*.png"))) == len(corrected(review, str)) == 300
    assert not list(tmp_path.glob(".review*"))


def test_a_review_that_cannot_be_is_told_before_anything_is_done(
    classify: Classify, sources: list[str], tmp_path: Path
):
    (tmp_path / "mine").mkdir()
    out = tmp_path / "labels.csv"
    code, _, complaint = classify(sources[0], "--out", out, "--review", tmp_path / "mine")
    assert (code, complaint) == (
        2,
        f"hangtag classify: --review: {tmp_path}/mine is there already; move it away, or name another folder.\n",
    )
    code, _, complaint = classify(sources[0], "--out", out, "--review", tmp_path / "no" / "where")
    assert (code, "there is no folder" in complaint) == (2, True)
    assert not out.exists()
    assert classify(sources[0], "--out", out)[0] == 0
    code, _, complaint = classify(sources[0], "--out", out, "--review", tmp_path / "late")
    assert code == 2
    assert f"{out} is complete, without a review; remove it to begin anew" in complaint

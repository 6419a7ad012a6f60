"""`hangtag classify`: every photo of a catalogue has its row, whatever the photo and whatever its name."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import parquet

from artifact.answer import answer
from artifact.pixels import decode
from artifact.repository import Repository
from artifact.rollout import Rollout
from artifact.session import Session
from catalog.listing import PART_SIZE
from graphs import Extra, failing_at, graph, without_scores_at
from labelled import SHADES, Classify, labels, photos, repeated, rows
from support import HANGTAG, LABELS, ROOT, png, publish


def plain(out: Path) -> list[dict]:
    """The rows of a CSV as they were before they became text, but for its ranked labels."""
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        row["score"] = float(row["score"]) if row["score"] else None
        row.pop("top_k")
    return [{name: value or None for name, value in row.items()} for row in found]


def test_every_photo_has_a_row_in_the_order_of_the_listing(classify: Classify, tmp_path: Path):
    out = tmp_path / "labels.jsonl"
    assert classify(photos(tmp_path / "shop", 30), "--out", out)[0] == 0
    found = rows(out)
    assert [Path(row["path"]).name for row in found] == [f"{number:04}.png" for number in range(30)]
    assert labels(out) == [*LABELS] * 10
    assert {(row["model"], row["version"], row["error"], row["detail"]) for row in found} == {("tiny", "1", None, None)}


def test_a_row_says_what_the_model_says(classify: Classify, models: Path, tmp_path: Path):
    out = tmp_path / "labels.jsonl"
    artifact = Repository(models).open("tiny", "1")
    session = Session(artifact.model, artifact.card)
    assert classify(photos(tmp_path / "shop", 3), "--out", out, "--top-k", "2")[0] == 0
    for shade, row in zip(SHADES, rows(out), strict=True):
        said = answer(session.run(decode(png(shade), artifact.card.input)[None])[0], artifact.card, 2)
        assert [(each["label"], each["score"]) for each in row["top_k"]] == list(said.predictions)
        assert (row["label"], row["score"], row["decision"]) == (*said.predictions[0], said.decision)


def test_all_three_formats_say_the_same(classify: Classify, tmp_path: Path):
    shop = photos(tmp_path / "shop", 40)
    (shop / "none.jpg").write_bytes(b"")
    for suffix in ("csv", "jsonl", "parquet"):
        assert classify(shop, "--out", tmp_path / f"labels.{suffix}")[0] == 3
    said = rows(tmp_path / "labels.jsonl")
    assert parquet.read_table(tmp_path / "labels.parquet").to_pylist() == said
    assert plain(tmp_path / "labels.csv") == [{name: row[name] for name in row if name != "top_k"} for row in said]


def test_a_photo_that_cannot_be_labelled_has_a_row_that_says_why(classify: Classify, tmp_path: Path):
    shop = photos(tmp_path / "shop", 6)
    (shop / "0001.png").write_bytes(b"")
    (shop / "0002.png").write_bytes(png(255)[:50])
    (shop / "0003.png").unlink()
    (shop / "0003.png").symlink_to(shop / "gone.png")
    (shop / "0004.png").write_bytes(png(0, (200, 200)))
    out = tmp_path / "labels.jsonl"
    code, said, _ = classify(shop, "--out", out, "--max-pixels", "10000")
    assert code == 3
    codes = [None, "image_empty", "image_truncated", "photo_missing", "image_too_many_pixels", None]
    assert [row["error"] for row in rows(out)] == codes
    for row in rows(out):
        assert (row["label"] is None) == (row["top_k"] is None) == (row["decision"] is None) == bool(row["detail"])
    assert re.search(r"errors +image_empty 1, image_truncated 1, photo_missing 1, image_too_many_pixels 1\n", said)
    assert re.search(r"labels +dark 1, light 1\n", said)
    assert "6 photos by tiny 1" in said


@pytest.mark.parametrize("failing", [failing_at, without_scores_at])
def test_where_the_model_fails_on_one_photo_its_batch_mates_are_labelled(
    failing: Callable[[int], Extra], classify: Classify, tmp_path: Path
):
    publish(tmp_path / "models", model=graph(extra=failing(77)), trained=graph())
    shop = photos(tmp_path / "shop", 8)
    (shop / "0002.png").write_bytes(png(77))
    out = tmp_path / "labels.jsonl"
    assert classify(shop, "--out", out, shelf=tmp_path / "models")[0] == 3
    assert [row["error"] for row in rows(out)] == [None, None, "inference_failed", *[None] * 5]


def test_photos_of_many_parts_and_sizes_keep_their_order(classify: Classify, tmp_path: Path):
    count = 2 * PART_SIZE + 5
    out = tmp_path / "labels.jsonl"
    assert classify(repeated(tmp_path / "shop", count), "--out", out)[0] == 3
    expected = [[*LABELS, *LABELS, *LABELS, None][number % 10] for number in range(count)]
    assert labels(out) == expected


def test_names_that_a_spreadsheet_would_run_are_kept_from_that(classify: Classify, tmp_path: Path):
    names = ["=1+1.png", "+a.png", "-a.png", "@a.png", "'a.png", "a,b.png", 'a"b.png', "a\nb.png", "a\rb.png", "ä.png"]
    for name in names:
        (tmp_path / name).write_bytes(png(0))
    manifest = tmp_path / "all.jsonl"
    manifest.write_text("".join(json.dumps({"path": name}) + "\n" for name in names))
    for suffix in ("csv", "jsonl"):
        assert classify(manifest, "--out", tmp_path / f"labels.{suffix}")[0] == 0
    assert [row["path"] for row in rows(tmp_path / "labels.jsonl")] == names
    guarded = [row["path"] for row in plain(tmp_path / "labels.csv")]
    assert guarded == [f"'{name}" for name in names[:5]] + names[5:]


def test_a_name_that_is_no_utf_8_is_shown_and_its_photo_labelled(classify: Classify, tmp_path: Path):
    photos(tmp_path / "shop", 1)
    (tmp_path / "shop" / os.fsdecode(b"\xe9.png")).write_bytes(png(255))
    for source in (tmp_path / "shop", tmp_path / "shop" / os.fsdecode(b"\xe9.png")):
        out = tmp_path / os.fsdecode(b"\xe9.%d.csv" % len(str(source)))
        assert classify(source, "--out", out)[0] == 0
        assert plain(out)[-1]["path"].endswith(r"shop/\xe9.png")
        assert plain(out)[-1]["label"] == "light"


@pytest.mark.parametrize("name", ["a,b", "[ab]", '"quoted"', "{x}", "back\\slash"])
def test_a_source_is_taken_as_it_is(name: str, classify: Classify, tmp_path: Path):
    assert classify(photos(tmp_path / name, 1), photos(tmp_path / "other", 1), "--out", tmp_path / "l.jsonl")[0] == 0
    assert [row["path"] for row in rows(tmp_path / "l.jsonl")] == [f"{tmp_path}/{n}/0000.png" for n in (name, "other")]


def test_a_label_means_the_version_that_has_it(classify: Classify, shelf: Path, tmp_path: Path):
    Rollout(stable="1", canary="3").write(shelf / "tiny")
    shop = photos(tmp_path / "shop", 1)
    for version, expected in (("stable", "1"), ("canary", "3"), ("2", "2")):
        out = tmp_path / f"{version}.jsonl"
        assert classify(shop, "--out", out, "--version", version, shelf=shelf)[0] == 0
        assert rows(out)[0]["version"] == expected


def test_a_model_that_does_not_answer_its_golden_samples_labels_nothing(classify: Classify, tmp_path: Path):
    publish(tmp_path / "models", model=graph(), trained=graph(centres=(255, 128, 0)))
    code, _, complaint = classify(photos(tmp_path / "shop", 3), "--out", tmp_path / "l.csv", shelf=tmp_path / "models")
    assert (code, "golden samples" in complaint) == (1, True)
    assert not (tmp_path / "l.csv").exists()


@pytest.mark.parametrize(
    ("out", "version", "code", "said"),
    [
        ("labels.xlsx", "stable", 2, "--out: .*the suffix says what is written: .csv, .jsonl, .parquet"),
        ("gone/labels.csv", "stable", 1, "There is no folder .*gone to write labels.csv in"),
        ("labels.csv", "9", 1, "has no version '9'"),
        ("shop/0000.png/labels.csv", "stable", 1, "There is no folder"),
        (f"{'x' * 300}.csv", "stable", 1, r"xxx\.csv cannot be written \(File name too long\)"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_done(
    classify: Classify, tmp_path: Path, out: str, version: str, code: int, said: str
):
    shop = photos(tmp_path / "shop", 1)
    found, _, complaint = classify(shop, "--out", tmp_path / out, "--version", version)
    assert (found, bool(re.search(said, complaint))) == (code, True), complaint
    assert {path.name for path in tmp_path.rglob("*")} == {"shop", "0000.png"}


def test_a_review_where_none_can_be_is_told(classify: Classify, tmp_path: Path):
    shop, folder = photos(tmp_path / "shop", 1), tmp_path / ("x" * 300)
    code, _, complaint = classify(shop, "--out", tmp_path / "labels.csv", "--review", folder)
    assert (code, f"{folder} cannot be written (File name too long)" in complaint) == (1, True), complaint


def test_a_folder_that_may_not_be_written_is_told(classify: Classify, tmp_path: Path):
    if not os.geteuid():
        pytest.skip("root may write everywhere")
    for name, mode in (("locked", 0o500), ("closed", 0)):
        (tmp_path / name).mkdir(mode)
        code, _, complaint = classify(photos(tmp_path / "shop", 1), "--out", tmp_path / name / "labels.csv")
        assert (code, "Permission denied" in complaint) == (1, True)


def test_a_command_without_its_packages_says_where_they_come_from():
    program = (
        "import sys; sys.modules['pyarrow'] = None; import hangtag; sys.exit(hangtag.main(['classify', '--help']))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == "hangtag classify: needs pyarrow, which comes with `make catalog` or hangtag[catalog].\n"


def test_the_help_shows_an_example_and_the_exit_codes():
    said = subprocess.run([*HANGTAG, "classify", "--help"], capture_output=True, text=True, check=True).stdout
    assert "Example: hangtag classify " in said
    for code in (0, 1, 2, 3, 130):
        assert re.search(rf"\b{code}\b", said.split("Exit codes:")[1])

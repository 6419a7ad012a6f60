"""`hangtag models diff`: what two versions of a model disagree on, and the page that shows it."""

from pathlib import Path

import pytest

import hangtag
from artifact.figures import wilson_interval
from artifact.repository import Repository
from artifact.rollout import Rollout
from browser import Page
from graphs import graph
from support import card, png, publish
from training.diff import Diff, diff
from training.diff_page import diff_page

HOSTILE = "<img src=x onerror=alert(1)>&\"'.jpg"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two versions that differ in where `middle` begins and ends, and in the threshold."""
    root = tmp_path / "models"
    publish(root, card())
    publish(root, card(version="2").model_copy(update={"accept_threshold": 0.99}), graph(centres=(0, 130, 255)))
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos named by their shade; three of them are near where the versions differ, and two files are none."""
    root = tmp_path / "photos"
    for name in ("dark/0", "dark/65", "deep/middle/66", "middle/128", "light/192", "unknown/7", ".hidden/0"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.png").write_bytes(png(int(Path(name).name)))
    (root / "notes.txt").write_text("no photo")
    (root / "dark" / HOSTILE).write_bytes(b"\xff\xd8\xff")
    return root


def compare(models: Path, photos: Path, second: str = "2") -> Diff:
    repository = Repository(models)
    return diff(repository.open("tiny", "1"), repository.open("tiny", second), photos)


def test_changed_labels_come_before_changed_decisions_and_the_farthest_apart_first(models: Path, photos: Path):
    found = compare(models, photos)
    assert [(seen.name, seen.labels) for seen in found.gravest] == [
        ("light/192.png", ("light", "middle")),
        ("dark/65.png", ("middle", "dark")),
        ("deep/middle/66.png", ("middle", "middle")),
    ]
    assert [seen.distance for seen in found.gravest] == pytest.approx([0.755, 0.482, 0.017], abs=1e-3)
    assert (found.label_changes, found.decision_changes) == (2, 1)
    assert found.transitions == [(("middle", "dark"), 1), (("light", "middle"), 1)]


def test_agreement_is_counted_over_all_photos_and_right_answers_over_those_with_a_known_label(
    models: Path, photos: Path
):
    found = compare(models, photos)
    assert (found.photos, found.agreed) == (6, 4)
    assert found.agreement_interval == wilson_interval(4, 6)
    assert (found.judged, found.right) == (5, (4, 4))
    assert found.unreadable == [(f"dark/{HOSTILE}", "image_truncated"), ("notes.txt", "image_type_unsupported")]


def test_a_version_agrees_with_itself(models: Path, photos: Path):
    found = compare(models, photos, "1")
    assert (found.agreed, found.disagreements) == (6, [])
    page = Page(diff_page(found, 200))
    assert "disagree on 0 of 6 photos" in page.words
    assert "None: each photo has the same label from both." in page.words
    assert not page.all("img")


def test_versions_with_other_labels_and_inputs_are_compared_by_name(models: Path, photos: Path):
    described = card(version="3", labels=("dark", "bright"), spec=card().input.model_copy(update={"channels": 3}))
    publish(models, described, graph(described.input, centres=(0, 255)))
    found = compare(models, photos, "3")
    assert {seen.name: seen.labels for seen in found.gravest} == {
        "light/192.png": ("light", "bright"),
        "middle/128.png": ("middle", "bright"),
        "dark/65.png": ("middle", "dark"),
        "deep/middle/66.png": ("middle", "dark"),
    }
    assert max(seen.distance for seen in found.gravest) == pytest.approx(1, abs=1e-3)


def test_the_command_writes_a_page_that_stands_alone_and_says_what_it_found(
    models: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Rollout(stable="1", canary="2", canary_share=0.1).write(models / "tiny")
    out = tmp_path / "pages" / "diff.html"
    arguments = ["tiny", "stable", "canary", "--models", str(models), "--data", str(photos), "--out", str(out)]
    assert hangtag.main(["models", "diff", *arguments]) == 0
    assert capsys.readouterr().out.replace("\u00a0", " ") == (
        "6 photos, 66.67 % with the same label (95 % interval 30.00 % to 90.32 %); 2 labels and 1 decision differ.\n"
        "Of 5 with a known label, version 1 names 4 right, version 2 4.\n"
        f"2 files cannot be decoded; the page names them.\n{out}\n"
    )
    page = Page(out.read_text())
    for words in (
        "Versions 1 and 2 disagree on 3 of 6 photos",
        "66.67 % of 6 photos; of others like these most likely 30.00 to 90.32 % (95 % interval)",
        "Version 1 right 80.00 % 4 of 5 photos",
        "version 1: ✓ light 0.879, for review version 2: ✗ middle 0.875, for review label: lightlight/192.png",
        "version 1: ✓ middle 0.999, accepted version 2: ✓ middle 0.983, for review label: middledeep/middle/66.png",
        f"dark/{HOSTILE}image_truncated",
        "accept threshold0.9000.990",
        "test accuracy100.00 % of 3 (44.00 to 100.00 %)",
    ):
        assert words in page.words, words
    assert len(page.all("img")) == 3
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not [tag for tag, _ in page.elements if tag in {"script", "link", "iframe"}]


def test_a_page_has_no_more_pictures_than_it_may_and_says_how_many_are_left_out(models: Path, photos: Path):
    page = Page(diff_page(compare(models, photos), pictures=2))
    assert "Shown are the first 2:" in page.words
    assert "Left out: 1;" in page.words
    assert len(page.all("img")) == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["1", "3"], "no version '3'"),
        (["1", "canary"], "no version 'canary'"),
        (["1", "2", "--data", "nowhere"], "nowhere has no photo that can be decoded (0 other files)"),
        (["1", "2", "--out", "{photos}/notes.txt/page.html"], "page.html cannot be written (File exists)"),
    ],
)
def test_what_cannot_be_compared_says_why(
    models: Path, photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
):
    asked = [argument.format(photos=photos) for argument in arguments]
    common = ["--models", str(models)] + ([] if "--data" in asked else ["--data", str(photos)])
    assert hangtag.main(["models", "diff", "tiny", *asked, *common]) == 1
    assert complaint in capsys.readouterr().err

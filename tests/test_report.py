"""The report of a training: made from whole findings, with real pictures and charts, and read as a browser would."""

import csv
import io
import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from artifact.card import RunCard
from artifact.digest import digest_bytes
from browser import Page
from found import AUDIT, LABELS, ORIGIN, findings, metrics_of, renamed, reported
from training.findings import Findings
from training.gallery import choose
from training.page import render
from training.report import write_report
from training.run_folder import PAGE_FILE, REPORT_FILES
from training.shown import score

LIMIT = 1_500_000
SCRIPT = "<script>alert('label')</script>\u202e"
HOSTILE = '/home/someone/photos/hats/"><img src=x onerror=alert(1)>\u202egpj.exe\udcff.png'


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings()


@pytest.fixture(scope="module")
def folder(found: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, found, ORIGIN, AUDIT)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / PAGE_FILE).read_text(encoding="utf-8"))


def test_the_page_stands_alone(page: Page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form", "base"}
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes.keys() & {"href", "srcset", "poster", "action", "data"}
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
    style = "".join(re.findall("(?s)<style>(.*?)</style>", render("base.html")))
    assert "url(" not in style
    assert "@import" not in style


def test_every_picture_is_whole_and_says_what_it_shows(page: Page):
    pictures = page.all("img")
    assert len(pictures) > 4 + 24
    for picture in pictures:
        assert len(picture["alt"] or "") > 10
        head, _, body = (picture["src"] or "").partition(",")
        if head == "data:image/svg+xml":
            assert ET.fromstring(unquote(body)).tag.endswith("svg")  # noqa: S314 - our own
        else:
            Image.open(io.BytesIO(b64decode(body, validate=True))).load()


def test_the_page_shows_the_figures_of_the_card(page: Page, found: Findings):
    test, words = found.published.figures["test"], page.words
    low, high = test.accuracy_interval
    assert f"{test.accuracy:.1%}".replace("%", " %") in words
    assert f"{100 * low:.2f} to {100 * high:.2f} %" in words
    for figures in found.published.figures.values():
        assert f"{100 * figures.accuracy:.2f} %" in words
    for trial in found.trials:
        assert f"{100 * trial.figures['test'].accuracy:.2f} %" in words
    assert found.baseline
    assert f"{100 * found.baseline.figures['test'].accuracy:.2f} %" in words
    assert score(found.published.threshold) in words
    assert all(label in words for label in LABELS)


def test_the_page_says_what_it_was_made_of_and_by(page: Page):
    for part in (
        "4 epochs of the new layers alone",
        "fine-tuning, in which the whole network learns, began after epoch 4",
        "three convolutions and two dense layers",
        "a <wide> network87.50 % 4.20",
        "a narrow network81.25 % not measured",
        "turned by up to 10 degrees",
        "1 group of the same photo, 2 of nearly the same; 2 of them stand in several splits",
        "and 1 of them has different labels",
        "hats/broken.jpg (image_truncated)",
        "1 photo could not be read",
        "A processor, 2 cores",
        "keras 3.12",
        "0123abc",
        "4 min 10 s",
    ):
        assert part in page.words


def test_the_page_is_small_enough_for_a_phone(tmp_path: Path, found: Findings):
    noise = np.random.default_rng(0).integers(0, 256, (600, 224, 224, 3), dtype=np.uint8)
    noisy = replace(found, pixels=noise, augmented=noise[:24].reshape(4, 6, 224, 224, 3))
    write_report(tmp_path, noisy, ORIGIN)
    assert (tmp_path / PAGE_FILE).stat().st_size < LIMIT


def test_a_page_of_many_labels_leaves_the_matrix_to_the_json(tmp_path: Path):
    labels = tuple(f"label {number}" for number in range(300))
    page, metrics = reported(tmp_path, findings({"train": 900, "validation": 700, "test": 800}, labels=labels))
    assert "too wide for a page" in page.words
    assert len(metrics.test.confusion) == 300
    assert (tmp_path / PAGE_FILE).stat().st_size < LIMIT


def test_a_hostile_file_name_is_shown_and_does_nothing(tmp_path: Path):
    page, _ = reported(tmp_path, renamed(findings(skill=3), HOSTILE))
    assert 'hats/"><img src=x onerror=alert(1)>\\u202egpj.exe\\udcff.png' in page.words
    assert not [attributes for attributes in page.all("img") if "onerror" in attributes]
    html = (tmp_path / PAGE_FILE).read_text(encoding="utf-8")
    assert "/home/someone" not in html
    assert "\u202e" not in html


def test_a_hostile_label_is_shown_and_does_nothing(tmp_path: Path):
    page, metrics = reported(tmp_path, findings(skill=3, labels=(SCRIPT, *LABELS[1:])))
    assert page.words.count("<script>alert('label')</script>\\u202e") > 5
    assert "\u202e" not in page.words
    assert not page.all("script")
    assert metrics.test.labels[0].label == SCRIPT


def test_names_tell_nothing_of_the_machine(folder: Path):
    for name in REPORT_FILES:
        assert b"/home/someone" not in (folder / name).read_bytes()
    with np.load(folder / "predictions.npz", allow_pickle=False) as predictions:
        assert predictions["names"][0] == "test/0000.jpg"


def test_the_same_findings_give_the_same_bytes(found: Findings, tmp_path: Path):
    written = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, found, ORIGIN)
        assert {path.name for path in (tmp_path / name).iterdir()} == set(REPORT_FILES)
        written.append([(tmp_path / name / file).read_bytes() for file in REPORT_FILES])
    assert written[0] == written[1]


def test_the_predictions_and_the_history_are_whole(folder: Path, found: Findings):
    with np.load(folder / "predictions.npz", allow_pickle=False) as predictions:
        right = predictions["scores"].argmax(axis=1) == predictions["labels"]
        assert predictions["scores"].dtype == np.float32
        assert right.mean() == found.published.figures["test"].accuracy
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 21))
    assert float(rows[-1]["val_loss"]) == found.published.progress.epochs[-1]["val_loss"]


# What is shown, and how.


def test_the_gallery_shows_the_surest_mistakes_first_and_all_if_they_are_few(found: Findings):
    many, few = choose(findings(skill=2)), choose(found)
    assert len(many.wrong) == 24 < many.wrong_in_all
    assert [each.score for each in many.wrong] == sorted((each.score for each in many.wrong), reverse=True)
    assert len(few.wrong) == few.wrong_in_all < 24
    assert {each.label for each in few.right} == set(LABELS)
    for each in few.right:
        assert each.label == each.answer


def test_a_model_without_mistakes_has_none_to_show(tmp_path: Path):
    page, metrics = reported(tmp_path, findings({"train": 60, "validation": 60, "test": 60}, skill=40))
    assert metrics.test.mixups == ()
    assert "There are no wrong answers" in page.words


def test_one_seed_without_baseline_or_augmentation_is_a_report_too(found: Findings, tmp_path: Path):
    recipe = found.recipe.model_copy(update={"baseline": None})
    bare = replace(found, recipe=recipe, trials=found.trials[:1], baseline=None, augmented=found.augmented[:0])
    page, metrics = reported(tmp_path, bare)
    assert metrics.baseline is None
    assert metrics.spread["test"].deviation is None
    assert "It was trained once" in page.words
    assert "Held against" not in page.words
    assert "hangtag audit" in page.words


def test_a_label_without_test_photos_counts_for_nothing(tmp_path: Path):
    found = findings(labels=(*LABELS, "scarves"))
    ours = found.published
    rare = LABELS.index("hats")
    answers = {
        split: replace(
            given,
            labels=given.labels[kept],
            logits=given.logits[kept],
            scores=given.scores[kept],
            names=tuple(np.array(given.names)[kept]),
        )
        for split, given in ours.answers.items()
        for kept in [given.labels != rare]
    }
    pixels = found.pixels[ours.answers["test"].labels != rare]
    page, metrics = reported(
        tmp_path, replace(found, pixels=pixels, trials=(replace(ours, answers=answers),), baseline=None)
    )
    assert metrics.test.labels[rare].recall_interval is None
    assert metrics.data.imbalance is None
    assert "no photos" in page.words
    assert metrics.balanced["test"].balanced_accuracy > 0.9


def test_a_real_run_has_a_page_with_the_figures_of_its_card(drawn_run: Path):
    card, metrics = RunCard.read(drawn_run), metrics_of(drawn_run / "report")
    page = Page((drawn_run / "report" / PAGE_FILE).read_text(encoding="utf-8"))
    assert metrics.figures == {split: card.figures[split] for split in ("validation", "test")}
    assert metrics.promise.threshold == card.accept_threshold
    assert metrics.calibration.temperature == card.temperature
    assert metrics.code_revision == card.code_revision
    assert {split: sum(counts.values()) for split, counts in metrics.data.counts.items()} == card.data.counts
    assert f"drawn: {100 * card.figures['test'].accuracy:.1f} % of the test photos named right" in page.words
    assert score(card.accept_threshold) in page.words
    assert card.files[f"report/{PAGE_FILE}"] == digest_bytes((drawn_run / "report" / PAGE_FILE).read_bytes())

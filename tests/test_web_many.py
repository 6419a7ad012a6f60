"""Many photos on the page at once, in a real browser: the grid, its order, corrections, and what can be downloaded."""

import csv
import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from chromium import Visits, drop, tab_to
from support import Service, encoded, png
from training.manifest import Manifest

FEW = {"dark.png": png(0), "unsure.png": png(64), "light.png": png(255), "broken.png": png(0)[:40]}


def noise(number: int) -> bytes:
    """A photo that no other is the same as."""
    pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


@pytest.fixture
def few(shop: Service, visit: Visits) -> Page:
    """A page on which four photos were answered, one of them with a problem."""
    page = visit(f"{shop.url}/?model=tiny")
    drop(page, FEW)
    expect(page.locator("#summary")).to_contain_text("2 accepted, 1 to review, 1 without an answer")
    return page


def names(page: Page) -> list[str]:
    return page.locator(".tile .file").all_text_contents()  # those beyond the window have no inner text


def correct(where: Page | Locator, name: str, label: str) -> None:
    choice = where.get_by_label(f"Label of {name}")
    choice.focus()  # the labels are offered to whoever looks for them
    choice.select_option(label)


def downloaded(page: Page, button: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_bytes().decode()


def test_200_photos_are_all_answered_in_a_few_requests(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/classify" in request.url else None)
    drop(page, {f"{number:03}.png": noise(number) for number in range(200)})
    expect(page.locator(".tile")).to_have_count(200)
    expect(page.locator("#summary")).to_contain_text("200 photos in ", timeout=30_000)
    expect(page.locator(".tile .decision")).to_have_count(200)
    assert len(asked) <= 20
    assert all("classify-batch" in url for url in asked)


def test_large_photos_go_in_small_forms_so_that_some_are_shown_soon(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/classify" in request.url else None)
    drop(page, {f"{number}.png": png(255) + bytes(1_500_000) for number in range(8)})
    expect(page.locator("#summary")).to_contain_text("8 photos in ")
    expect(page.locator(".tile .decision")).to_have_count(8)
    assert len(asked) == 4


def test_one_bad_photo_shows_what_the_service_says_and_changes_nothing_for_others(shop: Service, few: Page):
    said = shop.classify(FEW["broken.png"]).json()["detail"]
    expect(few.locator(".failure")).to_have_text(said)
    expect(few.locator(".tile .label")).to_have_text(["dark", "dark", "light"])


def test_photos_are_filtered_by_decision_and_label_and_sorted_by_score(few: Page):
    assert names(few) == [*FEW]
    few.get_by_label("Order").select_option("unsure")
    assert names(few)[:2] == ["broken.png", "unsure.png"]
    few.get_by_label("Order").select_option("sure")
    assert names(few)[2:] == ["unsure.png", "broken.png"]
    few.get_by_label("Show").select_option("review")
    assert names(few) == ["unsure.png"]
    few.get_by_label("Show").select_option("")
    few.get_by_label("With the label").select_option("dark")
    assert names(few) == ["dark.png", "unsure.png"]


def test_the_answers_can_be_downloaded(few: Page):
    rows = list(csv.DictReader(io.StringIO(downloaded(few, "Answers (CSV)"))))
    assert [row["path"] for row in rows] == [*FEW]
    assert [row["label"] for row in rows] == ["dark", "dark", "light", ""]
    assert [row["decision"] for row in rows] == ["accept", "review", "accept", ""]
    assert float(rows[1]["score"]) < float(rows[1]["threshold"]) == 0.9
    assert (rows[0]["model"], rows[0]["version"]) == ("tiny", "1")
    assert rows[3]["problem"]


def test_names_that_a_spreadsheet_would_run_are_kept_from_that_but_in_the_manifest(
    few: Page,
):
    drop(few, {"=cmd|' /C calc'!A0.png": png(64, (9, 9)), "'quoted'.png": png(255)})
    expect(few.locator("#summary")).to_contain_text("3 accepted, 2 to review")
    rows = list(csv.DictReader(io.StringIO(downloaded(few, "Answers (CSV)"))))
    assert [row["path"] for row in rows[4:]] == ["'=cmd|' /C calc'!A0.png", "''quoted'.png"]
    correct(few, "=cmd|' /C calc'!A0.png", "middle")
    assert downloaded(few, "Corrections (manifest)") == "path,label\r\n=cmd|' /C calc'!A0.png,middle\r\n"


def test_the_summary_keeps_up_with_corrections_and_takes_no_time_of_a_few_for_that_of_all(few: Page):
    expect(few.locator("#summary")).to_have_text(re.compile(r"^4 photos in \d+.m?s: 2 accepted, 1 to review"))
    correct(few, "unsure.png", "middle")
    expect(few.locator("#summary")).to_contain_text("2 accepted, 1 corrected, 1 without an answer")
    drop(few, {"white.png": png(255)})
    expect(few.locator("#summary")).to_have_text("5 photos: 3 accepted, 1 corrected, 1 without an answer")


def test_corrected_labels_can_be_downloaded_as_a_manifest_that_training_takes(few: Page, tmp_path: Path):
    assert few.get_by_role("button", name="Corrections").is_disabled()
    correct(few, "unsure.png", "middle")
    correct(few, "light.png", "dark")
    expect(few.locator(".tile .corrected")).to_have_count(2)
    text = downloaded(few, "Corrections (manifest)")
    assert text == "path,label\r\nunsure.png,middle\r\nlight.png,dark\r\n"
    for name, photo in FEW.items():
        (tmp_path / name).write_bytes(photo)
    (tmp_path / "corrections.csv").write_text(text)
    assert Manifest(tmp_path / "corrections.csv").labels == ("dark", "middle")
    correct(few, "light.png", "light")
    expect(few.locator(".tile .corrected")).to_have_count(1)


def test_corrections_that_were_not_downloaded_are_dropped_only_by_who_says_so(few: Page):
    asked = list[str]()
    few.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    correct(few, "unsure.png", "middle")
    few.get_by_role("button", name="Clear").click()
    with few.expect_event("dialog"):
        few.close(run_before_unload=True)
    assert asked == ["confirm", "beforeunload"]
    assert len(names(few)) == 4
    downloaded(few, "Corrections (manifest)")
    few.get_by_role("button", name="Clear").click()
    expect(few.locator(".tile")).to_have_count(0)
    assert len(asked) == 2


def test_a_photo_opens_whole_and_the_arrows_lead_to_its_neighbours(few: Page):
    few.get_by_role("button", name="All about unsure.png").focus()
    few.keyboard.press("Enter")
    detail = few.get_by_role("dialog", name="All about a photo")
    expect(detail.locator(".bars li")).to_have_count(3)
    expect(detail.locator("pre")).to_contain_text("curl --data-binary @unsure.png")
    few.keyboard.press("ArrowRight")
    expect(detail.get_by_role("heading")).to_have_text("light")
    few.keyboard.press("ArrowRight")
    expect(detail.get_by_role("heading")).to_have_text("No answer")
    few.keyboard.press("ArrowLeft")
    correct(detail, "light.png", "middle")
    expect(detail.get_by_role("heading")).to_have_text("middle")
    few.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(few.locator(".tile .corrected")).to_have_count(1)


def test_a_label_is_corrected_by_keyboard_alone(few: Page):
    tab_to(few, lambda page: page.evaluate("document.activeElement.ariaLabel") == "Label of unsure.png")
    few.keyboard.press("m")
    expect(few.locator(".tile .corrected")).to_have_count(1)
    assert few.evaluate("document.activeElement.ariaLabel") == "Label of unsure.png"


def test_a_label_is_chosen_by_arrows_though_the_photo_is_not_among_those_shown_any_more(few: Page):
    drop(few, {"dusk.png": png(64, (9, 9))})
    expect(few.locator("#summary")).to_contain_text("2 accepted, 2 to review")
    few.get_by_label("Show").select_option("review")
    expect(few.locator(".tile")).to_have_count(2)
    few.get_by_label("Label of dusk.png").focus()
    few.keyboard.press("ArrowDown")
    expect(few.locator("#summary")).to_contain_text("1 to review, 1 corrected")
    few.wait_for_timeout(500)  # in which tiles would be arranged anew
    assert few.evaluate("document.activeElement.ariaLabel") == "Label of dusk.png"
    few.get_by_label("Order").focus()
    expect(few.locator(".tile")).to_have_count(1)


def test_from_a_photo_that_is_shown_no_more_the_arrows_lead_to_those_that_were_its_neighbours(few: Page):
    drop(few, {"dusk.png": png(64, (9, 9)), "dawn.png": png(64, (10, 10))})
    expect(few.locator("#summary")).to_contain_text("2 accepted, 3 to review")
    few.get_by_label("Show").select_option("review")
    few.get_by_role("button", name="All about dusk.png").click()
    detail = few.get_by_role("dialog", name="All about a photo")
    correct(detail, "dusk.png", "light")
    few.get_by_role("button", name="Next").focus()
    few.keyboard.press("ArrowRight")
    expect(detail.locator(".file")).to_have_text("dawn.png")
    few.keyboard.press("ArrowLeft")
    expect(detail.locator(".file")).to_have_text("unsure.png")


def test_the_correction_of_one_photo_alone_can_be_downloaded(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    drop(page, {"unsure.png": png(64)})
    correct(page, "unsure.png", "middle")
    assert downloaded(page, "Corrections (manifest)") == "path,label\r\nunsure.png,middle\r\n"


def test_a_model_that_is_not_ready_leaves_corrections_as_they_are(few: Page):
    correct(few, "unsure.png", "middle")
    failed = {"name": "hats", "version": "1", "status": "failed", "reason": "It is broken.", "card": None}
    few.route("**/v1/models/hats", lambda route: route.fulfill(json=failed))
    few.locator("#model").select_option("hats")
    expect(few.locator("#about")).to_have_text("It is broken.")
    few.locator("#model").select_option("tiny")
    expect(few.locator("#summary")).to_contain_text("1 corrected")


def test_another_model_answers_for_all_and_corrections_that_it_has_no_label_for_are_dropped_by_who_says_so(few: Page):
    correct(few, "unsure.png", "middle")
    with few.expect_event("dialog") as asked:
        few.once("dialog", lambda dialog: dialog.dismiss())
        few.locator("#model").select_option("hats")
    assert asked.value.message.startswith("1 correction would be lost")
    expect(few.locator("#model")).to_have_value("tiny")
    expect(few.locator("#about")).to_contain_text("Tells dark pictures from light ones.")
    expect(few.get_by_label("Label of unsure.png")).to_have_value("middle")
    few.once("dialog", lambda dialog: dialog.accept())
    few.locator("#model").select_option("hats")
    expect(few.locator(".tile .label")).to_have_text(["black hat", "black hat", "white hat"])
    assert few.get_by_role("button", name="Corrections").is_disabled()


def test_the_page_can_be_cleared(few: Page):
    said = few.locator("main > [role=status]")
    before = said.text_content()
    few.get_by_role("button", name="Clear").click()
    expect(few.locator("#photos")).to_be_hidden()
    assert said.text_content() == before, "nothing is said of no photos"
    drop(few, {"white.png": png(255)})
    expect(few.get_by_role("heading", name="light")).to_be_visible()


def test_who_clears_the_page_stops_asking(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    page.route("**/classify-batch*", lambda _: None)  # it is never answered
    with page.expect_request("**/classify-batch*"):
        drop(page, {"dark.png": png(0), "light.png": png(255)})
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Clear").click()


def test_a_batch_that_is_refused_as_a_whole_is_told_of_each_photo(models: Path, visit: Visits):
    with Service(models, "--max-batch-items", "2") as running:
        page = visit(running.url)
        drop(page, {f"{number}.png": png(shade) for number, shade in enumerate((0, 128, 255))})
        said = httpx.post(f"{running.url}/v1/models/tiny/classify-batch", files=[("images", png(0))] * 3).json()[
            "detail"
        ]
        expect(page.locator(".failure").first).to_have_text(said)
        expect(page.locator("#summary")).to_contain_text("without an answer")

"""The page of a review, opened from disk in a real browser, by a person with a mouse and by one with a keyboard."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from chromium import Visits, overflow, tab_to, violations
from drawn import scene
from reviewed import LABELS, Shop, failed, row
from support import ROOT, encoded
from test_page import schemes
from training.manifest import Manifest

HOSTILE = "\"><img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
ON_A_PAGE = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A review of two pages: a hostile name, a photo that no browser shows, and then plain ones."""
    with Shop.open(tmp_path_factory.mktemp("shop")) as shop:
        shop.put("a TIFF", encoded(scene(0), "TIFF"))
        rest = [row(f"shop/{n}.jpg", "tops", 0.5 + n / 1000, **dict.fromkeys(LABELS[:1], 0.2)) for n in range(210)]
        shop.label([row(HOSTILE, "skirts", 0.3, tops=0.2), row("a TIFF", "tops", 0.31), *rest, failed(HOSTILE)])
        shop.review()
        return shop.folder


@pytest.fixture
def page(visit: Visits, folder: Path) -> Page:
    """The page as a new reader opens it."""
    page = visit((folder / "index.html").as_uri())
    page.wait_for_selector(".photo")
    return page


def photo(page: Page, number: int) -> Locator:
    return page.locator(".photo").nth(number)


def is_at(text: str) -> Callable[[Page], bool]:
    """Whether what has the focus begins with a text."""
    return lambda page: page.evaluate("document.activeElement.innerText").startswith(text)


def saved(page: Page, folder: Path) -> list[dict[str, str]]:
    """The rows of the table that the page saves, which is put beside the photos."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrected.csv").click()
    assert download.value.suggested_filename == "corrected.csv"
    download.value.save_as(folder / "corrected.csv")
    with (folder / "corrected.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_label_is_corrected_by_a_click_and_only_what_was_decided_is_saved(page: Page, folder: Path):
    photo(page, 0).get_by_role("button", name="tops").click()
    photo(page, 2).get_by_placeholder("another label").fill(' Röcke, "lang" ')
    photo(page, 3).get_by_role("button", name="Leave out").click()
    photo(page, 4).get_by_role("button", name="tops").click()
    photo(page, 5).get_by_role("button", name="tops").click()
    photo(page, 5).get_by_role("button", name="tops").click()
    expect(page.get_by_role("status")).to_have_text("4 of 212 photos decided")
    rows = saved(page, folder)
    assert [(each["label"], each["predicted"]) for each in rows] == [
        ("tops", "skirts"),
        ('Röcke, "lang"', "tops"),
        ("tops", "tops"),
    ]
    assert rows[0]["source"] == HOSTILE
    assert Manifest(folder / "corrected.csv").labels == ('Röcke, "lang"', "tops")


def test_the_rest_of_each_page_can_be_right_and_then_the_table_is_the_one_that_was_there(page: Page, folder: Path):
    rest = page.get_by_role("button", name="The rest of this page is right")
    rest.click()
    page.keyboard.press("Enter")  # the link to the next page has the focus
    expect(page.get_by_role("heading", level=2)).to_have_text("Page 2 of 2")
    rest.click()
    expect(page.get_by_role("button", name="Save corrected.csv")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("212 of 212 photos decided")
    saved(page, folder)
    assert (folder / "corrected.csv").read_bytes() == (folder / "review.csv").read_bytes()


def test_all_of_it_works_by_keyboard(page: Page):
    tab_to(page, is_at("skirts"))
    page.keyboard.press("2")
    expect(photo(page, 1).locator("button").first).to_be_focused()
    page.keyboard.press("0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("4 of 212 photos decided")
    photo(page, ON_A_PAGE - 1).get_by_role("button").first.focus()
    page.keyboard.press("1")
    assert is_at("The rest of this page is right")(page)
    page.keyboard.press("Enter")
    assert is_at("Next page")(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("Page 2 of 2")
    tab_to(page, is_at("Save corrected.csv"), most=100)
    with page.expect_download() as download:
        page.keyboard.press("Space")
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == ON_A_PAGE
    assert lines[1].split(",")[1:3] == ["tops", "skirts"]


def test_what_was_decided_is_there_after_the_page_was_closed(page: Page):
    photo(page, 2).get_by_role("button", name="skirts").click()
    page.reload()
    expect(photo(page, 2).get_by_role("button", name="skirts")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status")).to_have_text("1 of 212 photos decided")


def test_a_browser_that_keeps_nothing_says_so(page: Page):
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    photo(page, 2).get_by_role("button", name="skirts").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 212 photos decided; this browser keeps none of it")


def test_names_are_only_text(page: Page):
    assert page.title() == "Photos for a person"
    assert photo(page, 0).locator(".source").text_content() == HOSTILE
    page.get_by_text("1 photo cannot be shown").click()
    assert page.get_by_role("cell").first.text_content() == HOSTILE


def test_pictures_are_shown_whatever_the_photo_is_and_only_those_that_are_near(page: Page):
    page.set_viewport_size({"width": 360, "height": 800})
    page.reload()
    expect(page.locator("img").nth(1)).to_have_js_property("naturalWidth", 320)
    assert page.evaluate("[...document.images].filter((image) => image.complete).length") < ON_A_PAGE


def test_nothing_is_asked_of_a_network(page: Page, folder: Path):
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    photo(page, 0).get_by_role("button").first.click()
    saved(page, folder)
    assert len(asked) > 5
    assert {url.partition(":")[0] for url in asked} <= {"file", "blob"}


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_it_fits_and_can_be_read_by_all(visit: Visits, folder: Path, width: int, scheme: str):
    page = visit(f"{(folder / 'index.html').as_uri()}#2", scheme, width)
    expect(page.get_by_role("heading", level=2)).to_have_text("Page 2 of 2")
    for summary in page.locator("summary").all():
        summary.click()
    photo(page, 0).get_by_role("button").first.click()
    assert overflow(page) == 0
    assert violations(page, preload=False) == []  # it would ask for the styles, which the page forbids


def test_its_colours_are_those_of_the_reports_whose_contrast_is_tested():
    style = (ROOT / "catalog" / "page" / "review.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert [dict(re.findall(r"--(\w+): ([^;]+);", block)) for block in blocks] == schemes()

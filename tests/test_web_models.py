"""The page of the models, in a real browser, of a real model with versions on trial."""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

import hangtag
import support
from chromium import SCHEMES, WIDTHS, Visits, overflow, tab_to, violations
from keyed import Keyed
from support import ROOT, Service, eventually, png

COUNT_WHAT_CHANGES = """async () => {
    let changes = 0;
    const watch = new MutationObserver(seen => changes += seen.length);
    for (const id of ["said", "models"]) watch.observe(document.getElementById(id), {childList: true});
    const seen = () => performance.getEntriesByName(new URL("v1/models", document.baseURI).href).length;
    for (const before = seen(); seen() < before + 2;) await new Promise(resolve => setTimeout(resolve, 50));
    return changes;
}"""


@pytest.fixture(scope="module")
def closet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of a real model, with a canary and a shadow, and of one that has no report."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / "closet", root / "closet")
    support.publish(root)
    for label, version, *share in (("stable", "3"), ("canary", "4", "--share", "0.5"), ("shadow", "1", "--share", "1")):
        assert hangtag.main(["models", "label", "closet", label, version, *share, "--models", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def running(closet: Path) -> Iterator[Service]:
    with Service(closet) as service:
        yield service


def model(page: Page, name: str):
    return page.get_by_role("article", name=name)


def test_a_card_says_how_good_a_model_is_what_it_mixes_up_and_what_it_promises(running: Service, visit: Visits):
    page = visit(f"{running.url}/models")
    card = model(page, "closet")
    figures = httpx.get(f"{running.url}/v1/models/closet").json()["card"]["figures"]["test"]
    expect(card.locator(".figures")).to_contain_text(f"{figures['accuracy']:.1%}".replace("%", "\u00a0%"))
    expect(card.locator(".figures")).to_contain_text("of 345 photos; 95\u00a0% sure: 98.4\u00a0% to 99.9\u00a0%")
    expect(card.locator(".figures")).to_contain_text("promised: at least 99 %")
    expect(card.locator(".confusion tbody tr").first).to_have_text("tops1871·")
    expect(card.get_by_role("img")).to_have_attribute(
        "aria-label", "What it says of how sure it is, is off by 1.1\u00a0% on average."
    )
    expect(card.locator(".classes li")).to_have_text(["tops", "bottoms", "shoes"])
    expect(card.get_by_role("link", name="Full report")).to_have_attribute("href", "v1/models/closet/report")
    expect(model(page, "tiny").locator(".figures")).to_contain_text("nothing was promised")
    expect(model(page, "tiny").get_by_role("link", name="Full report")).to_have_count(0)


def test_a_card_tells_of_versions_of_the_canary_and_of_what_the_shadow_agrees_on(running: Service, visit: Visits):
    for customer in range(8):  # whose keys send some to the canary, and others not
        headers = {"Content-Type": "image/png", "X-Request-Key": str(customer)}
        assert running.ask(png(customer, (30, 40), "RGB"), headers, "closet").status_code == 200
    of_shadow = partial(running.metric, model_name="closet", model_version="1")
    eventually(lambda: of_shadow("hangtag_shadow_duration_seconds_count") > 0)
    page = visit(f"{running.url}/models")
    card = model(page, "closet")
    expect(card).to_contain_text("Version 4 is a canary: it answers 50 % of the requests. It accepts ")
    expect(card).to_contain_text("Version 1 is a shadow: it looks at 100 % of the photos and answers nobody.")
    expect(card).to_contain_text(re.compile(r"It agrees on \d+\.\d.% of [1-7]\."))
    card.get_by_text("4 versions").click()
    rows = card.get_by_role("group", name="Versions").locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("stable")
    expect(rows.nth(0)).to_contain_text("int8")


def test_a_model_that_is_not_in_service_says_why_and_holds_up_no_other(closet: Path, tmp_path: Path, visit: Visits):
    models = tmp_path / "models"
    shutil.copytree(closet, models)
    (models / "tiny" / "1" / "card.json").write_text("{}")
    with Service(models) as service:
        page = visit(f"{service.url}/models")
        expect(page.get_by_role("article")).to_have_count(2, timeout=5000)
        expect(model(page, "tiny").locator(".problem")).to_contain_text("is not a valid card")
        expect(model(page, "tiny").get_by_text("is not a valid card")).to_have_count(1)


def test_a_model_that_is_being_loaded_is_looked_at_again_and_the_others_stay_as_they_are(
    running: Service, visit: Visits
):
    page = visit(f"{running.url}/live")
    listed = httpx.get(f"{running.url}/v1/models").json()
    [tiny] = [model for model in listed["models"] if model["name"] == "tiny"]
    tiny["status"] = "loading"
    page.route("**/v1/models", lambda route: route.fulfill(json=listed))
    detail = tiny | {"card": None, "failures": [], "labels": {}}
    page.route("**/v1/models/tiny", lambda route: route.fulfill(json=detail))
    page.goto(f"{running.url}/models")
    expect(page.locator("#said")).to_have_text("2 models, 1 being loaded.")
    expect(model(page, "tiny").locator(".problem")).to_have_text("It is loading.")
    model(page, "closet").get_by_text("4 versions").click()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('article h2'))")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    assert page.evaluate(COUNT_WHAT_CHANGES) == 0, "neither said nor placed again"
    page.unroute("**/v1/models/tiny")
    page.unroute("**/v1/models")
    expect(page.locator("#said")).to_have_text("2 models.")
    expect(model(page, "tiny")).to_contain_text("nothing was promised")
    expect(model(page, "closet").get_by_role("group", name="Versions")).to_be_visible()
    assert page.evaluate("String(getSelection())").startswith("closet")
    assert page.evaluate("scrollY") >= scrolled, "who reads on is not taken back to what has the focus"


def test_of_many_labels_the_worst_mix_ups_are_told_in_place_of_a_matrix(running: Service, visit: Visits):
    told = visit(f"{running.url}/models").evaluate(
        """async ([labels, counts, mixups]) => {
            const {confusion} = await import("/web/confusion.js");
            return confusion(labels, counts, mixups).innerText;
        }""",
        [[str(number) for number in range(25)], [], [{"label": "3", "answer": "4", "count": 7, "share": 0.5}]],
    )
    assert told == "What it mixes up most3 as 4: 7 photos, 50.0\u00a0% of them"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wrong_for_those_who_cannot_see_it_and_nothing_sticks_out(
    running: Service, visit: Visits, scheme: str, width: int
):
    page = visit(f"{running.url}/models", scheme, width)
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_text("4 versions").click()
    assert violations(page) == []
    assert overflow(page) == 0


def test_versions_are_opened_by_keyboard_alone(running: Service, visit: Visits):
    page = visit(f"{running.url}/models")
    expect(page.get_by_role("article")).to_have_count(2)
    tab_to(page, lambda page: page.evaluate("document.activeElement.textContent") == "4 versions")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Versions").first).to_be_visible()


def test_a_service_with_keys_gives_the_report_to_who_has_one(closet: Path, tmp_path: Path, visit: Visits):
    with Keyed(closet, tmp_path / "keys.json") as service:
        [key] = service.key("shop").values()
        page = visit(f"{service.url}/models")
        page.get_by_label("API key").fill(key.removeprefix("Bearer "))
        page.keyboard.press("Enter")
        with page.expect_download() as download:
            model(page, "closet").get_by_role("link", name="Full report").click()
        report = ROOT / "models" / "closet" / "3" / "report" / "report.html"
        assert Path(download.value.path()).read_bytes() == report.read_bytes()

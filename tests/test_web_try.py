"""The page on which photos are tried, in a real browser, against a real service."""

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import support
from chromium import SCHEMES, WIDTHS, Visits, drop, overflow, tab_to, violations
from keyed import Keyed
from support import Service, encoded, png

KEEP_WHAT_IS_SENT = """() => {
    window.sent = [];
    const append = FormData.prototype.append;
    FormData.prototype.append = function (name, file, ...more) {
        window.sent.push(file);
        append.call(this, name, file, ...more);
    };
}"""
PIXEL_SENT = """async ([number, x, y]) => {
    const bitmap = await createImageBitmap(window.sent[number]);
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return [...context.getImageData(x, y, 1, 1).data];
}"""


def first(page: Page):
    return page.locator("#answers li").first


def test_a_photo_that_is_dropped_is_answered_with_bars_decision_threshold_and_curl(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    expect(page.locator("#about")).to_contain_text("Tells dark pictures from light ones. 3 labels; 100.0 % of 3 photos")
    drop(page, {"my white shirt.png": png(255)})
    answer = first(page)
    expect(answer.get_by_role("heading")).to_have_text("light")
    expect(answer.locator(".decision")).to_have_text("✓ Accept")
    expect(answer.locator(".bars li")).to_have_count(3)
    expect(answer.locator(".bars li").first).to_contain_text("100.0 %")
    expect(answer.locator(".threshold")).to_have_attribute("style", "left: 90%;")
    expect(answer).to_contain_text("tiny, version 1")
    expect(answer.locator("pre")).to_have_text(
        "curl --data-binary '@my white shirt.png' -H 'Content-Type: image/png' \\\n"
        f"    '{shop.url}/v1/models/tiny/classify?top_k=5'"
    )


def test_an_answer_that_comes_while_a_key_is_asked_for_is_an_answer(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    expect(page.locator("#about")).to_contain_text("3 labels")
    page.evaluate("document.body.appendChild(document.createElement('dialog')).showModal()")
    drop(page, {"white.png": png(255)})
    expect(first(page).locator("h2")).to_have_text("light")


def test_an_answer_that_is_not_sure_asks_for_a_person(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    drop(page, {"grey.png": png(64)})
    expect(first(page).locator(".decision")).to_have_text("◔ Review")
    expect(first(page)).to_contain_text("Let a person look: under the line at 90.0 %.")


def test_a_photo_that_is_none_shows_what_the_service_says(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    drop(page, {"broken.png": png(0)[:40]})
    expect(page.locator(".problem")).to_have_text(shop.classify(png(0)[:40]).json()["detail"])


def test_a_model_that_is_not_ready_says_why_and_others_answer(tmp_path: Path, visit: Visits):
    support.publish(tmp_path)
    (support.publish(tmp_path, support.card(name="broken")) / "model.onnx").write_bytes(b"")
    with Service(tmp_path) as running:
        page = visit(running.url)
        expect(page.locator("#health")).to_have_text("not ready")
        drop(page, {"white.png": png(255)})
        expect(first(page).get_by_role("heading")).to_have_text("light")
        page.locator("#model").select_option("broken")
        expect(page.locator(".problem")).to_contain_text("model.onnx")


def test_why_lights_what_the_answer_rests_on_and_says_what_it_cost(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    photo = np.zeros((160, 160), np.uint8)
    photo[:, 140:] = 255  # which is no reason to call it dark
    drop(page, {"mostly-dark.png": encoded(Image.fromarray(photo), "PNG")})
    expect(first(page)).to_contain_text("asks for 37 more photos")
    items = shop.metric("hangtag_items_total", model_name="tiny", outcome="ok")
    page.get_by_role("button", name="Why?").click()
    expect(first(page)).to_contain_text("That took 37 photos' work")
    assert shop.metric("hangtag_items_total", model_name="tiny", outcome="ok") == items + 37
    edge = "document.querySelector('.photo canvas').getContext('2d').getImageData(155, 80, 1, 1).data[0]"
    assert page.evaluate(edge) < 128, "it is not lit"
    expect(page.locator(".reason")).to_be_focused()
    expect(page.locator(".reason")).to_contain_text("No single part decides")
    assert violations(page) == []
    page.locator("#model").select_option("hats")
    expect(page.get_by_role("button", name="Why?")).to_be_visible()


def test_what_is_covered_has_the_mean_colour_of_the_photo_as_the_service_sees_it(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    photo = np.zeros((160, 160, 4), np.uint8)  # black and transparent, which is white to the service,
    photo[40:120, 40:120] = (0, 0, 0, 255)  # but for a quarter in its midst, which is black
    drop(page, {"cut-out.png": encoded(Image.fromarray(photo), "PNG")})
    page.evaluate(KEEP_WHAT_IS_SENT)
    page.get_by_role("button", name="Why?").click()
    expect(first(page)).to_contain_text("That took 37 photos' work")
    assert page.evaluate(PIXEL_SENT, [0, 0, 0]) == [255, 255, 255, 255]
    assert page.evaluate(PIXEL_SENT, [15, 80, 80]) == [191, 191, 191, 255], "three quarters of white"


def test_another_model_answers_for_the_photos_that_are_there_and_stands_in_the_address(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    drop(page, {"white.png": png(255)})
    expect(first(page).get_by_role("heading")).to_have_text("light")
    page.locator("#model").select_option("hats")
    expect(first(page).get_by_role("heading")).to_have_text("white hat")
    assert page.url.endswith("?model=hats")


def test_a_model_that_is_being_loaded_is_waited_for(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/models")
    loading = {"name": "tiny", "version": "1", "status": "loading", "reason": None, "card": None}
    page.route("**/v1/models/tiny", lambda route: route.fulfill(json=loading))
    page.goto(f"{shop.url}/?model=tiny")
    drop(page, {"white.png": png(255)})
    expect(page.locator("#about")).to_have_text("The model is loading.")
    page.unroute("**/v1/models/tiny")
    expect(first(page).get_by_role("heading")).to_have_text("light")


def test_photos_can_be_chosen_pasted_and_taken_from_those_that_are_drawn(shop: Service, visit: Visits, tmp_path: Path):
    page = visit(f"{shop.url}/?model=tiny")
    (tmp_path / "chosen.png").write_bytes(png(0))
    page.get_by_label("Choose photos").set_input_files(tmp_path / "chosen.png")
    expect(first(page)).to_contain_text("chosen.png")
    page.evaluate("""() => {
        const pasted = new DataTransfer();
        pasted.items.add(new File(["no photo"], "pasted.png", {type: "image/png"}));
        document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: pasted}));
    }""")
    for _ in range(2):
        page.get_by_role("button", name="Shoes", exact=True).click()
    expect(page.locator(".file")).to_have_text(["chosen.png", "pasted.png", "shoes.png", "shoes-2.png"])
    expect(page.locator("#summary")).to_contain_text("without an answer")
    expect(page.locator(".tile .label")).to_have_count(3)


def test_a_folder_gives_its_photos_and_one_without_any_says_so(shop: Service, visit: Visits, tmp_path: Path):
    page = visit(f"{shop.url}/?model=tiny")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("to do")
    page.get_by_label("Choose a folder").set_input_files(tmp_path / "photos")
    expect(page.locator("#none")).to_have_text("There is no photo in it.")
    (tmp_path / "photos" / "white.png").write_bytes(png(255))
    page.get_by_label("Choose a folder").set_input_files(tmp_path / "photos")
    expect(page.locator(".file")).to_have_text("photos/white.png")
    expect(page.locator("#none")).to_be_empty()


def test_a_service_that_goes_away_is_told_of_in_an_open_dialog_too(shop_models: Path, visit: Visits):
    with Service(shop_models) as running:
        page = visit(f"{running.url}/?model=tiny")
        drop(page, {"dark.png": png(0), "white.png": png(255)})
        page.get_by_role("button", name="All about white.png").click()
        detail = page.get_by_role("dialog", name="All about a photo")
        expect(detail.get_by_role("heading")).to_have_text("light")
    detail.get_by_role("button", name="Why?").click()
    expect(detail.get_by_role("alert")).to_contain_text("The service does not answer")
    visit.complaints.clear()
    visit.close()


def test_a_service_that_goes_away_and_comes_back_answers_what_waited(shop_models: Path, visit: Visits):
    with Service(shop_models) as running:
        page = visit(f"{running.url}/?model=tiny")
        expect(page.locator("#health")).to_have_text("ready")
        expect(page.locator("#about")).to_contain_text("Tells")
    visit.complaints.clear()
    page.set_viewport_size({"width": 360, "height": 300})
    drop(page, {"white.png": png(255)})
    page.mouse.wheel(0, 2000)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect(page.get_by_role("alert")).to_be_in_viewport()
    expect(page.locator("#health")).to_have_text("no answer")
    with Service(shop_models, "--port", str(urlsplit(running.url).port)):
        expect(first(page).get_by_role("heading")).to_have_text("light", timeout=support.PATIENCE * 1000)
        expect(page.get_by_role("alert")).to_be_hidden()
    visit.close()


def test_a_photo_that_went_away_is_told_of_and_takes_no_others_with_it(shop: Service, visit: Visits, tmp_path: Path):
    page = visit(f"{shop.url}/?model=tiny")
    photos = [tmp_path / name for name in ("gone.png", "stays.png", "changes.png")]
    for photo in photos:
        photo.write_bytes(png(255))
    page.get_by_label("Choose photos").set_input_files(photos)
    expect(page.locator("#summary")).to_contain_text("3 accepted")
    photos[0].unlink()
    photos[2].write_bytes(png(0, (9, 9)))
    page.locator("#model").select_option("hats")
    expect(page.locator(".tile .label")).to_have_text(["white hat"])
    expect(page.locator(".failure").first).to_contain_text("The browser cannot read it")
    expect(page.locator(".failure")).to_have_count(2)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_request_that_always_breaks_off_is_given_up_though_the_service_is_there(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    page.route("**/classify?*", lambda route: route.abort())
    drop(page, {"white.png": png(255)})
    expect(page.locator(".problem")).to_contain_text("The request broke off again and again")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_service_that_asks_for_a_key_gets_one_and_the_curl_does_not_tell_it(
    models: Path, tmp_path: Path, visit: Visits
):
    with Keyed(models, tmp_path / "keys.json") as running:
        [key] = running.key("shop").values()
        page = visit(running.url)
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#about")).to_contain_text("This asks for a key")
        page.get_by_role("button", name="Try again").click()
        dialog = page.get_by_role("dialog", name="This service asks for a key")
        dialog.get_by_label("API key").fill("clé")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog.locator(":invalid")).to_have_count(2)  # the form and the field; the dialog stays
        dialog.get_by_label("API key").fill("hangtag_wrong")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("none of this service's")
        dialog.get_by_label("API key").fill(key.removeprefix("Bearer "))
        page.keyboard.press("Enter")
        drop(page, {"white.png": png(255)})
        expect(first(page).get_by_role("heading")).to_have_text("light")
        expect(first(page).locator("pre")).to_contain_text('-H "Authorization: Bearer $HANGTAG_API_KEY"')
        assert key.removeprefix("Bearer ") not in page.content()


def test_a_photo_that_is_answered_while_a_key_is_asked_for_has_its_answer(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    held = []
    page.route("**/classify?*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright asks how many parameters it has
    with page.expect_request("**/classify?*"):
        drop(page, {"white.png": png(255)})
    refusal = {"code": "unauthorized", "detail": "This asks for a key."}
    page.route("**/v1/models/hats", lambda route: route.fulfill(status=401, json=refusal))
    page.locator("#model").select_option("hats")
    expect(page.get_by_role("dialog")).to_contain_text("This asks for a key.")
    held[0].continue_()
    expect(page.locator(".decision")).to_have_text("✓ Accept")
    page.get_by_role("button", name="Cancel").click()


def test_beside_photos_the_samples_stand_in_the_row_of_the_other_ways(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    drop(page, {"white.png": png(255)})
    expect(page.locator(".decision")).to_be_visible()
    ways, samples = (page.locator(where).bounding_box() for where in (".drop .row", ".samples"))
    assert samples["x"] > ways["x"] + ways["width"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wrong_for_those_who_cannot_see_it_and_nothing_sticks_out(
    shop: Service, visit: Visits, scheme: str, width: int
):
    page = visit(f"{shop.url}/?model=tiny", scheme, width)
    assert violations(page) == []
    drop(page, {"a-long-name" * 9 + ".png": png(255)})
    expect(page.locator(".decision")).to_be_visible()
    assert violations(page) == []
    assert overflow(page) == 0
    drop(page, {"grey.png": png(64), "broken.png": png(0)[:40]})
    expect(page.locator(".decision")).to_have_count(3)
    assert violations(page) == []
    assert overflow(page) == 0
    page.get_by_role("button", name="All about grey.png").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_a_photo_can_be_tried_and_a_model_chosen_by_keyboard_alone(shop: Service, visit: Visits):
    page = visit(shop.url)
    expect(page.locator("#model")).to_be_enabled()
    tab_to(page, lambda page: page.evaluate("document.activeElement.id") == "model")
    page.keyboard.press("t")
    tab_to(page, lambda page: page.evaluate("document.activeElement.title") == "T-shirt")
    page.keyboard.press("Enter")
    expect(first(page)).to_contain_text("tiny, version 1")
    tab_to(page, lambda page: page.evaluate("document.activeElement.textContent") == "Copy")


def test_a_bar_is_seen_where_the_system_chooses_the_colours(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=tiny")
    page.emulate_media(forced_colors="active")
    drop(page, {"white.png": png(255)})
    track, fill = (first(page).locator(f".{part}").first for part in ("track", "fill"))
    colour = "element => getComputedStyle(element).backgroundColor"
    expect(fill).to_be_visible()
    assert track.evaluate(colour) != fill.evaluate(colour)
    here, other = (page.get_by_role("link", name=name) for name in ("Try it", "Models"))
    colour = "element => getComputedStyle(element).borderBottomColor"
    assert here.evaluate(colour) != other.evaluate(colour)


def test_a_browser_without_javascript_is_told_so(shop: Service, visit: Visits):
    page = visit(shop.url, script=False)
    expect(page.locator("noscript p")).to_contain_text("JavaScript, which is off")


def test_a_name_or_a_label_that_looks_like_markup_is_only_text(shop: Service, visit: Visits):
    page = visit(f"{shop.url}/?model=odd")
    drop(page, {"<b>'bold'</b>.png": png(255)})
    expect(first(page).get_by_role("heading")).to_have_text("<script>alert(1)</script>")
    expect(first(page)).to_contain_text("<b>'bold'</b>.png")
    expect(first(page).locator("pre")).to_contain_text(r"curl --data-binary '@<b>'\''bold'\''</b>.png'")

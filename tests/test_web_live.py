"""The page of what the service does just now, in a real browser, against a service that is asked meanwhile."""

import re

import pytest
from playwright.sync_api import Page, TimeoutError, expect  # noqa: A004 - Playwright's own

from chromium import SCHEMES, WIDTHS, Visits, overflow, tab_to, violations
from support import Service, png

BEFORE = r"""
made_bucket{le="0.1"} 10
made_bucket{le="0.5"} 10
made_bucket{le="+Inf"} 10
asked_total{route="/a",who="x \"y\" \\ z"} 10
asked_total{route="/b",who="n"} 7
"""
NOW = r"""
# HELP made_bucket Nothing.
made_bucket{le="0.1"} 60
made_bucket{le="0.5"} 110
made_bucket{le="+Inf"} 110
asked_total{route="/a",who="x \"y\" \\ z"} 14
asked_total{route="/b",who="n"} 2
"""
WORK_OUT = """async ([before, now]) => {
    const {Scrape} = await import("/web/metrics.js");
    const {Between} = await import("/web/rates.js");
    const between = new Between(new Scrape(before), new Scrape(now));
    return {
        half: between.quantile(0.5, "made"),
        most: between.quantile(0.75, "made"),
        none: between.quantile(0.5, "nothing"),
        grown: between.grown("asked_total").map(({labels, value}) => [labels.who, value]),
        some: between.total("asked_total", ({route}) => route === "/a"),
    };
}"""


@pytest.fixture
def live(shop: Service, visit: Visits) -> Page:
    """The page, once it has drawn something, while photos are asked."""
    page = visit(f"{shop.url}/live")
    expect(page.locator("#mix")).to_contain_text("Nobody has asked")
    for shade in (0, 64, 255):
        assert shop.classify(png(shade, (9, 9))).status_code == 200
    expect(page.locator("#mix h3")).to_have_text("tiny")
    return page


def test_what_is_asked_is_seen_as_it_comes(live: Page):
    expect(live.locator("#mix")).to_contain_text("3 answers, 66.7 % accepted")
    expect(live.locator("#mix li").first).to_have_text("dark66.7 %")
    expect(live.get_by_role("region", name="Photos in a run").locator("li").first).to_contain_text("1")
    latency = live.get_by_role("region", name="Latency of single photos")
    expect(latency.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"Latency of single photos: median \S+, p95 \S+, p99 \S+")
    )
    expect(latency.locator(".most")).to_contain_text("up to ")


def test_figures_are_worked_out_as_prometheus_does(shop: Service, visit: Visits):
    found = visit(f"{shop.url}/live").evaluate(WORK_OUT, [BEFORE, NOW])
    assert found["half"] == pytest.approx(0.1)
    assert found["most"] == pytest.approx(0.3)
    assert found["none"] is None
    assert found["grown"] == [['x "y" \\ z', 4], ["n", 2]], "the second counter began anew"
    assert found["some"] == 4


def test_what_moves_can_be_stopped_by_keyboard(live: Page):
    tab_to(live, lambda page: page.evaluate("document.activeElement.id") == "pause")
    live.keyboard.press("Enter")
    expect(live.get_by_role("button", name="Pause", pressed=True)).to_be_visible()
    with pytest.raises(TimeoutError):
        live.wait_for_event("request", lambda request: request.url.endswith("/metrics"), timeout=1500)
    with live.expect_request("**/metrics"):
        live.keyboard.press("Enter")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wrong_for_those_who_cannot_see_it_and_nothing_sticks_out(
    shop: Service, visit: Visits, scheme: str, width: int
):
    page = visit(f"{shop.url}/live", scheme, width)
    expect(page.locator("#mix")).to_contain_text("Nobody has asked")
    assert violations(page) == []
    assert overflow(page) == 0

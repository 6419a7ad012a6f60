"""What a visitor of the service's pages does in a browser, and what tests ask of a page."""

from base64 import b64encode
from collections.abc import Callable, Mapping

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

WIDTHS = (360, 1440)
SCHEMES = ("light", "dark")

PATIENCE = 30  # seconds until a test gives up that waits for an element
expect.set_options(timeout=PATIENCE * 1000)

_DROP = """photos => {
    const dropped = new DataTransfer();
    for (const [name, type, text] of photos) {
        const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
        dropped.items.add(new File([bytes], name, {type}));
    }
    document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
}"""


class Chromium:
    """One browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def context(self, scheme: str, width: int, *, script: bool = True) -> BrowserContext:
        """A visitor of whom nothing is kept from before."""
        size = {"width": width, "height": 900}
        return self._browser.new_context(
            viewport=size, color_scheme=scheme, java_script_enabled=script, reduced_motion="reduce"
        )


class Visits:
    """Opens pages, and keeps what they complain of; what the service refuses is no complaint of the page's."""

    def __init__(self, chromium: Chromium) -> None:
        self.complaints: list[str] = []
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []

    def __call__(self, url: str, scheme: str = "light", width: int = 1440, *, script: bool = True) -> Page:
        context = self._chromium.context(scheme, width, script=script)
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def drop(page: Page, photos: Mapping[str, bytes], kind: str = "image/png") -> None:
    """Drop photos, by name, on the page."""
    page.evaluate(_DROP, [[name, kind, b64encode(photo).decode()] for name, photo in photos.items()])


def tab_to(page: Page, is_there: Callable[[Page], bool], most: int = 60) -> None:
    """Press the tabulator until the focus is where it should be."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if is_there(page):
            return
    raise AssertionError("the keyboard does not get there")


def violations(page: Page, **options: object) -> list[str]:
    """What axe-core finds wrong, and where."""
    found = Axe().run(page, options=options or None).response["violations"]
    return [f"{each['id']}: {node['target']} {node['html'][:120]}" for each in found for node in each["nodes"]]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

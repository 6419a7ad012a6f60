"""The Chromium that the machine has, driven by Playwright; tests drive the same one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from artifact.errors import HangtagError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")

# It runs as root in containers, asks nobody for updates, and measures its pages and not its start.
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def browsing() -> Iterator["Browser"]:
    """A browser, which runs while the context lasts; raises HangtagError where there is none, or nothing drives it."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for developers; other benchmarks go without
    except ModuleNotFoundError:
        raise HangtagError("Pages are looked at by Playwright, which `make check` installs.") from None
    if CHROMIUM is None:
        raise HangtagError("Pages are looked at in Chromium, which is not here; Debian's package `chromium` will do.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()

"""Pictures of the pages for the README, of drawn photos; `make screenshots` runs this file, which takes them anew."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.browsing import browsing
from chromium import Chromium, Visits, drop
from support import ROOT, Service

FOLDER = ROOT / "docs" / "pages"
SAMPLES = ROOT / "service" / "web" / "samples"
LIVE_SECONDS = 40
COLOURS = 200
CLOTHES = ("t-shirt", "trousers", "dress", "shoes")  # what the model clothing was made for


def sketches(page: Page) -> dict[str, bytes]:
    """Clothes of the samples as a model gets them, each five times in other colours and a little turned."""
    drawn = {}
    for name in CLOTHES:
        page.goto((SAMPLES / f"{name}.svg").as_uri())
        drawn[name] = page.locator("svg").screenshot()
    random = np.random.default_rng(7)
    return {
        f"{name}-{number}.png": dyed(photo, random.random(), random.uniform(-9, 9))
        for number in range(1, 6)
        for name, photo in drawn.items()
    }


def dyed(photo: bytes, hue: float, degrees: float) -> bytes:
    """A drawing with all hues moved by a share of the circle, and turned."""
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    image = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=image.getpixel((2, 2)))
    hues, *others = image.convert("HSV").split()
    out = io.BytesIO()
    Image.merge("HSV", [hues.point(lambda value: int(value + 255 * hue) % 256), *others]).convert("RGB").save(
        out, "PNG"
    )
    return out.getvalue()


def keep(page: Page, name: str) -> None:
    """Write what is seen of the page, in few colours, so that it stays small."""
    shown = Image.open(io.BytesIO(page.screenshot()))
    shown.convert("RGB").quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE).save(
        FOLDER / f"{name}.png", optimize=True
    )


def take_one(visit: Visits, url: str) -> None:
    page = visit(f"{url}/?model=clothing", width=1200)
    page.get_by_role("button", name="Shoes").click()
    expect(page.locator(".decision")).to_be_visible()
    keep(page, "try")


def take_many(visit: Visits, url: str, photos: dict[str, bytes]) -> None:
    page = visit(f"{url}/?model=clothing")
    drop(page, photos)
    expect(page.locator("#summary")).to_contain_text(" in ")
    page.get_by_label("Order").select_option("unsure")
    page.get_by_label("Order").evaluate("choice => choice.blur()")
    page.wait_for_load_state("networkidle")
    keep(page, "many")


def take_models(visit: Visits, url: str) -> None:
    page = visit(f"{url}/models")
    page.get_by_role("article", name="clothing").evaluate("card => card.scrollIntoView()")
    keep(page, "models")


def take_live(visit: Visits, url: str, photos: dict[str, bytes]) -> None:
    """Watch the page while three clients ask, who pause now and then."""
    page = visit(f"{url}/live", "dark")
    until = time.monotonic() + LIVE_SECONDS
    with ThreadPoolExecutor(3) as clients:
        for number in range(3):
            clients.submit(ask, url, photos, number, until)
        page.wait_for_timeout(LIVE_SECONDS * 1000)
        keep(page, "live")


def ask(url: str, photos: dict[str, bytes], number: int, until: float) -> None:
    with httpx.Client(base_url=url, headers={"Content-Type": "image/png"}) as client:
        for count, photo in enumerate(cycle(photos.values())):
            if time.monotonic() > until:
                return
            unseen = photo + count.to_bytes(4, "big") + bytes([number])
            client.post(f"/v1/models/{('closet', 'clothing')[count % 2]}/classify", content=unseen)
            time.sleep(0.01 + 0.02 * (count // 100 % 3))


def take_all(visit: Visits, url: str, page: Page) -> None:
    photos = sketches(page)
    take_one(visit, url)
    take_many(visit, url, photos)
    take_models(visit, url)
    take_live(visit, url, photos)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with Service(ROOT / "models") as running, browsing() as browser:
        visits = Visits(Chromium(browser))
        take_all(visits, running.url, browser.new_page())
        visits.close()

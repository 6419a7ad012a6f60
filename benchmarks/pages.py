"""What the pages for people cost: how soon they are there, how many bytes they are, and if 200 photos freeze them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from pydantic import Field

from artifact.command import Options
from benchmarks.browsing import browsing
from benchmarks.finding import Finding, report
from benchmarks.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAINT_MS = 300
BYTES = 100_000
FRAME_MS = 200  # twice of what people take for at once

_PAGES = ("", "models", "live")
_SLOW_MS = 50
_SIZE = (1600, 1200)
_LOADED = """() => ({
    paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    files: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({name}) => !name.includes("/v1/") && !name.includes("/health/") && !name.endsWith("/metrics"))
        .map(({name, encodedBodySize}) => [name, encodedBodySize]),
})"""
_WATCH = """() => {
    window.frames_ms = [];
    let before = performance.now();
    const frame = (now) => {
        window.frames_ms.push(now - before);
        before = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


class PagesOptions(Options):
    """Open each page in Chromium as one who was never there, and put photos on the first; print times and bytes.

    Example: hangtag bench pages --visits 10
    """

    models: Path = Field(Path("models"), description="the model repository")
    visits: int = Field(10, ge=1, description="visits of each page")
    photos: int = Field(200, ge=2, description="photos that are put on the page at once")


class Visit(NamedTuple):
    """When a page was first seen, and the bytes of its files by their addresses."""

    paint_ms: float
    files: dict[str, int]


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when all is as claimed, else 1; raises HangtagError where there is no Chromium."""
    options = PagesOptions.parse("bench pages", arguments)
    with serving(options.models) as service, browsing() as browser:
        visits = {path: [_visit(browser, f"{service.url}/{path}") for _ in range(options.visits)] for path in _PAGES}
        frames, seconds = _frames(browser, service.url, options.photos)
    files = {name: size for each in visits.values() for visit in each for name, size in visit.files.items()}
    return report([*_paints(visits), _bytes(files), _smooth(frames, seconds, options.photos)])


def _paints(visits: dict[str, list[Visit]]) -> Iterator[Finding]:
    for path, each in visits.items():
        times = [visit.paint_ms for visit in each]
        sentence = f"/{path} is seen after {median(times):.0f} ms, at most {max(times):.0f} (claimed: {PAINT_MS})"
        yield Finding(median(times) < PAINT_MS, sentence)


def _bytes(files: dict[str, int]) -> Finding:
    total = sum(files.values())
    return Finding(
        total < BYTES, f"all pages are {total:,} bytes on their way, in {len(files)} files (claimed: {BYTES:,})"
    )


def _smooth(frames: list[float], seconds: float, photos: int) -> Finding:
    size, slow = "{} x {}".format(*_SIZE), sum(each > _SLOW_MS for each in frames)
    return Finding(
        max(frames) < FRAME_MS,
        f"{photos} photos of {size} were answered and shown in {seconds:.1f} s; of {len(frames)} frames the longest "
        f"took {max(frames):.0f} ms (claimed: {FRAME_MS}), {slow} over {_SLOW_MS}",
    )


@contextmanager
def _opened(browser: "Browser", url: str) -> Iterator["Page"]:
    """A page as one sees it who was never there; it has settled when nothing is asked any more."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(url, wait_until="load")
    page.locator("#health[data-is]").wait_for()
    yield page
    context.close()


def _visit(browser: "Browser", url: str) -> Visit:
    with _opened(browser, url) as page:
        loaded = page.evaluate(_LOADED)
    return Visit(loaded["paint"], dict(loaded["files"]))


def _frames(browser: "Browser", url: str, photos: int) -> tuple[list[float], float]:
    """Milliseconds of each frame while photos are asked and shown, and how many seconds all of that took."""
    with TemporaryDirectory() as folder, _opened(browser, url) as page:
        paths = [_draw(Path(folder) / f"{number:03}.jpg") for number in range(photos)]
        page.locator("#model:enabled").wait_for()
        page.evaluate(_WATCH)
        page.set_input_files("#choose", paths, timeout=600_000)
        page.locator("#summary", has_text=f"{photos} photos in ").wait_for(timeout=600_000)
        frames: list[float] = page.evaluate("window.frames_ms")
    return frames, sum(frames) / 1e3


def _draw(path: Path) -> Path:
    """A photo that no other is the same as."""
    Image.effect_noise(_SIZE, 32).convert("RGB").save(path)
    return path

"""Pages that stand alone: photos, charts, names and colours."""

import io
import re
from base64 import b64decode
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure
from PIL import Image

from training.page import _environment, chart_uri, photo_uri, render
from training.shown import duration, number_of, percent, score, shown, shown_file


@pytest.mark.parametrize(
    ("pixels", "kind", "size"),
    [
        (np.zeros((28, 28, 1), np.uint8), "PNG", (112, 112)),
        (np.zeros((30, 20, 3), np.uint8), "PNG", (60, 90)),
        (np.zeros((224, 112, 3), np.uint8), "JPEG", (56, 112)),
        (np.zeros((128, 128, 1), np.uint8), "JPEG", (112, 112)),
    ],
)
def test_photos_are_as_large_as_they_are_asked_for(pixels: np.ndarray, kind: str, size: tuple[int, int]):
    picture = Image.open(io.BytesIO(b64decode(photo_uri(pixels, 112).partition(",")[2])))
    assert (picture.format, picture.size) == (kind, size)


def test_a_tiny_photo_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8)
    picture = np.asarray(Image.open(io.BytesIO(b64decode(photo_uri(pixels, 112).partition(",")[2]))))
    assert np.array_equal(picture[::4, ::4], pixels[:, :, 0])


def test_a_chart_follows_the_readers_colour_scheme_and_any_text_in_it_is_only_text():
    figure = Figure()
    figure.subplots().plot([1, 2], label='"><script>&')
    figure.legend()
    svg = unquote(chart_uri(figure).partition(",")[2])
    assert "prefers-color-scheme:dark" in svg
    assert "#000000" not in svg
    assert '"><script>&' in "".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own


def test_a_template_that_names_what_is_not_there_fails():
    with pytest.raises(UndefinedError):
        _environment().from_string("{{ missing }}").render()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.9461), "94.6\u00a0%"),
        (percent(1.0), "100.0\u00a0%"),
        (percent(0.99999), "> 99.9\u00a0%"),
        (percent(0.08, 0), "8\u00a0%"),
        (score(0.99999), "0.999"),
        (score(float(np.float32(0.9))), "0.900"),
        (duration(12.4), "12 s"),
        (duration(125), "2 min 05 s"),
        (duration(3 * 3600 + 60), "3 h 01 min"),
        (number_of(1, "photo"), "1 photo"),
        (number_of(1200, "photo"), "1,200 photos"),
        (shown("Größe\u200b"), "Größe\\u200b"),
        (shown_file("C:\\photos\\hats\\1.jpg"), "hats/1.jpg"),
        (shown_file("1.jpg"), "1.jpg"),
        (shown_file("../../etc/passwd"), "etc/passwd"),
    ],
)
def test_numbers_and_names_are_shown_as_people_read_them(text: str, expected: str):
    assert text == expected


# The colours: WCAG 2.2 asks for a contrast of 4.5 between text and what is behind it.


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def schemes() -> list[dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", render("base.html"), re.DOTALL)
    assert len(blocks) == 2
    return [dict(re.findall(r"--(\w+): ([^;]+);", block)) for block in blocks]


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: dict[str, str]):
    for text in ("ink", "soft", "good", "bad"):
        for behind in ("paper", "panel"):
            assert contrast(scheme[text], scheme[behind]) >= 4.5, (text, behind)
    shade = [int(part) for part in scheme["shade"].split(",")]
    for strength in (0.06, 0.3, 0.56):
        paper = [int(scheme["paper"][i : i + 2], 16) for i in (1, 3, 5)]
        mixed = "#" + "".join(
            f"{round(strength * s + (1 - strength) * p):02x}" for s, p in zip(shade, paper, strict=True)
        )
        assert contrast(scheme["ink"], mixed) >= 4.5, strength


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_charts_and_pages_have_the_same_ink_and_paper(scheme: dict[str, str]):
    figure = Figure()
    figure.subplots()
    svg = unquote(chart_uri(figure).partition(",")[2])
    assert f"--ink:{scheme['ink']};--paper:{scheme['paper']}" in svg

"""Pages that stand alone: one HTML file with its styles, charts and photos inside; no script, no network."""

import io
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from artifact.card import InputSpec, Resize
from artifact.pixels import decode
from training.shown import count, duration, number_of, percent, score, shown

_TINY = 64
_QUALITY = 82
# What a chart draws in black and white follows the reader's light or dark scheme; the colours of templates/base.html.
_SCHEMES = (
    "<style>:root{--ink:#1b1b1f;--paper:#ffffff;fill:var(--ink)}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ececf1;--paper:#15151a}}</style>"
)
_SVG_SETTINGS = {
    "svg.hashsalt": "hangtag",
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # the first is what the layout is reckoned with
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def render(template: str, **context: Any) -> str:
    """The HTML of a template in training/templates; what is not defined is an error, and all text is escaped."""
    return _environment().get_template(template).render(**context)


def photo_uri(pixels: NDArray[np.uint8], side: int) -> str:
    """A photo, uint8 [H, W, C], as a data URI, its longer side about `side`; a tiny one is enlarged pixel by pixel."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    longer = max(image.size)
    out = io.BytesIO()
    if longer <= _TINY:
        times = max(1, side // longer)
        enlarged = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
        enlarged.save(out, "PNG", optimize=True)
        return _base64_uri("image/png", out.getvalue())
    image.thumbnail((side, side))
    image.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return _base64_uri("image/jpeg", out.getvalue())


def small_uri(image: bytes, side: int) -> str:
    """An image file, shown whole in a square of white, as a data URI; raises an ImageError."""
    return photo_uri(decode(image, InputSpec(height=side, width=side, channels=3, resize=Resize(fit="pad"))), side)


def chart_uri(figure: Any) -> str:
    """A matplotlib Figure as an SVG data URI; it is transparent, and black and white change places on a dark page."""
    for part in (figure, *figure.axes):
        part.patch.set_visible(False)
    out = io.StringIO()
    with mpl.rc_context(_SVG_SETTINGS):
        figure.savefig(out, format="svg", metadata=_NO_METADATA)
    svg = out.getvalue().replace("#000000", "var(--ink)").replace("#ffffff", "var(--paper)").replace("\n", " ")
    start = svg.index("<svg")
    inside = svg.index(">", start) + 1
    return "data:image/svg+xml," + quote(svg[start:inside] + _SCHEMES + svg[inside:], safe=" /:=;,()!*@?$")


def _base64_uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    environment.filters |= {
        "percent": percent,
        "count": count,
        "duration": duration,
        "score": score,
        "number_of": number_of,
    }
    return environment


def _seen(value: Any) -> Any:
    """What a template shows; Markup, which macros return, is a string that was through here already."""
    return shown(value) if type(value) is str else value

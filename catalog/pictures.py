"""Photos beside a page: each as it came, and a small picture of it; numbers for names, whatever they were called."""

from pathlib import Path
from typing import NamedTuple, get_args

import simplejpeg

from artifact.card import InputSpec, Resize
from artifact.containers import Kind, kind_of
from artifact.pixels import decode

PAGE = "page"

_SUFFIXES: dict[Kind | None, str] = {kind: f".{kind.lower()}" for kind in get_args(Kind)} | {"JPEG": ".jpg"}
_SMALL = InputSpec(height=320, width=320, channels=3, resize=Resize(fit="pad"))  # twice what is shown, for fine screens
_QUALITY = 80
_PER_FOLDER = 1000  # with more files in one, whoever looks into it waits


class Kept(NamedTuple):
    """Where a photo and its picture stand below the folder."""

    photo: str
    picture: str


def keep(folder: Path, number: int, photo: bytes, max_pixels: int) -> Kept:
    """Write a photo and its picture below a folder; raises an ImageError where there is nothing to see."""
    pixels = decode(photo, _SMALL, max_pixels=max_pixels)
    kept = _names(number, _SUFFIXES[kind_of(photo)])
    _write(folder / kept.photo, photo)
    _write(folder / kept.picture, simplejpeg.encode_jpeg(pixels, _QUALITY, colorsubsampling="420"))
    return kept


def kept_before(folder: Path, number: int) -> Kept | None:
    """What an earlier `keep` wrote; None where it never came to its end, which is the picture."""
    every = (_names(number, suffix) for suffix in _SUFFIXES.values())
    return next((kept for kept in every if all(_is_written(folder / name) for name in kept)), None)


def _names(number: int, suffix: str) -> Kept:
    name = f"{number // _PER_FOLDER:04}/{number:07}"
    return Kept(f"photos/{name}{suffix}", f"{PAGE}/pictures/{name}.jpg")


def _is_written(path: Path) -> bool:
    """Whether it is there, and not empty: after a power cut a file may have its name, and nothing in it yet."""
    return path.exists() and path.stat().st_size > 0


def _write(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    new.write_bytes(data)
    new.replace(path)

"""What the name of a file says that it is."""

from typing import Literal

Kind = Literal["photo", "manifest", "archive", "other"]

# The last line is of types that are not taken: whoever has such photos should hear of them, each in a row of its own.
PHOTOS = {
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    *(".avif", ".heic", ".heif", ".jp2", ".jxl"),
}
MANIFESTS = {".csv", ".jsonl", ".parquet"}
ZIP = ".zip"
TAR = ".tar"
PACKED_TARS = {".tar.bz2", ".tar.gz", ".tar.xz", ".tbz2", ".tgz", ".txz"}

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(PHOTOS, "photo"),
    **dict.fromkeys(MANIFESTS, "manifest"),
    **dict.fromkeys((ZIP, TAR, *PACKED_TARS), "archive"),
}


def kind_of_name(path: str) -> Kind:
    """What a file is by its suffix, in capitals or not."""
    return _KINDS.get(suffix_of(path), "other")


def suffix_of(path: str) -> str:
    """The suffix in small letters, such as `.jpg`; both of `.tar.gz`; empty where there is none."""
    name = path[path.rfind("/") + 1 :].lower()  # asked of each photo: PurePosixPath takes ten times as long
    stem, _, last = name.rpartition(".")
    if not last or not stem.strip("."):
        return ""
    return f".tar.{last}" if stem.endswith(".tar") and f".tar.{last}" in PACKED_TARS else f".{last}"


def is_hidden(path: str) -> bool:
    """Whether it, or a folder on the way to it, is hidden as `.thumbnails/` is, or the `._a.jpg` that a Mac leaves."""
    # Hardly any is, and a million are asked about.
    return "/." in f"/{path}" and any(part.startswith(".") and part.strip(".") for part in path.split("/"))

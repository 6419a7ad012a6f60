"""How much disk a model takes."""

from pathlib import Path


def folder_bytes(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def megabytes(size: int) -> str:
    """A size as a person reads it, such as `1.61 MB`."""
    return f"{size / 1e6:.2f} MB"

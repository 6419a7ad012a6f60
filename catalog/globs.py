"""Paths with `*`, `?`, `[...]` and `**` in them, and the files that they stand for."""

import re
from collections.abc import Iterator

from fsspec.utils import glob_translate

from artifact.errors import SourceUnknown
from catalog.kinds import is_hidden
from catalog.place import Place


def is_glob(path: str) -> bool:
    """Whether it may stand for several files."""
    return any(sign in path for sign in "*?[")


def files_matching(place: Place, glob: str) -> Iterator[str]:
    """The path of each file that the glob stands for, in order; hidden ones are left out."""
    folders = glob.split("/")
    fixed = next(level for level, name in enumerate(folders) if is_glob(name))
    pattern = "/".join(folders[fixed:])
    try:
        matches = re.compile(glob_translate(pattern)).match
    except (ValueError, re.error) as error:
        raise SourceUnknown(f"{glob} is no glob that can be understood: {error}.") from error
    above = "/".join((*folders[:fixed], ""))
    levels = None if "**" in pattern else len(folders) - fixed
    for name in place.files_below(above or ".", levels):
        if matches(name) and not is_hidden(name):
            yield above + name

"""What `hangtag classify` is given, as a list of photos: folders, globs, manifests, archives and single photos."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Literal, NamedTuple

from artifact.containers import kind_of
from artifact.errors import SourceEmpty, SourceForbidden, SourceNotFound, SourceUnknown, SourceUnreadable
from catalog.disk import local_path
from catalog.globs import files_matching, is_glob
from catalog.kinds import ZIP, Kind, is_hidden, kind_of_name, suffix_of
from catalog.listed import Listed, printable
from catalog.manifests import paths_in
from catalog.place import Place
from catalog.places import Places
from catalog.tars import tar_entries
from catalog.zips import zip_entries

DEFAULT_COLUMN = "path"
_MAGIC_BYTES = 16  # tell what a file is


class _Source(NamedTuple):
    """A source as somebody wrote it, and what it turned out to be."""

    text: str
    place: Place
    kind: Kind | Literal["folder", "glob"]


def list_photos(
    sources: Sequence[str],
    column: str = DEFAULT_COLUMN,
    passed_over: Counter[str] | None = None,
    places: Places | None = None,
) -> Iterator[Listed]:
    """The photos of all sources, source by source, always in the same order for the same files.

    `column` is the column of manifests that names the photos; `passed_over` counts, by suffix, the files in folders and
    archives that are no photos by their names. Raises a SourceError or a StoreError: at once if a source is not there,
    else when the listing gets to what is wrong.
    """
    passed_over = Counter() if passed_over is None else passed_over
    places = places or Places()
    found = [_find(places, source) for source in sources]
    return chain.from_iterable(_listed(source, column, passed_over) for source in found)


def _find(places: Places, text: str) -> _Source:
    """What somebody means by it; a name with a `*` in it is a glob only if there is no such file."""
    if not text:
        raise SourceNotFound("One of the sources is an empty text; name a folder, a file or a URL.")
    text = local_path(text)
    place = places.of(text)
    try:
        return _Source(text, place, _kind(place, text))
    except (SourceNotFound, SourceUnreadable):
        if not is_glob(text):
            raise
        return _Source(text, place, "glob")


def _kind(place: Place, text: str) -> Kind | Literal["folder"]:
    with _explained(text):
        if place.is_folder(text):
            return "folder"
        kind = kind_of_name(text)
        if kind != "other" or kind_of(place.read(text, 0, _MAGIC_BYTES)):
            return kind
    raise SourceUnknown(
        f"{printable(text)} is no photo, no manifest (.csv, .jsonl, .parquet) "
        "and no archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)."
    )


def _listed(source: _Source, column: str, passed_over: Counter[str]) -> Iterator[Listed]:
    """The photos of a source; raises SourceEmpty if there are none."""
    count, passed_before = 0, passed_over.total()
    with _explained(source.text):
        for count, listed in enumerate(_photos(source, column, passed_over), 1):  # noqa: B007 - the count is wanted
            yield listed
    if not count:
        raise SourceEmpty(f"{printable(source.text)} {_nothing(source, passed_over.total() - passed_before)}.")


def _nothing(source: _Source, passed: int) -> str:
    """What there is in place of photos."""
    if source.kind == "glob":
        return "matches no photo"
    if source.kind == "manifest":
        return "has no rows"
    files = "1 file was" if passed == 1 else f"{passed} files were"
    return f"has no photos in it; {files} passed over, by name" if passed else "has no photos in it"


def _photos(source: _Source, column: str, passed_over: Counter[str]) -> Iterator[Listed]:
    text, place, kind = source
    if kind == "folder":
        return _in_folder(place, text, passed_over)
    if kind == "glob":
        matching = (_Source(path, place, kind_of_name(path)) for path in files_matching(place, text))
        return chain.from_iterable(_photos(file, column, passed_over) for file in matching)
    if kind == "manifest":
        return _in_manifest(place, text, column)
    if kind == "archive":
        return _in_archive(place, text, passed_over)
    return iter([Listed(printable(text), place.where(text))])


def _in_folder(place: Place, folder: str, passed_over: Counter[str]) -> Iterator[Listed]:
    above = folder.rstrip("/")
    for name in place.files_below(folder):
        if _is_photo(name, passed_over):
            path = f"{above}/{name}"
            yield Listed(printable(path), place.where(path))


def _in_archive(place: Place, archive: str, passed_over: Counter[str]) -> Iterator[Listed]:
    where, above = place.where(archive), printable(archive)
    in_zip = suffix_of(archive) == ZIP
    for name, entry in zip_entries(place, archive) if in_zip else tar_entries(place, archive, passed_over):
        if _is_photo(name, passed_over):
            yield Listed(f"{above}/{printable(name).removeprefix('./')}", where, entry)


def _in_manifest(place: Place, manifest: str, column: str) -> Iterator[Listed]:
    """A photo for each row, which is called as the row calls it; a path is seen from the manifest's folder."""
    above = manifest[: manifest.rfind("/") + 1]
    for number, path in enumerate(paths_in(place, manifest, column), 1):
        if not path:
            yield Listed(f"{printable(manifest)} row {number}", "")
        elif path.startswith(("/", "file:")) or "://" in path:
            yield Listed(path, path)
        else:
            yield Listed(path, place.where(above + path))


def _is_photo(name: str, passed_over: Counter[str]) -> bool:
    """Whether it is one by its name; what is none is counted, but for what is hidden."""
    if is_hidden(name):
        return False
    if kind_of_name(name) == "photo":
        return True
    passed_over[suffix_of(name)] += 1
    return False


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """What a disk or a store says of a source, as a SourceError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(f"There is no {printable(source)}.") from error
    except PermissionError as error:
        raise SourceForbidden(f"{printable(str(error.filename or source))} may not be read.") from error
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise SourceUnreadable(f"{printable(source)} cannot be read: {told}.") from error

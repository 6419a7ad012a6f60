"""The object stores that fsspec reads, asked again with growing pauses when they do not answer."""

import io
import time
from collections.abc import Callable, Iterator
from errno import EACCES, EIO
from posixpath import normpath
from typing import Any, BinaryIO, Protocol, TypeVar

import fsspec

from artifact.errors import StoreDenied, StoreUnreachable, StoreUnsupported
from catalog.ranges import RangeFile
from catalog.troubles import Meaning, meaning_of, said

# The package's extra of ours that reads the URLs of each scheme.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
PATIENCE = 180.0  # seconds; the stores' own packages, too, ask several times within a few seconds
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
_BUFFER = 4 * 2**20  # what one request for a part of an archive brings; small ones would each take as long
_CONNECTIONS = 64

T = TypeVar("T")


class Clock(Protocol):
    """What tells the time and waits, as the module `time` does."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class Store:
    """A Place: the URLs of one scheme; raises a StoreError where no object of the store can be had."""

    def __init__(self, scheme: str, *, clock: Clock = time, **options: Any) -> None:
        self._scheme = scheme
        self._clock = clock
        try:
            self._files = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **options)
        except ImportError as error:
            raise StoreUnsupported(
                f"{scheme}:// needs a package that comes with hangtag[{EXTRAS[scheme]}]; install that."
            ) from error
        except ValueError as error:  # no account is named
            raise StoreDenied(f"{scheme}:// cannot be read: {error}.") from error

    def where(self, path: str) -> str:
        """The URL itself, without `..` in it, which no store knows."""
        scheme, _, rest = path.partition("://")
        return f"{scheme}://{normpath(rest)}" if {".", ".."} & set(rest.split("/")) else path

    def is_folder(self, path: str) -> bool:
        """Whether objects have names that begin so, and a slash; raises FileNotFoundError where none has.

        Where there is an object of this name, too, a slash at its end says what is meant.
        """
        found = self._patiently(path, lambda: self._files.info(path))
        return bool(found["type"] == "directory") or path.endswith("/")

    def files_below(self, folder: str, levels: int | None = None) -> Iterator[str]:
        """The objects below a folder, in order, however deep; objects in the place of folders are left out."""
        del levels  # one listing of all is far quicker than one of each folder
        for name in self._names_below(folder):
            if name and not name.endswith("/"):
                yield name

    def read(self, path: str, start: int, end: int) -> bytes:
        """The bytes of an object from `start` up to `end`."""
        return self._patiently(path, lambda: self._read(path, start, end))

    def open(self, path: str) -> BinaryIO:
        """The object, to be read here and there."""
        size = int(self._patiently(path, lambda: self._files.info(path))["size"])
        return io.BufferedReader(RangeFile(lambda start, end: self.read(path, start, end), size), _BUFFER)

    def _names_below(self, folder: str) -> Iterator[str]:
        above = f"{self._files._strip_protocol(folder).rstrip('/')}/"  # noqa: SLF001 - as fsspec's own users do
        names = self._patiently(folder, lambda: self._files.find(folder))
        return (name.removeprefix(above) for name in sorted(names))

    def _read(self, path: str, start: int, end: int) -> bytes:
        try:
            return bytes(self._files.cat_file(path, start=start, end=end))
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:  # where an object ends, or has no bytes at all, asking for some is an error to stores
            if self._ends_before(path, start):
                return b""
            raise

    def _ends_before(self, path: str, at: int) -> bool:
        try:
            found = self._files.info(path)
            return bool(found["type"] == "file" and found["size"] <= at)
        except Exception:  # noqa: BLE001 - the first error says more
            return False

    def _patiently(self, path: str, ask: Callable[[], T]) -> T:
        """What the store says in the end; raises OSError of an object, StoreError of the store."""
        until, pause = self._clock.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                return ask()
            except Exception as error:  # each store's package raises what it likes
                match meaning_of(error):
                    case Meaning.NO_SUCH_NAME:
                        raise FileNotFoundError(path) from error
                    case Meaning.FORBIDDEN:
                        raise PermissionError(EACCES, said(error), path) from error
                    case Meaning.UNREADABLE:
                        raise OSError(EIO, said(error), path) from error
                    case Meaning.REFUSED:
                        raise StoreDenied(
                            f"{path} is refused: {said(error)}. Set, or renew, the credentials of {self._scheme}://, "
                            "and run the same command again."
                        ) from error
                if self._clock.monotonic() >= until:
                    raise StoreUnreachable(
                        f"{path} cannot be reached, and was asked for again and again for {PATIENCE:.0f} s: "
                        f"{said(error)}. Run the same command again when the store answers."
                    ) from error
            self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


class S3(Store):
    """The store that speaks S3, whose listings come page by page, so that a million names need no memory."""

    def __init__(self, scheme: str, *, clock: Clock = time) -> None:
        super().__init__(scheme, clock=clock, config_kwargs={"max_pool_connections": _CONNECTIONS})

    def _names_below(self, folder: str) -> Iterator[str]:
        bucket, key, _ = self._files.split_path(folder)
        query = {"Bucket": bucket, "Prefix": f"{key.rstrip('/')}/" if key else ""}
        while True:
            page = self._patiently(folder, lambda: self._files.call_s3("list_objects_v2", **query))
            yield from (found["Key"].removeprefix(query["Prefix"]) for found in page.get("Contents", ()))
            if not page["IsTruncated"]:
                return
            query["ContinuationToken"] = page["NextContinuationToken"]


def open_store(scheme: str, clock: Clock) -> Store:
    """The store of one of the schemes in EXTRAS; raises a StoreError if it cannot be asked from here."""
    return (S3 if EXTRAS[scheme] == "s3" else Store)(scheme, clock=clock)

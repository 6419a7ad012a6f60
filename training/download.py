"""Files from the web: resumed where they broke off, checked, and visible only when they are whole."""

from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import httpx
from tqdm import tqdm

from artifact.errors import DataError

_PIECE = 1 << 16
_TIMEOUT = httpx.Timeout(30)


@dataclass(frozen=True)
class Remote:
    """A file on the web and the MD5 (hex) of its content."""

    url: str
    md5: str


def fetch(remote: Remote, path: Path) -> Path:
    """Download `remote` to `path` unless it is there, and return `path`.

    What has arrived stays in `<path>.part` if the connection breaks, and the next call asks for the rest only. Raises
    DataError when the server cannot be reached, or when what came is not the file that was meant.
    """
    if path.is_file():
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(remote.url, part)
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise DataError(
            f"{path} is missing, and {remote.url} could not be downloaded ({error}); try again to continue where it "
            "broke off, or point --data or HANGTAG_DATA to a folder that has it."
        ) from error
    found = _md5(part)
    if found != remote.md5:
        part.unlink()
        raise DataError(f"{remote.url} gave a file with MD5 {found} instead of {remote.md5}; it was thrown away.")
    return part.replace(path)


def _download(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with httpx.stream("GET", url, headers=headers, timeout=_TIMEOUT, follow_redirects=True) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to send: the MD5 tells whether the part is the whole
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        _write(response, part, have if resumed else 0)


def _write(response: httpx.Response, part: Path, have: int) -> None:
    """Append the body after `have` bytes of `part`, as it arrives."""
    length = response.headers.get("Content-Length")
    total = have + int(length) if length else None
    with (
        part.open("ab" if have else "wb") as file,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None) as bar,
    ):
        for piece in response.iter_raw():
            file.write(piece)
            bar.update(len(piece))


def _md5(path: Path) -> str:
    digest = md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()

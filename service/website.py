"""The pages for people, and the files in `web` that they are made of, held in memory as they are, and packed.

There is no build step, and nothing is loaded from anywhere else: docs/decisions/0030-pages.md.
"""

import gzip
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response

from artifact.digest import digest_bytes
from service import pages

PAGES = {"/": "try.html", "/models": "models.html", "/live": "live.html"}
FILES = "/web/"

_HEADERS = {
    "Cache-Control": "no-cache",  # the next release has other files; the ETag tells
    "Vary": "Accept-Encoding",
    **pages.headers(
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # photos of the one who looks, which go nowhere but to the service
        "connect-src 'self'",
        "require-trusted-types-for 'script'",  # nothing that a service or a file name says becomes markup
        "trusted-types 'none'",
    ),
}
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}

IfNoneMatch = Annotated[str | None, Header()]
AcceptEncoding = Annotated[str, Header()]


def router() -> APIRouter:
    """The pages and their files."""
    routes = APIRouter(include_in_schema=False)
    held = {name: _Held(name, content) for name, content in _read(files("service") / "web")}

    for path, name in PAGES.items():
        routes.add_api_route(path, held[name].respond)

    @routes.get(FILES + "{name:path}")
    async def get_file(name: str, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = "") -> Response:
        if name not in held:
            raise HTTPException(404)
        return await held[name].respond(if_none_match, accept_encoding)

    return routes


class _Form:
    """One form of a file: as it is, or packed."""

    def __init__(self, content: bytes, **headers: str) -> None:
        self.content = content
        self.headers = _HEADERS | headers | {"ETag": f'"{digest_bytes(content)}"'}


class _Held:
    """A file as it is answered with."""

    def __init__(self, name: str, content: bytes) -> None:
        self._type = _TYPES[PurePosixPath(name).suffix]
        self._plain = _Form(content)
        self._packed = _Form(gzip.compress(content, mtime=0), **{"Content-Encoding": "gzip"})

    async def respond(self, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = "") -> Response:
        """The file, packed where the browser can take that, or 304 where it has it."""
        form = self._packed if pages.takes_gzip(accept_encoding) else self._plain
        if pages.names(if_none_match, form.headers["ETag"]):
            return Response(status_code=304, headers=form.headers)
        return Response(form.content, headers=form.headers, media_type=self._type)


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Each file in a folder and those below it, by its path from there."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()

"""The page /docs: Swagger UI as a package carries it, so that no script from elsewhere sees the key that one types."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

from service import pages

_SCRIPT, _STYLE, _ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def router(title: str) -> APIRouter:
    """The page and its files."""
    routes = APIRouter(prefix="/docs", include_in_schema=False)
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url=f"docs/{_SCRIPT}",
        swagger_css_url=f"docs/{_STYLE}",
        swagger_favicon_url=f"docs/{_ICON}",
    )
    content = bytes(page.body).decode()
    headers = pages.headers(
        f"script-src 'self' {' '.join(map(_hash, _INLINE.findall(content)))}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
    )

    @routes.get("")
    async def get_docs() -> Response:
        return HTMLResponse(content, headers=headers)

    for name in (_SCRIPT, _STYLE, _ICON):
        routes.add_api_route(f"/{name}", _File(Path(str(files("fastapi_offline") / "static" / name))))
    return routes


class _File:
    """Answers with a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __call__(self) -> FileResponse:
        return FileResponse(self._path)


def _hash(script: str) -> str:
    """How a Content-Security-Policy names a script that stands in a page."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"

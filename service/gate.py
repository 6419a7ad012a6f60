"""The gate: every request passes it before anything is done for it, or any of its body is read."""

from collections.abc import Iterable
from types import SimpleNamespace

from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from artifact.errors import AccessDenied, RateLimited
from service import problems
from service.access import Access
from service.scopes import scope_needed


class Gate:
    """Wraps the app; `paths` are the templates of what it has, by which metrics know what was refused, too."""

    def __init__(self, app: ASGIApp, access: Access, paths: Iterable[str]) -> None:
        self._app = app
        self._access = access
        self._routes = [(compile_path(path)[0], SimpleNamespace(path=path)) for path in paths]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] == "http" and (needed := scope_needed(scope["path"])):
            try:
                self._access.admit(scope, needed)
            except (AccessDenied, RateLimited) as error:
                scope["route"] = next((route for path, route in self._routes if path.match(scope["path"])), None)
                await problems.respond(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

"""HEAD, as load balancers ask it: answered as GET is; the server itself leaves the body out (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Wraps the app, whose routes know of GET alone; what is counted and logged stays HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def answer(message: Message) -> None:
            if "route" in asked:
                scope["route"] = asked["route"]
            await send(message)

        await self._app(asked, receive, answer)

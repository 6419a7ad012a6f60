"""Pages of other origins that may ask the service from a browser; none, unless the settings name them."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_ASKED = (
    *("Authorization", "If-None-Match", "Priority", "X-Request-Deadline-Ms", "X-Request-ID", "X-Request-Key"),
    *("Inference-Header-Content-Length", "traceparent", "tracestate"),
)
_ANSWERED = (
    *("Cache-Status", "ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID"),
    "Inference-Header-Content-Length",
)


def across_origins(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """The app, for pages of these origins, too: browsers ask first, without a key, whether they may.

    What such a page brings is a key in a header, never a cookie, so a browser lends it no rights.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=("GET", "POST"), allow_headers=_ASKED, expose_headers=_ANSWERED
    )

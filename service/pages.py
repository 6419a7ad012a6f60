"""What browsers are told of the pages that the service has: they load nothing from elsewhere, and stand in no frame.

And what browsers tell: which of them they have already, and whether they take them packed.
"""

import re

_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)", re.IGNORECASE)


def headers(*may: str) -> dict[str, str]:
    """The headers of a page, which may do what these directives of its Content-Security-Policy say, and no more."""
    policy = ("default-src 'none'", *may, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    }


def names(if_none_match: str | None, etag: str) -> bool:
    """Whether the header names the tag; weak tags are as good as strong ones here (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or etag in tags


def takes_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip, and not with the weight 0, which forbids it (RFC 9110, 12.4.2)."""
    return bool(_GZIP.search(accept_encoding))

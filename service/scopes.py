"""What a key must be for to be let in, by path; every path that is not named here needs a key that may classify."""

from service import website
from service.keys.key import Scope

# Probes, scrapers and people who look bring no key: docs/decisions/0020-keys-and-rates.md. What a page asks for, does.
_OPEN = frozenset(
    {
        *("/health/live", "/health/startup", "/health/ready", "/v2/health/live", "/v2/health/ready"),
        *("/metrics", "/openapi.json", "/docs"),
        *website.PAGES,
    }
)
_FILES, _ADMIN = ("/docs/", website.FILES), ("/v1/admin/", "/v2/repository/models/")


def scope_needed(path: str) -> Scope | None:
    """The scope that a key needs, None where none is asked for."""
    if path in _OPEN or path.startswith(_FILES):
        return None
    return "admin" if path.startswith(_ADMIN) else "classify"

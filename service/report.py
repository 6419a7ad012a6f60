"""The page on a model's training: rarely asked for, so it is read and verified each time, and never kept."""

import asyncio

from fastapi import Response

from artifact.card import ModelCard
from artifact.errors import DigestMismatch, InternalError
from artifact.repository import Repository, report_digest
from service import pages

HEADERS = {
    "Cache-Control": "no-cache",  # another version may be served tomorrow; the ETag tells
    **pages.headers("img-src data:", "style-src 'unsafe-inline'"),
}


async def respond(repository: Repository, card: ModelCard, if_none_match: str | None) -> Response:
    """Answer with the page of a version, or with 304 where the client has it; raises ReportNotFound.

    A page can be as large as a small model: what the workers do not hold, they need no memory for. The digest is of the
    card that was verified when the model was loaded, so a page that was changed since then is never sent.
    """
    headers = HEADERS | {"ETag": f'"{report_digest(card)}"'}
    if _names(if_none_match or "", headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        page = await asyncio.to_thread(repository.report, card)
    except DigestMismatch as error:
        raise InternalError("The report is not the one that the model's card names; the log says more.") from error
    return Response(page, headers=headers, media_type="text/html")


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the header names the tag; weak tags are as good as strong ones here (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags

"""The page on a model's training, and its figures: rarely asked for, so they are read and verified each time."""

import asyncio

from fastapi import Response

from artifact.card import ModelCard
from artifact.errors import DigestMismatch, InternalError
from artifact.repository import FIGURES_FILE, REPORT_FILE, Repository, report_digest
from service import pages

HEADERS = {
    "Cache-Control": "no-cache",  # another version may be served tomorrow; the ETag tells
    **pages.headers("img-src data:", "style-src 'unsafe-inline'"),
}


_TYPES = {REPORT_FILE: "text/html", FIGURES_FILE: "application/json"}


async def respond(repository: Repository, card: ModelCard, file: str, if_none_match: str | None) -> Response:
    """Answer with the page of a version or its figures, or with 304 where the client has it; raises ReportNotFound.

    A page can be as large as a small model: what the workers do not hold, they need no memory for. The digest is of the
    card that was verified when the model was loaded, so a page that was changed since then is never sent.
    """
    headers = HEADERS | {"ETag": f'"{report_digest(card, file)}"'}
    if pages.names(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        page = await asyncio.to_thread(repository.report, card, file)
    except DigestMismatch as error:
        raise InternalError("The report is not the one that the model's card names; the log says more.") from error
    return Response(page, headers=headers, media_type=_TYPES[file])

"""Notices changes of the model repository, for who would rather copy files than send signals."""

import logging
from pathlib import Path

from watchfiles import Change, awatch

from service.hosting import Hosting

logger = logging.getLogger("hangtag")


async def watch(hosting: Hosting) -> None:
    """Reload whenever something changes in the repository, until cancelled."""
    root = hosting.repository.root
    try:
        async for _ in awatch(root, watch_filter=_is_visible):
            hosting.request_reload()
    except OSError as error:
        logger.error("%s is not watched any more: %s", root, error)  # noqa: TRY400 - it says all there is


def _is_visible(_change: Change, path: str) -> bool:
    """Whether it is no staging folder and no file that is being written."""
    return not any(part.startswith(".") for part in Path(path).parts)

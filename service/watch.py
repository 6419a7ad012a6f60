"""Notices changes of the model repository, for who would rather copy files than send signals."""

import logging
from pathlib import Path

from watchfiles import Change, awatch

from service.hosting import Hosting

logger = logging.getLogger("hangtag")


async def watch(hosting: Hosting) -> None:
    """Reload whenever something changes in the repository, until cancelled, or until its folder is gone."""
    root = hosting.repository.root.resolve()

    def is_visible(_change: Change, path: str) -> bool:
        """Whether it is no staging folder and no file that is being written."""
        return not any(part.startswith(".") for part in Path(path).relative_to(root).parts)

    try:
        async for _ in awatch(root, watch_filter=is_visible, ignore_permission_denied=True):
            hosting.request_reload()
            if not root.is_dir():
                break
    except OSError as error:
        logger.error("%s: %s", root, error)  # noqa: TRY400 - it says all there is
    logger.error("%s is not watched any more; send SIGHUP when it has changed", root)

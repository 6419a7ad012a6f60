"""Notices changes of the model repository and of the keys, for who would rather copy files than send signals."""

import logging
from contextlib import suppress
from pathlib import Path

from watchfiles import Change, awatch

from artifact.errors import ReloadFailed
from service.access import Access
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


async def watch_keys(folder: Path, access: Access) -> None:
    """Read the keys anew whenever something changes in their folder, until cancelled.

    Not the file itself is watched: who writes it puts another one in its place, and a mounted secret is a link to
    what is exchanged beside it.
    """
    try:
        async for _ in awatch(folder, recursive=False, ignore_permission_denied=True):
            with suppress(ReloadFailed):
                access.reload()
    except OSError as error:
        logger.error("%s: %s", folder, error)  # noqa: TRY400 - it says all there is

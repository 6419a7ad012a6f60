"""Notices changes of the model repository and of the keys, for who would rather copy files than send signals."""

import logging
from contextlib import suppress
from pathlib import Path

from watchfiles import Change, awatch

from artifact.errors import ReloadFailed
from service.access import Access
from service.hosting import Hosting

logger = logging.getLogger("hangtag")

_MOUNTED = "..data"  # the link that Kubernetes exchanges when a secret changes


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


async def watch_keys(file: Path, access: Access) -> None:
    """Read the keys anew whenever their file changes, until cancelled.

    Its folder is watched: who writes it puts another file in its place, and a mounted secret is a link to what is
    exchanged beside it. What else is in the folder does not matter: our own log may be.
    """
    folder, names = file.parent, {file.name, _MOUNTED}

    def is_ours(_change: Change, path: str) -> bool:
        return Path(path).name in names

    try:
        async for _ in awatch(folder, watch_filter=is_ours, recursive=False, ignore_permission_denied=True):
            with suppress(ReloadFailed):
                access.reload()
    except OSError as error:
        logger.error("%s: %s", folder, error)  # noqa: TRY400 - it says all there is

"""The Ray cluster that work is given to: one that is there, or one that is started here and ends with us."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from artifact.errors import ClusterUnavailable

LOCAL = "local"  # the address of a cluster that is started here
_TELLS_NOBODY = {"RAY_USAGE_STATS_ENABLED": "0"}  # else Ray tells its makers about each cluster that it starts
_PATIENCE = 5.0  # seconds for a cluster to say that it is there; Ray itself asks again for minutes


@contextmanager
def connected(address: str, namespace: str | None = None) -> Iterator[None]:
    """Be connected to the cluster at an address, as `ray.init` takes it; raises ClusterUnavailable.

    What is started for LOCAL takes all cores of this machine, has no dashboard, and ends when the context is left.
    """
    check_ray()
    import ray  # noqa: PLC0415 - the extra `ray`, and a second to load, that only a cluster needs

    os.environ.update(_TELLS_NOBODY)
    ours = {"include_dashboard": False} if address == LOCAL else {}
    try:
        _knock(address)
        ray.init(address, namespace=namespace, logging_level="warning", **ours)
    except Exception as error:
        where = "Ray cannot be started here" if address == LOCAL else f"No Ray cluster answers at {address}"
        raise ClusterUnavailable(f"{where}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def check_ray() -> None:
    """Raises ClusterUnavailable where Ray is not installed."""
    if find_spec("ray") is None:
        raise ClusterUnavailable("Ray is not installed here: pip install 'hangtag[ray]'.")


def _knock(address: str) -> None:
    """Raises OSError where an address names a port at which nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), _PATIENCE).close()
